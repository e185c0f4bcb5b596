/** The mean of the last so many points; none before there are so many. */
import { QueryFailed } from '../errors.ts';
import { int } from '../parse/property.ts';
import { numberOf, type PointSink, type QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';

export const sma = aggregatorKind({
  name: 'sma',
  javaClass: 'SmaAggregator',
  properties: { size: int },
  make: ({ size = 0 }) => ({
    takes: 'number',
    gives: 'number',
    open(out: PointSink) {
      if (size === 0) throw new QueryFailed(null);
      return new MovingMean(size, out);
    },
  }),
});

class MovingMean implements PointSink {
  readonly #size: number;
  readonly #out: PointSink;
  readonly #last: QueryValue[] = [];

  constructor(size: number, out: PointSink) {
    this.#size = size;
    this.#out = out;
  }

  push(timestampMs: number, value: QueryValue): void {
    this.#last.push(value);
    if (this.#last.length > this.#size) this.#last.shift();
    if (this.#last.length < this.#size) return;
    // Summed anew, in order: KairosDB does, and a running sum has other digits.
    let sum = 0;
    for (const each of this.#last) sum += numberOf(each);
    this.#out.push(timestampMs, sum / this.#last.length);
  }

  end(): void {
    this.#out.end();
  }
}
