/** For aggregators that turn each value into a double and leave times as they are. */
import { numberOf, type PointSink } from '../point.ts';
import type { Aggregator } from './aggregator.ts';

export const mapValues = (change: (value: number) => number): Aggregator => ({
  takes: 'number',
  gives: 'number',
  open: (out: PointSink) => ({
    push: (timestampMs, value) => out.push(timestampMs, change(numberOf(value))),
    end: () => out.end(),
  }),
});
