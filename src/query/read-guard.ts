/**
 * A store as one query sees it: every page is counted against the query's limits, and the query stops reading at once
 * when its signal says so, even while the store hangs. A first page that fails soon and for a passing reason is asked for
 * again.
 */
import { backoffMs } from '../delivery/index.ts';
import { RetriableError } from '../model/index.ts';
import { type Clock, random } from '../runtime/index.ts';
import { QueryFailed } from './errors.ts';
import type { PointPage, SeriesStore } from './store.ts';

/** 0 = without limit. */
export interface ReadLimits {
  readonly pointsMax: number;
  readonly rowsMax: number;
}

/** What KairosDB puts before the texts of its own limits. */
const PREFIX = 'org.kairosdb.core.exception.DatastoreException: '.repeat(2);
export const limitExceeded = (what: string): QueryFailed =>
  new QueryFailed(`${PREFIX}Query exceeded ${what}`);

const ATTEMPTS_MAX = 3;
/** What failed later than this hung, and whoever asks had better hear it than wait for the same again. */
const SOON_MS = 5_000;
const BACKOFF = { backoff: 'exponential', backoffBaseMs: 100, backoffCapMs: 1_000 } as const;

export class ReadGuard {
  readonly #limits: ReadLimits;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  /** One listener for all pages that are waited for. */
  readonly #waiting = new Set<(reason: unknown) => void>();
  points = 0;
  rows = 0;
  /** Pages that came, also empty ones: whether the store answers at all. */
  answers = 0;

  constructor(signal: AbortSignal, clock: Clock, limits: ReadLimits) {
    this.#signal = signal;
    this.#clock = clock;
    this.#limits = limits;
    signal.addEventListener('abort', () => {
      for (const reject of this.#waiting) reject(signal.reason);
      this.#waiting.clear();
    });
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  over(store: SeriesStore): SeriesStore {
    return {
      get spec() {
        return store.spec;
      },
      findRows: (query) =>
        this.#guard(
          () => store.findRows(query),
          (page) => this.#countRows(page.length),
        ),
      readRow: (row, options) =>
        this.#guard(
          // A client's question, unlike a rollup task's, is answered again: what a cache keeps will do.
          () => store.readRow(row, { ...options, mayBeCached: true }),
          (page) => this.#countPoints(page.times.length),
        ),
      readRowAtHand: (row, options) => {
        const pages = store.readRowAtHand?.(row, options);
        return pages && this.#guardAtHand(pages);
      },
    };
  }

  /** The work's result, or the signal's reason if that comes first. */
  wait<T>(work: Promise<T>): Promise<T> {
    // Once a page: by hand, because a race of promises takes five times as much memory.
    return new Promise((resolve, reject) => {
      if (this.#signal.aborted) reject(this.#signal.reason);
      else this.#waiting.add(reject);
      work.then(
        (result) => {
          this.#waiting.delete(reject);
          resolve(result);
        },
        (error) => {
          this.#waiting.delete(reject);
          reject(error);
        },
      );
    });
  }

  /** Again after a short wait, while it fails soon. */
  async attempt<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const begunMs = this.#clock.now();
      try {
        const result = await this.wait(work());
        this.answers++;
        return result;
      } catch (error) {
        const isSoon = this.#clock.now() - begunMs < SOON_MS;
        if (!(error instanceof RetriableError && isSoon) || attempt === ATTEMPTS_MAX) throw error;
        await this.#clock.sleep(backoffMs(BACKOFF, { attempt, random }), this.#signal);
      }
    }
  }

  async *#guard<P>(open: () => AsyncIterable<P>, count: (page: P) => void): AsyncGenerator<P> {
    let pages: AsyncIterator<P> | undefined;
    try {
      let next = await this.attempt(() => {
        // A generator that has thrown is at its end: each attempt needs its own.
        pages = open()[Symbol.asyncIterator]();
        return pages.next();
      });
      while (next.done !== true) {
        count(next.value);
        yield next.value;
        next = await this.wait((pages as AsyncIterator<P>).next());
      }
    } finally {
      // Not waited for: a store that hangs would not let go.
      pages?.return?.()?.catch(() => {});
    }
  }

  /** Nothing hangs here, and nothing fails for a passing reason. */
  *#guardAtHand(pages: Iterable<PointPage>): Generator<PointPage> {
    for (const page of pages) {
      this.#signal.throwIfAborted();
      this.answers++;
      this.#countPoints(page.times.length);
      yield page;
    }
  }

  #countRows(count: number): void {
    this.rows += count;
    const { rowsMax } = this.#limits;
    if (rowsMax > 0 && this.rows > rowsMax) throw limitExceeded(`limit of ${rowsMax} rows`);
  }

  #countPoints(count: number): void {
    this.points += count;
    const { pointsMax } = this.#limits;
    if (pointsMax > 0 && this.points > pointsMax) {
      throw limitExceeded(`limit of ${pointsMax} data points`);
    }
  }
}
