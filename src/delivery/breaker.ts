/**
 * Whether a sink may be tried. Closed: everybody may; open: nobody until a given moment; half-open: one
 * attempt decides. It only keeps the state; waiting and choosing the probe are the delivery's.
 */

export type BreakerState = 'closed' | 'open' | 'half-open';

export class Breaker {
  readonly #failuresMax: number;
  #state: BreakerState = 'closed';
  #failures = 0;
  #retryAtMs = 0;

  constructor(failuresMax: number) {
    this.#failuresMax = failuresMax;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** While open: when the next probe may go, ms since the epoch. */
  get retryAtMs(): number {
    return this.#retryAtMs;
  }

  succeeded(): void {
    this.#state = 'closed';
    this.#failures = 0;
  }

  /** Opens until `retryAtMs` when this was a probe or the last failure allowed in a row. */
  failed(retryAtMs: number): void {
    this.#failures++;
    if (this.#state === 'closed' && this.#failures < this.#failuresMax) return;
    if (this.#state === 'open') this.#retryAtMs = Math.max(this.#retryAtMs, retryAtMs);
    else this.#open(retryAtMs);
  }

  /** Opens at once, whatever the count: the failure would meet every attempt (wrong token). */
  trip(retryAtMs: number): void {
    this.#failures++;
    this.#open(retryAtMs);
  }

  /** An operator wants the next probe now. */
  hurry(nowMs: number): void {
    if (this.#state === 'open') this.#retryAtMs = nowMs;
  }

  /** Turns open into half-open when the time has come; says whether an attempt may go now. */
  mayPass(nowMs: number): boolean {
    if (this.#state === 'open' && nowMs >= this.#retryAtMs) this.#state = 'half-open';
    return this.#state !== 'open';
  }

  #open(retryAtMs: number): void {
    this.#state = 'open';
    this.#retryAtMs = retryAtMs;
  }
}
