/** The frame of all aggregators that make one point of each bucket of time (spec §4.4). */
import { boolean, type Given, long, timeSpan, timeZone } from '../parse/property.ts';
import type { NumberColumns, PointSink, QueryValue } from '../point.ts';
import { Buckets } from '../time/buckets.ts';
import type { Aggregator, QueryFrame } from './aggregator.ts';

export const rangeProperties = {
  sampling: timeSpan,
  align_sampling: boolean,
  align_start_time: boolean,
  align_end_time: boolean,
  trim: boolean,
  start_time: long,
  end_time: long,
  time_zone: timeZone,
} as const;

export type RangeGiven = Given<typeof rangeProperties>;

/** Folds the points of one bucket after the other. */
export interface Fold {
  /** `returnMs` is the time that the bucket's point is to have. */
  begin(returnMs: number): void;
  add(timestampMs: number, value: QueryValue): void;
  /** The same for many, `from` included and `to` not, where a value is its double and its time says nothing. */
  addNumbers?(numbers: Float64Array, from: number, to: number): void;
  /** Gives the points of the bucket away. */
  finish(out: PointSink): void;
}

export function bucketsOf(given: RangeGiven, query: QueryFrame): Buckets {
  return new Buckets({
    sampling: given.sampling ?? { value: 1, unit: 'MILLISECONDS' },
    zone: given.time_zone ?? query.zone,
    startMs: given.start_time ?? query.startMs,
    align: given.align_sampling ?? true,
  });
}

export function rangeAggregator(
  kind: Pick<Aggregator, 'takes' | 'gives'>,
  given: RangeGiven,
  query: QueryFrame,
  fold: () => Fold,
): Aggregator {
  const buckets = bucketsOf(given, query);
  const takesNumbers = fold().addNumbers !== undefined;
  return {
    ...kind,
    takesNumbers,
    open: (out) =>
      takesNumbers
        ? new NumberRangeSink(buckets, given, fold(), out)
        : new RangeSink(buckets, given, fold(), out),
  };
}

class RangeSink implements PointSink {
  readonly #buckets: Buckets;
  readonly #given: RangeGiven;
  protected readonly fold: Fold;
  readonly #out: PointSink;
  /** Undefined before the first point. */
  protected endMs: number | undefined;

  constructor(buckets: Buckets, given: RangeGiven, fold: Fold, out: PointSink) {
    this.#buckets = buckets;
    this.#given = given;
    this.fold = fold;
    this.#out = out;
  }

  push(timestampMs: number, value: QueryValue): void {
    if (this.endMs === undefined || timestampMs >= this.endMs) this.enter(timestampMs);
    this.fold.add(timestampMs, value);
  }

  /** Into the bucket of a time, which is to be its first point's. Gives where the bucket ends. */
  protected enter(firstMs: number): number {
    if (this.endMs !== undefined) this.fold.finish(this.#out);
    this.endMs = this.#buckets.endOf(firstMs);
    this.fold.begin(this.#returnMs(firstMs, this.endMs));
    return this.endMs;
  }

  end(): void {
    if (this.endMs !== undefined) this.fold.finish(this.#out);
    this.#out.end();
  }

  #returnMs(firstMs: number, endMs: number): number {
    if (this.#given.align_start_time === true) return this.#buckets.startOf(firstMs);
    return this.#given.align_end_time === true ? endMs : firstMs;
  }
}

class NumberRangeSink extends RangeSink {
  pushNumbers({ times, numbers, count }: NumberColumns): void {
    let endMs = this.endMs ?? Number.NEGATIVE_INFINITY;
    for (let from = 0; from < count; ) {
      const firstMs = times[from] as number;
      if (firstMs >= endMs) endMs = this.enter(firstMs);
      let to = from + 1;
      while (to < count && (times[to] as number) < endMs) to++;
      this.fold.addNumbers?.(numbers, from, to);
      from = to;
    }
  }
}
