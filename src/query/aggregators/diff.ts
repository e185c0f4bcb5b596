/** What each point has more than the one before. */
import { numberOf, type PointSink } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { pairs } from './pairs.ts';

export const diff = aggregatorKind({
  name: 'diff',
  javaClass: 'DiffAggregator',
  properties: {},
  make: () => ({
    takes: 'number',
    gives: 'number',
    open: (out: PointSink) =>
      pairs(out, (before, point) =>
        out.push(point.timestampMs, numberOf(point.value) - numberOf(before.value)),
      ),
  }),
});
