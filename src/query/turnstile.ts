/** So many may be inside at once; a bounded number waits, first come first served; more are sent away. */
import { RetriableError } from '../model/index.ts';

export class Turnstile {
  readonly #insideMax: number;
  readonly #waitingMax: number;
  readonly #queue: (() => void)[] = [];
  #inside = 0;

  constructor(insideMax: number, waitingMax: number) {
    this.#insideMax = insideMax;
    this.#waitingMax = waitingMax;
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Gives the way out, to be called once. Throws RetriableError TOO_MANY_QUERIES, or the signal's reason. */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#inside >= this.#insideMax) {
      if (this.#queue.length >= this.#waitingMax) {
        throw new RetriableError(
          `${this.#inside} queries are being answered and ${this.#queue.length} wait; come again`,
          { code: 'TOO_MANY_QUERIES', retryAfterMs: 1_000 },
        );
      }
      await this.#wait(signal);
    } else this.#inside++;
    return () => this.#leave();
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#queue.splice(this.#queue.indexOf(turn), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(turn);
    });
  }

  /** Whoever waits longest takes the place. */
  #leave(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#inside--;
    else next();
  }
}
