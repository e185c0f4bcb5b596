/**
 * What is known of the way to a sink: connected or not, breaker, the server's wish to be left alone, the last
 * failure. It runs single attempts and judges their failures; what is sent when is the delivery's.
 */
import { FatalError, messageOf, RetriableError, TidemarkError } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import { attempt } from './attempt.ts';
import { backoffMs } from './backoff.ts';
import { Breaker, type BreakerState } from './breaker.ts';
import type { Rejection, Sink } from './contract.ts';
import type { DeliveryPolicy } from './policy.ts';

export interface SinkFailure {
  readonly code: string;
  readonly message: string;
  readonly family: TidemarkError['family'];
  readonly atMs: number;
}

export interface SinkLinkParts<P> {
  readonly sink: Sink<P>;
  readonly policy: DeliveryPolicy;
  readonly clock: Clock;
  readonly random: () => number;
  /** Ends whatever attempt is under way. */
  readonly closing: AbortSignal;
}

export class SinkLink<P> {
  readonly #parts: SinkLinkParts<P>;
  readonly #breaker: Breaker;
  #connected = false;
  #notBeforeMs = 0;
  #lastFailure: SinkFailure | null = null;

  constructor(parts: SinkLinkParts<P>) {
    this.#parts = parts;
    this.#breaker = new Breaker(parts.policy.breakerFailuresMax);
  }

  get breaker(): BreakerState {
    return this.#breaker.state;
  }

  /** Failed attempts since the last success. */
  get failures(): number {
    return this.#breaker.failures;
  }

  /** Kept until the sink works again. */
  get lastFailure(): SinkFailure | null {
    return this.#lastFailure;
  }

  /** Connected, and nothing speaks against several attempts at a time. */
  get isSound(): boolean {
    return this.#connected && this.#breaker.state === 'closed';
  }

  /** While the breaker is open: when the next probe may go, ms since the epoch. */
  get probeAtMs(): number | undefined {
    return this.#breaker.state === 'open' ? this.notBefore(this.#breaker.retryAtMs) : undefined;
  }

  /** `dueMs`, or later when the server asked for more time. */
  notBefore(dueMs: number): number {
    return Math.max(dueMs, this.#notBeforeMs);
  }

  /** Whether an attempt may go now; an open breaker whose time has come becomes half-open by this. */
  mayTry(nowMs: number): boolean {
    return nowMs >= this.#notBeforeMs && this.#breaker.mayPass(nowMs);
  }

  /** An operator wants an attempt now, whatever backoff or server said. */
  hurry(nowMs: number): void {
    this.#notBeforeMs = 0;
    this.#breaker.hurry(nowMs);
  }

  write(points: readonly P[]): Promise<readonly Rejection[]> {
    return this.#attempt('write to', async (signal) => {
      await this.#connect(signal);
      return await this.#parts.sink.write(points, signal);
    });
  }

  /** Connects if need be and asks the sink how it is. */
  probe(): Promise<void> {
    return this.#attempt('check of', async (signal) => {
      await this.#connect(signal);
      await this.#parts.sink.check(signal);
    });
  }

  /** The periodic check [T3]. A sink that fails it is to be reconnected and probed before anything else. */
  async checkHealth(): Promise<void> {
    try {
      await this.#attempt('check of', (signal) => this.#parts.sink.check(signal));
    } catch {
      // Not a failure yet: the probe that follows reconnects, and its failure is the one that counts.
      this.#connected = false;
      this.#breaker.trip(this.#parts.clock.now());
    }
  }

  succeeded(): void {
    this.#breaker.succeeded();
    this.#lastFailure = null;
  }

  /** Notes a failure, the `attempts`th in a row of its batch, and says when to try again. */
  failed(
    thrown: unknown,
    attempts: number,
  ): { readonly error: TidemarkError; readonly retryAtMs: number } {
    const { clock, policy, random, sink } = this.#parts;
    const error = asTidemarkError(thrown, sink.name);
    const nowMs = clock.now();
    if (error.code === 'SINK_UNREACHABLE') this.#connected = false;
    let retryAtMs: number;
    if (error instanceof RetriableError) {
      const { retryAfterMs } = error;
      retryAtMs = nowMs + backoffMs(policy, { attempt: attempts, random, retryAfterMs });
      // The server's wish holds for all writers, not only for the one it told.
      if (retryAfterMs) this.#notBeforeMs = this.notBefore(nowMs + retryAfterMs);
      this.#breaker.failed(retryAtMs);
    } else {
      retryAtMs = nowMs + policy.backoffCapMs;
      this.#breaker.trip(retryAtMs);
    }
    const { code, message, family } = error;
    this.#lastFailure = { code, message, family, atMs: nowMs };
    return { error, retryAtMs };
  }

  async #connect(signal: AbortSignal): Promise<void> {
    if (this.#connected) return;
    await this.#parts.sink.connect(signal);
    this.#connected = true;
  }

  #attempt<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, policy, sink, closing } = this.#parts;
    const options = { clock, timeoutMs: policy.attemptTimeoutMs, signal: closing };
    return attempt({ ...options, what: `${what} ${sink.name}` }, work);
  }
}

/** Anything a sink throws outside the three families is a bug, and fatal (model/errors). */
function asTidemarkError(thrown: unknown, sink: string): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  return new FatalError(`BUG: ${sink} failed with ${messageOf(thrown)}`, {
    code: 'SINK_BUG',
    cause: thrown,
    context: { sink },
  });
}
