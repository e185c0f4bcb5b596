/** What the delivery to a sink tells the outside: each happening owns its metrics and its log line. */
import type { TidemarkError } from '../model/index.ts';
import { type Clock, counter, gauge, histogram, type Logger } from '../runtime/index.ts';
import type { BreakerState } from './breaker.ts';
import type { Rejection } from './contract.ts';

const written = counter('delivery_points_written_total', 'Points stored by a sink.', ['sink']);
const rejected = counter(
  'delivery_points_rejected_total',
  'Points a sink can never store; their records go to the dead-letter topic.',
  ['sink', 'code'],
);
const retries = counter(
  'delivery_retries_total',
  'Attempts that failed and come again. A retry is no loss.',
  ['sink', 'code'],
);
const batchPoints = histogram(
  'delivery_batch_points',
  'Points per batch sent.',
  ['sink'],
  [1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000],
);
const writeSeconds = histogram(
  'delivery_write_seconds',
  'Time a sink took for one batch that was stored, seconds.',
  ['sink'],
  [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
);
const breakerState = gauge(
  'delivery_breaker_state',
  '0 closed: writing; 1 half-open: one attempt decides; 2 open: waiting for the sink to come back.',
  ['sink'],
);
const heldPoints = gauge(
  'delivery_held_points',
  'Points handed over and neither stored nor rejected yet.',
  ['sink'],
);
const writesInFlight = gauge('delivery_in_flight_writes', 'Batches on their way.', ['sink']);

const BREAKER_LEVEL: Record<BreakerState, number> = { closed: 0, 'half-open': 1, open: 2 };
/** One warning in this time per sink; the next says how many were left out. */
const LOG_INTERVAL_MS = 10_000;

export class DeliveryTelemetry {
  readonly #labels: { readonly sink: string };
  readonly #log: Logger;
  readonly #clock: Clock;
  #warnedAtMs = Number.NEGATIVE_INFINITY;
  #unsaid = 0;
  #failing = false;

  constructor(sink: string, parts: { readonly clock: Clock; readonly log: Logger }) {
    this.#labels = { sink };
    this.#log = parts.log.child({ sink });
    this.#clock = parts.clock;
    breakerState.set(this.#labels, 0);
  }

  batchStored(batch: {
    points: number;
    rejections: readonly Rejection[];
    durationMs: number;
  }): void {
    const { points, rejections, durationMs } = batch;
    written.add(this.#labels, points - rejections.length);
    batchPoints.observe(this.#labels, points);
    writeSeconds.observe(this.#labels, durationMs / 1_000);
    if (rejections.length > 0) this.#pointsRejected(rejections);
  }

  /** An attempt failed; `points` is 0 when it was a check in a quiet period. */
  attemptFailed(failure: { error: TidemarkError; points: number; attempts: number }): void {
    const { error, points, attempts } = failure;
    if (points > 0) retries.add({ ...this.#labels, code: error.code });
    this.#failing = true;
    const nowMs = this.#clock.now();
    if (nowMs - this.#warnedAtMs < LOG_INTERVAL_MS) {
      this.#unsaid++;
      return;
    }
    const context = { code: error.code, points, attempts, unsaid: this.#unsaid };
    if (error.family === 'retriable') this.#log.warn(context, error.message);
    else this.#log.error(context, error.message);
    this.#warnedAtMs = nowMs;
    this.#unsaid = 0;
  }

  recovered(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#warnedAtMs = Number.NEGATIVE_INFINITY;
    this.#log.info({}, 'sink takes points again');
  }

  breakerIs(state: BreakerState): void {
    breakerState.set(this.#labels, BREAKER_LEVEL[state]);
  }

  holds(held: { points: number; inFlight: number }): void {
    heldPoints.set(this.#labels, held.points);
    writesInFlight.set(this.#labels, held.inFlight);
  }

  #pointsRejected(rejections: readonly Rejection[]): void {
    const counts = new Map<string, number>();
    for (const { code = 'SINK_REJECTED' } of rejections) {
      counts.set(code, (counts.get(code) ?? 0) + 1);
    }
    for (const [code, count] of counts) rejected.add({ ...this.#labels, code }, count);
    this.#log.warn(
      { rejected: rejections.length, codes: Object.fromEntries(counts) },
      `points rejected for ever, the first because: ${rejections[0]?.message}`,
    );
  }
}
