/**
 * The line that fits a bucket best, as its two ends. The running sums are those of Apache Commons Math 3.2's
 * SimpleRegression: at times since 1970 the digits that are left depend on their order.
 */
import { numberOf, type PointSink, type QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

export const leastSquares = aggregatorKind({
  name: 'least_squares',
  javaClass: 'LeastSquaresAggregator',
  properties: rangeProperties,
  make: (given, query) =>
    rangeAggregator({ takes: 'number', gives: 'number' }, given, query, () => new Line()),
});

class Line implements Fold {
  #count = 0;
  /** The first two points, given back as they are when there are no more. */
  #kept: (readonly [number, QueryValue])[] = [];
  #lastMs = 0;
  #sumX = 0;
  #sumY = 0;
  #sumXX = 0;
  #sumXY = 0;
  #meanX = 0;
  #meanY = 0;

  begin(): void {
    this.#count = 0;
    this.#kept = [];
    this.#sumX = 0;
    this.#sumY = 0;
    this.#sumXX = 0;
    this.#sumXY = 0;
  }

  add(x: number, value: QueryValue): void {
    const y = numberOf(value);
    const n = this.#count;
    if (n < 2) this.#kept.push([x, value]);
    if (n === 0) {
      this.#meanX = x;
      this.#meanY = y;
    } else {
      const before = 1 + n;
      const factor = n / (1 + n);
      const dx = x - this.#meanX;
      const dy = y - this.#meanY;
      this.#sumXX += dx * dx * factor;
      this.#sumXY += dx * dy * factor;
      this.#meanX += dx / before;
      this.#meanY += dy / before;
    }
    this.#sumX += x;
    this.#sumY += y;
    this.#lastMs = x;
    this.#count++;
  }

  finish(out: PointSink): void {
    if (this.#count <= 2) {
      for (const [timestampMs, value] of this.#kept) out.push(timestampMs, value);
      return;
    }
    // SimpleRegression gives no slope when the times hardly differ; NaN then fails the query.
    const slope =
      Math.abs(this.#sumXX) < 10 * Number.MIN_VALUE ? Number.NaN : this.#sumXY / this.#sumXX;
    const intercept = (this.#sumY - slope * this.#sumX) / this.#count;
    const firstMs = (this.#kept[0] as readonly [number, QueryValue])[0];
    for (const x of [firstMs, this.#lastMs]) out.push(x, intercept + slope * x);
  }
}
