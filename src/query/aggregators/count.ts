/** The number of points of a bucket, gaps and text included, as a long. */
import type { PointSink } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

export const count = aggregatorKind({
  name: 'count',
  javaClass: 'CountAggregator',
  properties: rangeProperties,
  make: (given, query) =>
    rangeAggregator({ takes: 'any', gives: 'number' }, given, query, () => new Count()),
});

class Count implements Fold {
  #returnMs = 0;
  #count = 0;

  begin(returnMs: number): void {
    this.#returnMs = returnMs;
    this.#count = 0;
  }

  add(): void {
    this.#count++;
  }

  addNumbers(_numbers: Float64Array, from: number, to: number): void {
    this.#count += to - from;
  }

  finish(out: PointSink): void {
    out.push(this.#returnMs, BigInt(this.#count));
  }
}
