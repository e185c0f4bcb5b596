/**
 * The only place where time passes by itself. Everything that waits or looks at a watch takes a Clock, so
 * that tests and replays own time; operators never get one (the architecture test refuses Date.now elsewhere).
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `tick` every `ms` until the returned function is called. Does not keep the process alive. */
  every(ms: number, tick: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
  every: (ms, tick) => {
    const timer = setInterval(tick, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** A clock that stands still until told: `advance` runs what has come due, in order of its due time. */
export class ManualClock implements Clock {
  #now: number;
  #waiting: { dueMs: number; run: () => void }[] = [];

  constructor(startMs = 0) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#schedule(this.#now + ms, resolve);
    });
  }

  every(ms: number, tick: () => void): () => void {
    let live = true;
    const run = () => {
      if (!live) return;
      tick();
      this.#schedule(this.#now + ms, run);
    };
    this.#schedule(this.#now + ms, run);
    return () => {
      live = false;
    };
  }

  /** Moves time on by `ms`, running everything that comes due, and lets promises settle between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      this.#waiting.sort((a, b) => a.dueMs - b.dueMs);
      const next = this.#waiting[0];
      if (!next || next.dueMs > end) break;
      this.#waiting.shift();
      this.#now = next.dueMs;
      next.run();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  #schedule(dueMs: number, run: () => void): void {
    this.#waiting.push({ dueMs, run });
  }
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The only die: in [0, 1). Spreads retries; nothing that a result depends on may use it. */
export const random = (): number => Math.random();
