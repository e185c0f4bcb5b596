/** The frame of all aggregators that make one point of each bucket of time (spec §4.4). */
import { boolean, type Given, long, timeSpan, timeZone } from '../parse/property.ts';
import type { PointSink, QueryValue } from '../point.ts';
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
  return { ...kind, open: (out) => new RangeSink(buckets, given, fold(), out) };
}

class RangeSink implements PointSink {
  readonly #buckets: Buckets;
  readonly #given: RangeGiven;
  readonly #fold: Fold;
  readonly #out: PointSink;
  /** Undefined before the first point. */
  #endMs: number | undefined;

  constructor(buckets: Buckets, given: RangeGiven, fold: Fold, out: PointSink) {
    this.#buckets = buckets;
    this.#given = given;
    this.#fold = fold;
    this.#out = out;
  }

  push(timestampMs: number, value: QueryValue): void {
    if (this.#endMs === undefined || timestampMs >= this.#endMs) {
      if (this.#endMs !== undefined) this.#fold.finish(this.#out);
      this.#endMs = this.#buckets.endOf(timestampMs);
      this.#fold.begin(this.#returnMs(timestampMs, this.#endMs));
    }
    this.#fold.add(timestampMs, value);
  }

  end(): void {
    if (this.#endMs !== undefined) this.#fold.finish(this.#out);
    this.#out.end();
  }

  #returnMs(firstMs: number, endMs: number): number {
    if (this.#given.align_start_time === true) return this.#buckets.startOf(firstMs);
    return this.#given.align_end_time === true ? endMs : firstMs;
  }
}
