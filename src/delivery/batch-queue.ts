/**
 * Writes waiting for a batch, first come first served. A batch may hold several small writes or a slice of
 * a large one; each write is settled once all its points are, whatever batches they travelled in.
 */
import type { Rejection } from './contract.ts';

/** One call of `write`: settled when its last point is. */
export interface PendingWrite<P> {
  readonly points: readonly P[];
  readonly sinceMs: number;
  readonly resolve: (rejections: readonly Rejection[]) => void;
  readonly reject: (error: unknown) => void;
  readonly rejections: Rejection[];
  /** Index of the first point that is in no batch yet. */
  next: number;
  /** Points not yet stored or rejected. */
  open: number;
  settled: boolean;
}

interface Slice<P> {
  readonly write: PendingWrite<P>;
  /** Where the slice starts in the write's points. */
  readonly from: number;
  readonly count: number;
}

export interface Batch<P> {
  readonly points: readonly P[];
  readonly slices: readonly Slice<P>[];
  /** Failed attempts so far. */
  attempts: number;
  /** Not to be sent before, ms since the epoch. */
  dueMs: number;
}

export class BatchQueue<P> {
  readonly #pointsMax: number;
  readonly #weigh: ((point: P) => number) | undefined;
  readonly #writes: PendingWrite<P>[] = [];
  #points = 0;

  /** `weigh`: what a point counts for; absent: one. */
  constructor(pointsMax: number, weigh?: (point: P) => number) {
    this.#pointsMax = pointsMax;
    this.#weigh = weigh;
  }

  /** Points in no batch yet. */
  get points(): number {
    return this.#points;
  }

  get full(): boolean {
    return this.#points >= this.#pointsMax;
  }

  /** Since when the oldest write waits; undefined when none does. */
  get oldestSinceMs(): number | undefined {
    return this.#writes[0]?.sinceMs;
  }

  add(write: PendingWrite<P>): void {
    this.#writes.push(write);
    this.#points += this.#weightOf(write, write.points.length);
  }

  /** The next batch, in order; undefined when nothing waits. Full with the point that reaches `pointsMax`. */
  take(): Batch<P> | undefined {
    const slices: Slice<P>[] = [];
    let weight = 0;
    while (weight < this.#pointsMax) {
      const write = this.#writes[0];
      if (!write) break;
      const end = this.#endOfSlice(write, this.#pointsMax - weight);
      weight += this.#weightOf(write, end);
      slices.push({ write, from: write.next, count: end - write.next });
      write.next = end;
      if (write.next === write.points.length) this.#writes.shift();
    }
    this.#points -= weight;
    return slices.length === 0
      ? undefined
      : { points: gather(slices), slices, attempts: 0, dueMs: 0 };
  }

  /** Forgets what of a write is in no batch yet: it failed or was abandoned. */
  drop(write: PendingWrite<P>): void {
    const at = this.#writes.indexOf(write);
    if (at < 0) return;
    this.#writes.splice(at, 1);
    this.#points -= this.#weightOf(write, write.points.length);
  }

  /** What a write's points that are in no batch count for, up to `end`. */
  #weightOf({ points, next }: PendingWrite<P>, end: number): number {
    if (this.#weigh === undefined) return end - next;
    let weight = 0;
    for (let i = next; i < end; i++) weight += this.#weigh(points[i] as P);
    return weight;
  }

  #endOfSlice({ points, next }: PendingWrite<P>, weightMax: number): number {
    if (this.#weigh === undefined) return Math.min(points.length, next + weightMax);
    let end = next;
    for (let weight = 0; end < points.length && weight < weightMax; end++)
      weight += this.#weigh(points[end] as P);
    return end;
  }
}

/** Marks a batch's points as stored but for `rejections` (indices into the batch); settles finished writes. */
export function settleBatch<P>(batch: Batch<P>, rejections: readonly Rejection[]): void {
  const sorted = [...rejections].sort((a, b) => a.index - b.index);
  let at = 0;
  let start = 0;
  for (const { write, from, count } of batch.slices) {
    for (let r = sorted[at]; r && r.index < start + count; r = sorted[++at]) {
      write.rejections.push({ ...r, index: r.index - start + from });
    }
    start += count;
    write.open -= count;
    if (write.open > 0 || write.settled) continue;
    write.settled = true;
    write.resolve(write.rejections.sort((a, b) => a.index - b.index));
  }
}

/** True when every write in the batch has been settled otherwise, so that sending it serves nobody. */
export function isAbandoned<P>(batch: Batch<P>): boolean {
  return batch.slices.every(({ write }) => write.settled);
}

function gather<P>(slices: readonly Slice<P>[]): readonly P[] {
  const [only] = slices;
  // The usual case, one caller's whole batch, is passed on without a copy.
  if (only && slices.length === 1 && only.count === only.write.points.length) {
    return only.write.points;
  }
  return slices.flatMap(({ write, from, count }) => write.points.slice(from, from + count));
}
