/** The least value of a bucket. */
import { numberOf, type PointSink, type QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

export const min = aggregatorKind({
  name: 'min',
  javaClass: 'MinAggregator',
  properties: rangeProperties,
  make: (given, query) =>
    rangeAggregator({ takes: 'number', gives: 'number' }, given, query, () => new Minimum()),
});

class Minimum implements Fold {
  #returnMs = 0;
  #min = 0;

  begin(returnMs: number): void {
    this.#returnMs = returnMs;
    this.#min = Number.MAX_VALUE;
  }

  add(_timestampMs: number, value: QueryValue): void {
    this.#min = Math.min(this.#min, numberOf(value));
  }

  addNumbers(numbers: Float64Array, from: number, to: number): void {
    for (let i = from; i < to; i++) this.#min = Math.min(this.#min, numbers[i] as number);
  }

  finish(out: PointSink): void {
    out.push(this.#returnMs, this.#min);
  }
}
