/**
 * The standard deviation of a sample, by the running sums of KairosDB's `StdAggregator`, whose digits depend on their
 * order; or the mean with some deviations added or taken off.
 */
import { type Given, int, lowerCaseWord } from '../parse/property.ts';
import { numberOf, type PointSink, type QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

const properties = {
  ...rangeProperties,
  return_type: lowerCaseWord(['value', 'pos_sd', 'neg_sd']),
  dev_count: int,
} as const;

export const dev = aggregatorKind({
  name: 'dev',
  javaClass: 'StdAggregator',
  properties,
  make: (given, query) =>
    rangeAggregator({ takes: 'number', gives: 'number' }, given, query, () => new Deviation(given)),
});

class Deviation implements Fold {
  readonly #given: Given<typeof properties>;
  #returnMs = 0;
  #count = 0;
  #mean = 0;
  #meanOfSquares = 0;

  constructor(given: Given<typeof properties>) {
    this.#given = given;
  }

  begin(returnMs: number): void {
    this.#returnMs = returnMs;
    this.#count = 0;
    this.#mean = 0;
    this.#meanOfSquares = 0;
  }

  add(_timestampMs: number, value: QueryValue): void {
    this.#add(numberOf(value));
  }

  addNumbers(numbers: Float64Array, from: number, to: number): void {
    for (let i = from; i < to; i++) this.#add(numbers[i] as number);
  }

  #add(x: number): void {
    this.#count++;
    this.#mean += (x - this.#mean) / this.#count;
    this.#meanOfSquares += (x * x - this.#meanOfSquares) / this.#count;
  }

  finish(out: PointSink): void {
    const n = this.#count;
    const root = Math.sqrt((this.#meanOfSquares * n - n * this.#mean * this.#mean) / (n - 1));
    const deviation = Number.isNaN(root) ? 0 : root;
    const { return_type: type, dev_count: times = 1 } = this.#given;
    if (type === 'pos_sd') out.push(this.#returnMs, this.#mean + deviation * times);
    else if (type === 'neg_sd') out.push(this.#returnMs, this.#mean - deviation * times);
    else out.push(this.#returnMs, deviation);
  }
}
