/**
 * Answers kept for a short while, and questions asked at the same time answered once. The dashboard of many
 * viewers asks the same thing every few seconds; a window may still be revised, so answers age fast.
 */
import type { Clock } from '../../runtime/index.ts';

export interface QueryCacheOptions {
  readonly clock: Clock;
  /** How long an answer is good, ms; 0 = only as long as the question is under way. */
  readonly ttlMs: number;
  /** The least recently used answer goes when there are more. */
  readonly entriesMax: number;
}

interface Entry<T> {
  readonly answer: Promise<T>;
  /** Infinite while the question is under way. */
  goodUntilMs: number;
}

export class QueryCache<T> {
  readonly #options: QueryCacheOptions;
  /** In order of use, the least recent first. */
  readonly #entries = new Map<string, Entry<T>>();

  constructor(options: QueryCacheOptions) {
    this.#options = options;
  }

  /** The kept answer to `question`, else what `ask` answers. A failure is passed on and not kept. */
  get(question: string, ask: () => Promise<T>): Promise<T> {
    const { clock, ttlMs, entriesMax } = this.#options;
    const kept = this.#entries.get(question);
    this.#entries.delete(question);
    if (kept && clock.now() < kept.goodUntilMs) {
      this.#entries.set(question, kept);
      return kept.answer;
    }
    const entry: Entry<T> = { answer: ask(), goodUntilMs: Number.POSITIVE_INFINITY };
    this.#entries.set(question, entry);
    const forget = () => {
      if (this.#entries.get(question) === entry) this.#entries.delete(question);
    };
    entry.answer.then(() => {
      entry.goodUntilMs = clock.now() + ttlMs;
      if (ttlMs === 0) forget();
    }, forget);
    if (this.#entries.size > entriesMax) {
      const [oldest] = this.#entries.keys();
      this.#entries.delete(oldest!);
    }
    return entry.answer;
  }
}
