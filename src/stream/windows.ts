/**
 * Windows are half-open intervals [start, end) of event time, aligned to the epoch: size 5 min gives
 * [12:00, 12:05), [12:05, 12:10) … in UTC. A window closes when the partition's watermark reaches end + grace;
 * a record at or beyond that is late.
 */
import { FatalError } from '../model/index.ts';
import { checkNotNegative, checkPositive } from './window-check.ts';

export interface TimeWindows {
  readonly kind: 'tumbling' | 'hopping';
  readonly sizeMs: number;
  /** Distance between starts; equals sizeMs when tumbling. */
  readonly advanceMs: number;
  readonly graceMs: number;
  /** Topic that gets the original bytes of late records; absent: they are counted and dropped. */
  readonly late: string | undefined;
}

export interface TumblingOptions {
  readonly sizeMs: number;
  /** How long after its end a window still takes records. No default: choosing 0 drops all out-of-order data. */
  readonly graceMs: number;
  readonly late?: string;
}

export interface HoppingOptions extends TumblingOptions {
  readonly advanceMs: number;
}

/** Windows that touch but don't overlap: each record falls into exactly one. */
export function tumbling(options: TumblingOptions): TimeWindows {
  checkPositive('sizeMs', options.sizeMs);
  checkNotNegative('graceMs', options.graceMs);
  return {
    kind: 'tumbling',
    sizeMs: options.sizeMs,
    advanceMs: options.sizeMs,
    graceMs: options.graceMs,
    late: options.late,
  };
}

/** Windows of sizeMs that start every advanceMs: each record falls into up to ceil(size / advance) of them. */
export function hopping(options: HoppingOptions): TimeWindows {
  checkPositive('sizeMs', options.sizeMs);
  checkPositive('advanceMs', options.advanceMs);
  checkNotNegative('graceMs', options.graceMs);
  if (options.advanceMs > options.sizeMs) {
    throw new FatalError(
      `hopping windows of ${options.sizeMs} ms that advance by ${options.advanceMs} ms would skip records; advance by at most the size`,
      { code: 'WINDOW_INVALID' },
    );
  }
  return {
    kind: 'hopping',
    sizeMs: options.sizeMs,
    advanceMs: options.advanceMs,
    graceMs: options.graceMs,
    late: options.late,
  };
}

/** Start of the newest window that contains `timestamp`. */
export const windowStart = (timestamp: number, advanceMs: number): number =>
  Math.floor(timestamp / advanceMs) * advanceMs;
