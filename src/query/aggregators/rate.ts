/** How fast the value changes, per sampling that begins at the earlier point. */
import { QueryFailed } from '../errors.ts';
import { type Given, timeSpan, timeUnit, timeZone } from '../parse/property.ts';
import { numberOf, type PointSink } from '../point.ts';
import { samplingLengthMs } from '../time/relative-time.ts';
import type { TimeSpan } from '../time/time-unit.ts';
import { aggregatorKind } from './aggregator.ts';
import { pairs } from './pairs.ts';

const properties = { sampling: timeSpan, unit: timeUnit, time_zone: timeZone } as const;

export const rate = aggregatorKind({
  name: 'rate',
  javaClass: 'RateAggregator',
  properties,
  make(given, query) {
    const sampling = samplingOf(given);
    const zone = given.time_zone ?? query.zone;
    return {
      takes: 'number',
      gives: 'number',
      open: (out: PointSink) =>
        pairs(out, (before, point) => {
          const length = point.timestampMs - before.timestampMs;
          const change = numberOf(point.value) - numberOf(before.value);
          if (length === 0) throw sameTime('rate');
          const unitMs = samplingLengthMs(before.timestampMs, sampling, zone);
          out.push(point.timestampMs, (change / length) * unitMs);
        }),
    };
  },
});

/** Of `unit` and `sampling` the one that stands last in the query. */
function samplingOf(given: Given<typeof properties>): TimeSpan {
  const last = Object.keys(given).findLast((key) => key === 'sampling' || key === 'unit');
  if (last === 'unit' && given.unit !== undefined) return { value: 1, unit: given.unit };
  return given.sampling ?? { value: 1, unit: 'MILLISECONDS' };
}

export const sameTime = (name: string): QueryFailed =>
  new QueryFailed(
    `The ${name} aggregator cannot compute rate for data points with the same time stamp.  You must precede ${name} with another aggregator.`,
  );
