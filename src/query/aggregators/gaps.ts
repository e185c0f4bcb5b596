/** Points as they are, and a null at the start of every bucket that has none. */
import { QueryFailed } from '../errors.ts';
import type { PointSink, QueryValue } from '../point.ts';
import type { Buckets } from '../time/buckets.ts';
import { aggregatorKind } from './aggregator.ts';
import { bucketsOf, rangeProperties } from './range.ts';

/** Nulls in one go; no answer could hold more, so a question for them is refused before the time is spent. */
const GAPS_MAX = 10_000_000;

export const gaps = aggregatorKind({
  name: 'gaps',
  javaClass: 'DataGapsMarkingAggregator',
  properties: rangeProperties,
  make(given, query) {
    const buckets = bucketsOf(given, query);
    const startMs = given.start_time ?? query.startMs;
    const endMs = Math.min(given.end_time ?? query.endMs, query.nowMs);
    const trim = given.trim ?? false;
    // KairosDB keeps this with the aggregator, not the group: later groups begin with nulls (spec §4.4).
    const shared = { started: false };
    return {
      takes: 'any',
      gives: 'same',
      inOrder: trim,
      open: (out) =>
        trim
          ? new GapSink(buckets, buckets.baseMs, Number.NEGATIVE_INFINITY, shared, out)
          : new GapSink(buckets, startMs, endMs, { started: true }, out),
    };
  },
});

class GapSink implements PointSink {
  readonly #buckets: Buckets;
  readonly #endMs: number;
  readonly #shared: { started: boolean };
  readonly #out: PointSink;
  #nextMs: number;
  #bucketEndMs = Number.NEGATIVE_INFINITY;

  constructor(
    buckets: Buckets,
    startMs: number,
    endMs: number,
    shared: { started: boolean },
    out: PointSink,
  ) {
    this.#buckets = buckets;
    this.#nextMs = startMs;
    this.#endMs = endMs;
    this.#shared = shared;
    this.#out = out;
  }

  push(timestampMs: number, value: QueryValue): void {
    if (timestampMs >= this.#bucketEndMs && this.#shared.started) this.#checkLength(timestampMs);
    while (timestampMs >= this.#bucketEndMs) {
      if (!this.#shared.started) {
        this.#shared.started = true;
        this.#nextMs = timestampMs;
      }
      const startMs = this.#step();
      if (timestampMs >= this.#bucketEndMs) this.#out.push(startMs, null);
    }
    this.#out.push(timestampMs, value);
  }

  end(): void {
    this.#checkLength(this.#endMs);
    while (this.#nextMs <= this.#endMs) this.#out.push(this.#step(), null);
    this.#out.end();
  }

  #checkLength(untilMs: number): void {
    const lengthMs = this.#buckets.endOf(this.#nextMs) - this.#buckets.startOf(this.#nextMs);
    if (untilMs - this.#nextMs <= lengthMs * GAPS_MAX) return;
    throw new QueryFailed(`more than ${GAPS_MAX} gaps: ask for a shorter time or a wider sampling`);
  }

  /** On to the next bucket; gives its start. */
  #step(): number {
    const startMs = this.#buckets.startOf(this.#nextMs);
    this.#bucketEndMs = this.#buckets.endOf(this.#nextMs);
    // Around a change of the clock a bucket can be empty of time; KairosDB never comes out of it.
    if (this.#bucketEndMs <= this.#nextMs) throw new QueryFailed(null);
    this.#nextMs = this.#bucketEndMs;
    return startMs;
  }
}
