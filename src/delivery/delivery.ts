/**
 * Makes any sink outage-proof: batches, retries with backoff, a breaker, a limit in flight, a timeout and a
 * health check around its three verbs [V4] [T1] [T3]. It keeps no backlog of its own: points stay with the
 * caller's `write` until stored, so the durable backlog is the topic behind the caller's cursor (design §1).
 */
import { RetriableError } from '../model/index.ts';
import { type Clock, type Logger, silentLogger, systemClock } from '../runtime/index.ts';
import {
  type Batch,
  BatchQueue,
  isAbandoned,
  type PendingWrite,
  settleBatch,
} from './batch-queue.ts';
import type { BreakerState } from './breaker.ts';
import type { Rejection, Sink } from './contract.ts';
import { type DeliveryPolicy, deliveryPolicy, TIMER_MS_MAX } from './policy.ts';
import { type SinkFailure, SinkLink } from './sink-link.ts';
import { DeliveryTelemetry } from './telemetry.ts';

export interface DeliveryParts<P = never> {
  /** In [0, 1); spreads the retries. */
  readonly random: () => number;
  readonly clock?: Clock;
  readonly log?: Logger;
  /** What a point counts for in `batchPointsMax` and `gatherFromPoints`. Default: one. */
  readonly weigh?: (point: P) => number;
}

export interface DeliveryState {
  readonly sink: string;
  readonly breaker: BreakerState;
  /** Failed attempts since the last success. */
  readonly attempts: number;
  /** The last failure, kept until the sink works again. */
  readonly lastError: SinkFailure | null;
  /** Batches on their way. */
  readonly inFlight: number;
  /** Points handed over and neither stored nor rejected yet. */
  readonly heldPoints: number;
  /** When the next attempt goes, ms since the epoch; null when nothing waits for one. */
  readonly nextAttemptAtMs: number | null;
  /** Points since start. */
  readonly written: number;
  readonly rejected: number;
  /** Attempts since start that failed and came again. */
  readonly retries: number;
}

/** A sink made outage-proof; see `Delivery`. */
export function deliver<P>(
  sink: Sink<P>,
  policy: Partial<DeliveryPolicy>,
  parts: DeliveryParts<P>,
): Delivery<P> {
  return new Delivery(sink, deliveryPolicy(policy), parts);
}

export class Delivery<P> {
  readonly #sink: Sink<P>;
  readonly #policy: DeliveryPolicy;
  readonly #clock: Clock;
  readonly #telemetry: DeliveryTelemetry;
  readonly #link: SinkLink<P>;
  readonly #queue: BatchQueue<P>;
  readonly #open = new Set<PendingWrite<P>>();
  readonly #retrying: Batch<P>[] = [];
  readonly #closing = new AbortController();
  readonly #stopHealthChecks: () => void;
  #onReady: (() => void)[] = [];
  #onIdle: (() => void)[] = [];
  #inFlight = 0;
  #probing = false;
  #checking = false;
  #probesFailed = 0;
  #flushing = false;
  /** There was a backlog when the last write ended: the next batch may wait for more. */
  #gathering = false;
  #stopping: Promise<void> | undefined;
  #wake: { readonly atMs: number; readonly cancel: AbortController } | undefined;
  #heldPoints = 0;
  #written = 0;
  #rejected = 0;
  #retries = 0;

