/**
 * Moving averages over a key's closed windows: simple (count-weighted over the last n windows that the key
 * has) and exponentially weighted. State: the last n (start, sum, count) of each key, or one number.
 */
import { jsonValues, Table } from '../../state/index.ts';
import type { Windowed } from '../aggregate.ts';
import { joinKey } from '../key-index.ts';
import { type Operator, operator } from '../operator.ts';
import { rowsBatch } from '../rows.ts';

export interface MovingAverageOptions<S> {
  /** What a window contributes. */
  readonly of: (state: S) => { readonly sum: number; readonly count: number };
  /** Simple: how many windows, this one included. */
  readonly over?: number;
  /** Exponential: weight of the newest window's mean, 0 < alpha ≤ 1. Give either `over` or `alpha`. */
  readonly alpha?: number;
}

export type WithMovingAverage<S> = Windowed<S> & { readonly movingAverage: number };

/** A key that gives no window for so long is forgotten: [event time since its last window's end, ms]. */
const FORGET_AFTER_MS = 30 * 86_400_000;

interface Ring {
  readonly windows: { readonly start: number; readonly sum: number; readonly count: number }[];
  /** Exponential only: average before the newest window. */
  readonly before?: number;
}

/** Adds `movingAverage` to each closed window. Rows without state pass without. */
export function movingAverage<S>(
  options: MovingAverageOptions<S>,
): Operator<Windowed<S>, WithMovingAverage<S>> {
  const { of, alpha } = options;
  const over = alpha === undefined ? (options.over ?? 12) : 1;
  const detail = alpha === undefined ? { over } : { alpha };
  return operator<Windowed<S>, WithMovingAverage<S>>({ kind: 'average', detail }, (task) => {
    const rings = new Table<Ring>(jsonValues());
    task.store(rings);
    const average = (row: Windowed<S> & { state: S }): number => {
      const key = joinKey(row.key);
      const ring = rings.get(key) ?? { windows: [] };
      const { sum, count } = of(row.state);
      const newest = ring.windows.at(-1);
      const revised = newest?.start === row.start;
      // A revised window takes its own place again; it is not another one.
      const windows = ring.windows.filter(
        (w) => w.start !== row.start && w.start >= row.start - FORGET_AFTER_MS,
      );
      windows.push({ start: row.start, sum, count });
      windows.sort((a, b) => a.start - b.start);
      if (alpha === undefined) {
        const last = windows.slice(-over);
        rings.set(key, { windows: last });
        const total = last.filter((w) => w.start <= row.start);
        return total.reduce((s, w) => s + w.sum, 0) / total.reduce((n, w) => n + w.count, 0);
      }
      const mean = sum / count;
      const before = revised
        ? ring.before
        : newest === undefined
          ? undefined
          : averageOf(newest, ring.before, alpha);
      rings.set(key, {
        windows: [{ start: row.start, sum, count }],
        ...(before === undefined ? {} : { before }),
      });
      return before === undefined ? mean : alpha * mean + (1 - alpha) * before;
    };
    let sweepAt = Number.NEGATIVE_INFINITY;
    return {
      next: (batch, emit) => {
        const rows: WithMovingAverage<S>[] = [];
        const kept: number[] = [];
        for (let i = 0; i < batch.length; i++) {
          const row = batch.row(i);
          if (row.state === undefined) continue;
          rows.push({ ...row, movingAverage: average(row as Windowed<S> & { state: S }) });
          kept.push(i);
        }
        if (batch.watermark >= sweepAt) {
          sweepAt = batch.watermark + FORGET_AFTER_MS / 30;
          for (const [key, ring] of rings.entries()) {
            if ((ring.windows.at(-1)?.start ?? 0) < batch.watermark - FORGET_AFTER_MS)
              rings.delete(key);
          }
        }
        emit(
          rowsBatch({
            topic: batch.topic,
            partition: batch.partition,
            watermark: batch.watermark,
            rows,
            offsets: Float64Array.from(kept, (i) => batch.offsets[i] as number),
            timestamps: Float64Array.from(kept, (i) => batch.timestamps[i] as number),
            watermarks: Float64Array.from(kept, (i) => batch.watermarks[i] as number),
          }),
        );
      },
    };
  });
}

function averageOf(
  window: { sum: number; count: number },
  before: number | undefined,
  alpha: number,
): number {
  const mean = window.sum / window.count;
  return before === undefined ? mean : alpha * mean + (1 - alpha) * before;
}
