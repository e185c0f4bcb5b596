/** The sum of a bucket, added in the order of the points. */
import { numberOf, type PointSink, type QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

export const sum = aggregatorKind({
  name: 'sum',
  javaClass: 'SumAggregator',
  properties: rangeProperties,
  make: (given, query) =>
    rangeAggregator({ takes: 'number', gives: 'number' }, given, query, () => new Sum()),
});

class Sum implements Fold {
  #returnMs = 0;
  #sum = 0;

  begin(returnMs: number): void {
    this.#returnMs = returnMs;
    this.#sum = 0;
  }

  add(_timestampMs: number, value: QueryValue): void {
    this.#sum += numberOf(value);
  }

  addNumbers(numbers: Float64Array, from: number, to: number): void {
    let sum = this.#sum;
    for (let i = from; i < to; i++) sum += numbers[i] as number;
    this.#sum = sum;
  }

  finish(out: PointSink): void {
    out.push(this.#returnMs, this.#sum);
  }
}