  constructor(sink: Sink<P>, policy: DeliveryPolicy, parts: DeliveryParts<P>) {
    this.#sink = sink;
    this.#policy = policy;
    this.#clock = parts.clock ?? systemClock;
    this.#telemetry = new DeliveryTelemetry(sink.name, {
      clock: this.#clock,
      log: parts.log ?? silentLogger,
    });
    this.#link = new SinkLink({
      sink,
      policy,
      clock: this.#clock,
      random: parts.random,
      closing: this.#closing.signal,
    });
    this.#queue = new BatchQueue(policy.batchPointsMax, parts.weigh);
    this.#stopHealthChecks =
      policy.healthIntervalMs > 0
        ? this.#clock.every(policy.healthIntervalMs, () => void this.#checkHealth())
        : () => {};
  }

  /** The sink's. */
  get name(): string {
    return this.#sink.name;
  }

  /**
   * Resolves once every point is stored or can never be; then the caller may commit its cursor. Rejects only
   * when the attempts allowed are used up (the last error), on `stop` (RetriableError DELIVERY_STOPPED) or
   * when `signal` aborts (its reason); some of the points may be stored then, writing them again is harmless.
   * The array must not be changed meanwhile.
   */
  async write(
    points: readonly P[],
    signal?: AbortSignal,
  ): Promise<{ readonly rejections: readonly Rejection[] }> {
    signal?.throwIfAborted();
    if (this.#stopping) throw this.#stopped();
    if (points.length === 0) return { rejections: [] };
    let onAbort = () => {};
    const settled = new Promise<readonly Rejection[]>((resolve, reject) => {
      const write: PendingWrite<P> = {
        points,
        sinceMs: this.#clock.now(),
        resolve,
        reject,
        rejections: [],
        next: 0,
        open: points.length,
        settled: false,
      };
      onAbort = () => this.#abandon(write, signal?.reason);
      this.#open.add(write);
      this.#heldPoints += points.length;
      this.#queue.add(write);
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#pump();
    try {
      return { rejections: await settled };
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Sends what waits for its batch to fill, without waiting longer. */
  flush(): void {
    this.#flushing = this.#queue.points > 0;
    this.#pump();
  }

  /**
   * Resolves while the sink takes points and not too many are held. A caller that waits for it before it
   * reads on holds nothing in memory during an outage. Rejects with DELIVERY_STOPPED after `stop`.
   */
  async ready(): Promise<void> {
    while (!this.#isReady()) {
      if (this.#stopping) throw this.#stopped();
      await new Promise<void>((resolve) => this.#onReady.push(resolve));
    }
    if (this.#stopping) throw this.#stopped();
  }

  /** Tries now what waits for its backoff; false when nothing did. */
  retryNow(): boolean {
    const nowMs = this.#clock.now();
    const waited = this.#retrying.length > 0 || this.#link.breaker === 'open';
    for (const batch of this.#retrying) batch.dueMs = nowMs;
    this.#link.hurry(nowMs);
    this.#pump();
    return waited;
  }

  state(): DeliveryState {
    return {
      sink: this.#sink.name,
      breaker: this.#link.breaker,
      attempts: this.#link.failures,
      lastError: this.#link.lastFailure,
      inFlight: this.#inFlight,
      heldPoints: this.#heldPoints,
      nextAttemptAtMs: this.#nextAttemptAtMs() ?? null,
      written: this.#written,
      rejected: this.#rejected,
      retries: this.#retries,
    };
  }

  /**
   * Takes no more points, sends what it holds for at most `deadlineMs`, then rejects the rest with
   * DELIVERY_STOPPED and closes the sink. Does not wait for an attempt that is due only after the deadline.
   */
  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#stopHealthChecks();
    const endMs = this.#clock.now() + deadlineMs;
    // `#stopping` is set only when this function first waits; ready() and write() look at it.
    await Promise.resolve();
    this.flush();
    const timer = new AbortController();
    let expired = false;
    const deadline = this.#clock.sleep(deadlineMs, timer.signal).then(
      () => {
        expired = true;
      },
      () => {},
    );
    while (this.#open.size > 0 && !expired) {
      const nextMs = this.#nextAttemptAtMs();
      if (this.#inFlight === 0 && nextMs !== undefined && nextMs >= endMs) break;
      await Promise.race([deadline, new Promise<void>((resolve) => this.#onIdle.push(resolve))]);
    }
    timer.abort();
    this.#closing.abort(this.#stopped());
    this.#wake?.cancel.abort();
    for (const write of [...this.#open]) this.#fail(write, this.#stopped());
    this.#retrying.length = 0;
    this.#telemetry.holds({ points: 0, inFlight: 0 });
    this.#release(this.#onReady);
    await this.#sink.close();
  }

  /** Sends whatever may go now and sets the alarm for what may go later. */
  #pump(): void {
    if (this.#closing.signal.aborted) return;
    let nowMs: number;
    for (;;) {
      nowMs = this.#clock.now();
      if (!this.#link.mayTry(nowMs)) break;
      if (this.#inFlight + (this.#probing ? 1 : 0) >= this.#writersAllowed()) break;
      const batch = this.#nextBatch(nowMs);
      if (batch) void this.#send(batch);
      else if (this.#link.breaker === 'half-open') void this.#probe();
      else break;
    }
    this.#telemetry.breakerIs(this.#link.breaker);
    this.#telemetry.holds({ points: this.#heldPoints, inFlight: this.#inFlight });
    if (this.#isReady()) this.#release(this.#onReady);
    this.#release(this.#onIdle);
    this.#setAlarm(nowMs);
  }

  /** While it is uncertain that the sink answers, one attempt at a time. */
  #writersAllowed(): number {
    return this.#link.isSound ? this.#policy.writersMax : 1;
  }

  /** Failed batches first, oldest first; they keep their place among the writers, so memory and order hold. */
  #nextBatch(nowMs: number): Batch<P> | undefined {
    for (let at = 0; at < this.#retrying.length; at++) {
      const batch = this.#retrying[at]!;
      if (isAbandoned(batch)) this.#retrying.splice(at--, 1);
      else if (batch.dueMs <= nowMs || this.#link.breaker === 'half-open') {
        this.#retrying.splice(at, 1);
        return batch;
      }
    }
    if (this.#inFlight + this.#retrying.length >= this.#policy.writersMax) return undefined;
    return this.#isRipe(nowMs) ? this.#queue.take() : undefined;
  }

  #isRipe(nowMs: number): boolean {
    const sinceMs = this.#queue.oldestSinceMs;
    if (sinceMs === undefined) this.#flushing = this.#gathering = false;
    if (sinceMs === undefined) return false;
    return this.#flushing || this.#queue.full || nowMs - sinceMs >= this.#patienceMs;
  }

  /** How long the oldest point of a batch that is not full waits. */
  get #patienceMs(): number {
    const { flushIntervalMs, gatherMs } = this.#policy;
    return this.#gathering ? Math.max(flushIntervalMs, gatherMs) : flushIntervalMs;
  }

  #isBacklog(): boolean {
    const { gatherFromPoints } = this.#policy;
    return gatherFromPoints > 0 && this.#queue.points >= gatherFromPoints;
  }

  async #send(batch: Batch<P>): Promise<void> {
    this.#inFlight++;
    try {
      const startMs = this.#clock.now();
      const rejections = await this.#link.write(batch.points);
      this.#stored(batch, rejections, this.#clock.now() - startMs);
    } catch (error) {
      // Cut by stop(): its writes have been handed back.
      if (this.#closing.signal.aborted) return;
      batch.attempts++;
      const failure = this.#failed(error, batch.attempts, batch.points.length);
      batch.dueMs = failure.retryAtMs;
      const { attemptsMax } = this.#policy;
      if (attemptsMax > 0 && batch.attempts >= attemptsMax) {
        for (const { write } of batch.slices) this.#fail(write, failure.error);
      } else {
        this.#retries++;
        this.#retrying.push(batch);
      }
    } finally {
      this.#inFlight--;
      this.#gathering = this.#isBacklog();
      this.#pump();
    }
  }

  /** With nothing to write, an open breaker asks the sink itself. */
  async #probe(): Promise<void> {
    this.#probing = true;
    try {
      await this.#link.probe();
      this.#succeeded();
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#failed(error, ++this.#probesFailed, 0);
    } finally {
      this.#probing = false;
      this.#pump();
    }
  }

  async #checkHealth(): Promise<void> {
    if (this.#checking || this.#probing || this.#link.breaker !== 'closed') return;
    this.#checking = true;
    await this.#link.checkHealth();
    this.#checking = false;
    this.#pump();
  }

  #stored(batch: Batch<P>, rejections: readonly Rejection[], durationMs: number): void {
    this.#written += batch.points.length - rejections.length;
    this.#rejected += rejections.length;
    this.#telemetry.batchStored({ points: batch.points.length, rejections, durationMs });
    this.#succeeded();
    settleBatch(batch, rejections);
    for (const { write } of batch.slices) if (write.settled) this.#forget(write);
  }

  #succeeded(): void {
    // The sink is back: what waited for it need not wait on. While the breaker was closed, a waiting batch
    // failed where others succeed, and keeps its backoff.
    if (this.#link.breaker !== 'closed') for (const batch of this.#retrying) batch.dueMs = 0;
    this.#link.succeeded();
    this.#probesFailed = 0;
    this.#telemetry.recovered();
  }

  #failed(thrown: unknown, attempts: number, points: number) {
    const failure = this.#link.failed(thrown, attempts);
    this.#telemetry.attemptFailed({ error: failure.error, points, attempts });
    return failure;
  }

  #abandon(write: PendingWrite<P>, reason: unknown): void {
    this.#fail(write, reason);
    this.#pump();
  }

  #fail(write: PendingWrite<P>, reason: unknown): void {
    if (write.settled) return;
    write.settled = true;
    this.#queue.drop(write);
    this.#forget(write);
    write.reject(reason);
  }

  #forget(write: PendingWrite<P>): void {
    if (this.#open.delete(write)) this.#heldPoints -= write.points.length;
  }

  #isReady(): boolean {
    return this.#link.breaker === 'closed' && this.#heldPoints < this.#policy.heldPointsMax;
  }

  #release(waiting: (() => void)[]): void {
    for (const resume of waiting.splice(0)) resume();
  }

  /** When a batch may be tried again, for the state and the alarm; undefined when none waits for that. */
  #nextAttemptAtMs(): number | undefined {
    const { probeAtMs } = this.#link;
    if (probeAtMs !== undefined) return probeAtMs;
    if (this.#retrying.length === 0) return undefined;
    return this.#link.notBefore(Math.min(...this.#retrying.map((batch) => batch.dueMs)));
  }

  /** `nowMs`: when it was judged what is due. Looking again, later, would lose what has become due in between. */
  #setAlarm(nowMs: number): void {
    const times: number[] = [];
    const nextAttemptMs = this.#nextAttemptAtMs();
    if (nextAttemptMs !== undefined) times.push(nextAttemptMs);
    const sinceMs = this.#queue.oldestSinceMs;
    if (sinceMs !== undefined && this.#link.breaker === 'closed') {
      times.push(this.#link.notBefore(sinceMs + this.#patienceMs));
    }
    // What is due already waits for a writer, and the writer's end pumps again.
    const atMs = Math.min(...times.filter((time) => time > nowMs));
    if (this.#wake?.atMs === atMs) return;
    this.#wake?.cancel.abort();
    this.#wake = undefined;
    if (!Number.isFinite(atMs)) return;
    const cancel = new AbortController();
    this.#wake = { atMs, cancel };
    // A timer longer than Node can hold would fire at once; a shorter one only looks again.
    this.#clock.sleep(Math.min(atMs - nowMs, TIMER_MS_MAX), cancel.signal).then(
      () => {
        this.#wake = undefined;
        this.#pump();
      },
      () => {},
    );
  }

  #stopped(): RetriableError {
    return new RetriableError(`delivery to ${this.#sink.name} has stopped`, {
      code: 'DELIVERY_STOPPED',
      context: { sink: this.#sink.name },
    });
  }
}
