/** The greatest value of a bucket. */
import { numberOf, type PointSink, type QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

export const max = aggregatorKind({
  name: 'max',
  javaClass: 'MaxAggregator',
  properties: rangeProperties,
  make: (given, query) =>
    rangeAggregator({ takes: 'number', gives: 'number' }, given, query, () => new Maximum()),
});

class Maximum implements Fold {
  #returnMs = 0;
  #max = 0;

  begin(returnMs: number): void {
    this.#returnMs = returnMs;
    this.#max = -Number.MAX_VALUE;
  }

  add(_timestampMs: number, value: QueryValue): void {
    this.#max = Math.max(this.#max, numberOf(value));
  }

  addNumbers(numbers: Float64Array, from: number, to: number): void {
    for (let i = from; i < to; i++) this.#max = Math.max(this.#max, numbers[i] as number);
  }

  finish(out: PointSink): void {
    out.push(this.#returnMs, this.#max);
  }
}
