/** Takes away the first point, the last one, or both. */
import { anyCaseWord } from '../parse/property.ts';
import type { PointSink, QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';

export const trim = aggregatorKind({
  name: 'trim',
  javaClass: 'TrimAggregator',
  properties: { trim: anyCaseWord(['first', 'last', 'both']) },
  make: ({ trim: which }) => ({
    takes: 'any',
    gives: 'same',
    open: (out: PointSink) =>
      new TrimSink(out, {
        first: which === 'first' || which === 'both',
        last: which === 'last' || which === 'both',
      }),
  }),
});

class TrimSink implements PointSink {
  readonly #out: PointSink;
  readonly #holdsBack: boolean;
  #drops: boolean;
  #held: readonly [number, QueryValue] | undefined;

  constructor(out: PointSink, which: { readonly first: boolean; readonly last: boolean }) {
    this.#out = out;
    this.#drops = which.first;
    this.#holdsBack = which.last;
  }

  push(timestampMs: number, value: QueryValue): void {
    if (this.#drops) {
      this.#drops = false;
      return;
    }
    if (!this.#holdsBack) {
      this.#out.push(timestampMs, value);
      return;
    }
    if (this.#held !== undefined) this.#out.push(...this.#held);
    this.#held = [timestampMs, value];
  }

  end(): void {
    this.#out.end();
  }
}
