/** The first point of a bucket, whatever its type. */
import type { PointSink, QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';
import { type Fold, rangeAggregator, rangeProperties } from './range.ts';

export const first = aggregatorKind({
  name: 'first',
  javaClass: 'FirstAggregator',
  properties: rangeProperties,
  make: (given, query) =>
    rangeAggregator({ takes: 'any', gives: 'same' }, given, query, () => new First()),
});

class First implements Fold {
  #returnMs = 0;
  #value: QueryValue | undefined;

  begin(returnMs: number): void {
    this.#returnMs = returnMs;
    this.#value = undefined;
  }

  add(_timestampMs: number, value: QueryValue): void {
    if (this.#value === undefined) this.#value = value;
  }

  finish(out: PointSink): void {
    out.push(this.#returnMs, this.#value as QueryValue);
  }
}
