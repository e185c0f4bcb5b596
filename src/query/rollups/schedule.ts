/** When a rollup task runs: each interval after it was written, by the UTC calendar. */
import { addUnits } from '../time/buckets.ts';
import { monthsBetween, yearsBetween } from '../time/calendar.ts';
import { unitMs } from '../time/time-unit.ts';
import type { RollupTask } from './rollup-task.ts';

/** Why a task can't be scheduled; undefined when it can. */
export function scheduleFault({ interval }: Pick<RollupTask, 'interval'>): string | undefined {
  if (interval.unit === undefined) return 'execution_interval has no unit';
  if (interval.value <= 0) return 'execution_interval must be at least 1';
  return undefined;
}

/** The last time at or before `nowMs` at which it is due, and the one after; undefined before the first. */
export function dueTimes(
  { interval }: Pick<RollupTask, 'interval'>,
  writtenAtMs: number,
  nowMs: number,
): { readonly lastMs: number | undefined; readonly nextMs: number } {
  const { value, unit } = interval;
  if (unit === undefined || value <= 0) throw new RangeError('the task has no interval');
  const at = (count: number) => addUnits(writtenAtMs, count * value, unit);
  const passed =
    unit === 'MONTHS'
      ? monthsBetween(writtenAtMs, nowMs)
      : unit === 'YEARS'
        ? yearsBetween(writtenAtMs, nowMs)
        : Math.floor((nowMs - writtenAtMs) / unitMs[unit]);
  const count = Math.max(0, Math.floor(passed / value));
  return { lastMs: count === 0 ? undefined : at(count), nextMs: at(count + 1) };
}

/** What a task that never ran looks back to: an interval and a bucket, as KairosDB does. */
export function firstStart(
  { interval }: Pick<RollupTask, 'interval'>,
  bucketMs: number,
  dueMs: number,
): number {
  const { value, unit } = interval;
  return unit === undefined ? dueMs - bucketMs : addUnits(dueMs, -value, unit) - bucketMs;
}
