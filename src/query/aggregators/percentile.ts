/**
 * A percentile of a bucket, exact however many points it has. KairosDB samples 1,028 of them at random when there are
 * more, so that its own answers differ from one another; this is the only place where ours may differ from one of its.
 */
import { leastFrom, placeNth } from '../../stats/index.ts';
import { QueryFailed } from '../errors.ts';
import { javaDoubleText } from '../json/java-number.ts';
import { double } from '../parse/property.ts';
import { numberOf, type PointSink, type QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

export const percentile = aggregatorKind({
  name: 'percentile',
  javaClass: 'PercentileAggregator',
  properties: { ...rangeProperties, percentile: double },
  violations: ({ percentile: p = 0 }) => (p === 0 ? [['percentile', 'may not be zero']] : []),
  make: (given, query) =>
    rangeAggregator(
      { takes: 'number', gives: 'number' },
      given,
      query,
      () => new Percentile(given.percentile as number),
    ),
});

class Percentile implements Fold {
  readonly #p: number;
  #returnMs = 0;
  #values = new Float64Array(64);
  #count = 0;

  constructor(p: number) {
    this.#p = p;
  }

  begin(returnMs: number): void {
    this.#returnMs = returnMs;
    this.#count = 0;
  }

  add(_timestampMs: number, value: QueryValue): void {
    this.#makeRoom(1);
    this.#values[this.#count++] = numberOf(value);
  }

  addNumbers(numbers: Float64Array, from: number, to: number): void {
    this.#makeRoom(to - from);
    this.#values.set(numbers.subarray(from, to), this.#count);
    this.#count += to - from;
  }

  #makeRoom(more: number): void {
    const needed = this.#count + more;
    if (needed <= this.#values.length) return;
    const grown = new Float64Array(Math.max(needed, this.#values.length * 2));
    grown.set(this.#values.subarray(0, this.#count));
    this.#values = grown;
  }

  finish(out: PointSink): void {
    out.push(this.#returnMs, this.#value());
  }

  #value(): number {
    const p = this.#p;
    if (p < 0 || p > 1) throw new QueryFailed(`${javaDoubleText(p)} is not in [0..1]`);
    const values = this.#values.subarray(0, this.#count);
    const at = p * (this.#count + 1);
    const index = Math.min(Math.max(Math.floor(at), 1), this.#count) - 1;
    placeNth(values, index);
    const lower = values[index] as number;
    if (at < 1 || at >= this.#count) return lower;
    const upper = leastFrom(values, index + 1);
    return lower + (at - Math.floor(at)) * (upper - lower);
  }
}
