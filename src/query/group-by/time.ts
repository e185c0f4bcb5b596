/** Groups by spans of time since the start of the query, in turn; months by the UTC calendar, a year is 52 weeks. */
import { days } from '../../model/index.ts';
import { QueryFailed } from '../errors.ts';
import { int, long, timeSpan } from '../parse/property.ts';
import { dateOf } from '../time/calendar.ts';
import { type TimeSpan, unitMs } from '../time/time-unit.ts';
import { groupByKind } from './group-by.ts';

export const time = groupByKind({
  name: 'time',
  javaClass: 'TimeGroupBy',
  properties: { range_size: timeSpan, group_count: int, start_date: long },
  violations({ range_size: span, group_count: count = 0 }) {
    const found: (readonly [string, string])[] = [];
    if (span === undefined) found.push(['rangeSize', 'may not be null']);
    if (count < 1) found.push(['groupCount', 'must be greater than or equal to 1']);
    return found;
  },
  make({ range_size: given, group_count: count = 1 }, startMs) {
    const span = given as TimeSpan;
    return {
      numberOf: (timestampMs) => (spansSince(startMs, timestampMs, span) % count) + 0,
      entry: (number) =>
        `{"name":"time","range_size":{"value":${span.value},"unit":"${span.unit}"},"group_count":${count},"group":{"group_number":${number}}}`,
    };
  },
});

function spansSince(startMs: number, timestampMs: number, { value, unit }: TimeSpan): number {
  if (unit === 'MONTHS') {
    const start = dateOf(startMs);
    const end = dateOf(timestampMs);
    return (end.year - start.year) * 12 + end.month - start.month;
  }
  if (value === 0) throw new QueryFailed('/ by zero');
  const lengthMs = value * (unit === 'YEARS' ? days(52 * 7) : unitMs[unit]);
  return Math.trunc((timestampMs - startMs) / lengthMs);
}
