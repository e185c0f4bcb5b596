/** Each value over the time since the point before it, per unit of time. */
import { timeUnit, timeZone } from '../parse/property.ts';
import { numberOf, type PointSink } from '../point.ts';
import { samplingLengthMs } from '../time/relative-time.ts';
import { aggregatorKind } from './aggregator.ts';
import { pairs } from './pairs.ts';
import { sameTime } from './rate.ts';

export const sampler = aggregatorKind({
  name: 'sampler',
  javaClass: 'SamplerAggregator',
  properties: { unit: timeUnit, time_zone: timeZone },
  make({ unit = 'MILLISECONDS', time_zone: ownZone }, query) {
    const sampling = { value: 1, unit };
    const zone = ownZone ?? query.zone;
    return {
      takes: 'number',
      gives: 'number',
      open: (out: PointSink) =>
        pairs(out, (before, point) => {
          numberOf(before.value);
          const value = numberOf(point.value);
          const length = point.timestampMs - before.timestampMs;
          if (length === 0) throw sameTime('sampler');
          const unitMs = samplingLengthMs(before.timestampMs, sampling, zone);
          out.push(point.timestampMs, (value / length) * unitMs);
        }),
    };
  },
});
