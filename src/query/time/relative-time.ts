/** Times counted back from now, and the length of one sampling, by the calendar. */
import { addUnits } from './buckets.ts';
import { type TimeSpan, unitMs } from './time-unit.ts';
import { offsetOfLocal, type Zone } from './zone.ts';

/** `span` before now by the UTC calendar; only milliseconds may be more than 32 bits hold. */
export function timeBefore(nowMs: number, { value, unit }: TimeSpan): number {
  return addUnits(nowMs, -(unit === 'MILLISECONDS' ? value : value | 0), unit);
}

/** How long a sampling that begins at an instant lasts, in ms. Days and longer follow the zone's calendar. */
export function samplingLengthMs(ms: number, { value, unit }: TimeSpan, zone: Zone): number {
  if (unit === 'MILLISECONDS') return value;
  const count = value | 0;
  if (unit === 'SECONDS' || unit === 'MINUTES' || unit === 'HOURS') return count * unitMs[unit];
  const local = addUnits(ms + zone.offsetAt(ms), count, unit);
  return local - offsetOfLocal(zone, local) - ms;
}
