/** The mean of a bucket. Gaps do not count; a bucket of nothing but gaps is NaN, which fails the query. */
import { numberOf, type PointSink, type QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

export const avg = aggregatorKind({
  name: 'avg',
  javaClass: 'AvgAggregator',
  properties: rangeProperties,
  make: (given, query) =>
    rangeAggregator({ takes: 'number', gives: 'number' }, given, query, () => new Mean()),
});

class Mean implements Fold {
  #returnMs = 0;
  #sum = 0;
  #count = 0;

  begin(returnMs: number): void {
    this.#returnMs = returnMs;
    this.#sum = 0;
    this.#count = 0;
  }

  add(_timestampMs: number, value: QueryValue): void {
    if (value === null || typeof value === 'string') return;
    this.#sum += numberOf(value);
    this.#count++;
  }

  addNumbers(numbers: Float64Array, from: number, to: number): void {
    let sum = this.#sum;
    for (let i = from; i < to; i++) sum += numbers[i] as number;
    this.#sum = sum;
    this.#count += to - from;
  }

  finish(out: PointSink): void {
    out.push(this.#returnMs, this.#sum / this.#count);
  }
}
