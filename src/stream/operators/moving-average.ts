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

interface RingEntry {
  readonly start: number;
  readonly sum: number;
  readonly count: number;
}

interface Ring {
  readonly windows: readonly RingEntry[];
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
      const { sum, count } = of(row.state);
      const entry = { start: row.start, sum, count };
      const ring = rings.get(key);
      const next = alpha === undefined ? slide(ring, entry, over) : weigh(ring, entry, alpha);
      rings.set(key, next.ring);
      return next.average;
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

interface Averaged {
  readonly ring: Ring;
  readonly average: number;
}

/** The last `over` windows up to this one; a revised window takes its own place again. */
function slide(ring: Ring | undefined, entry: RingEntry, over: number): Averaged {
  const windows = ring?.windows ?? [];
  const newest = windows.at(-1);
  const oldest = entry.start - FORGET_AFTER_MS;
  if (newest === undefined || newest.start < entry.start) {
    // The usual case: the next window. Only what is too many or too old goes.
    let drop = Math.max(0, windows.length + 1 - over);
    while (drop < windows.length && (windows[drop] as RingEntry).start < oldest) drop++;
    const kept = drop === 0 ? [...windows, entry] : [...windows.slice(drop), entry];
    return { ring: { windows: kept }, average: meanOf(kept, entry) };
  }
  const others = windows.filter((w) => w.start !== entry.start);
  const sorted = [...others, entry].sort((a, b) => a.start - b.start);
  const upToThis = sorted.filter((w) => w.start <= entry.start && w.start >= oldest);
  return { ring: { windows: sorted.slice(-over) }, average: meanOf(upToThis.slice(-over), entry) };
}

/** `entry` is among the windows, so there is at least one. */
function meanOf(windows: readonly RingEntry[], entry: RingEntry): number {
  let sum = 0;
  let count = 0;
  for (const w of windows) {
    sum += w.sum;
    count += w.count;
  }
  return count === 0 ? entry.sum / entry.count : sum / count;
}

function weigh(ring: Ring | undefined, entry: RingEntry, alpha: number): Averaged {
  const newest = ring?.windows.at(-1);
  const revised = newest?.start === entry.start;
  const before =
    revised || newest === undefined ? ring?.before : weighted(newest, ring?.before, alpha);
  const kept = { windows: [entry], ...(before === undefined ? {} : { before }) };
  return { ring: kept, average: weighted(entry, before, alpha) };
}

function weighted(window: RingEntry, before: number | undefined, alpha: number): number {
  const mean = window.sum / window.count;
  return before === undefined ? mean : alpha * mean + (1 - alpha) * before;
}
