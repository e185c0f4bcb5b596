/** The last point of a bucket, whatever its type; it keeps its own time unless buckets are aligned. */
import type { PointSink, QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

export const last = aggregatorKind({
  name: 'last',
  javaClass: 'LastAggregator',
  properties: rangeProperties,
  make(given, query) {
    const isAligned = given.align_start_time === true || given.align_end_time === true;
    const kind = { takes: 'any', gives: 'same' } as const;
    return rangeAggregator(kind, given, query, () => new Last(isAligned));
  },
});

class Last implements Fold {
  readonly #isAligned: boolean;
  #returnMs = 0;
  #timestampMs = 0;
  #value: QueryValue = null;

  constructor(isAligned: boolean) {
    this.#isAligned = isAligned;
  }

  begin(returnMs: number): void {
    this.#returnMs = returnMs;
  }

  add(timestampMs: number, value: QueryValue): void {
    this.#timestampMs = timestampMs;
    this.#value = value;
  }

  finish(out: PointSink): void {
    out.push(this.#isAligned ? this.#returnMs : this.#timestampMs, this.#value);
  }
}
