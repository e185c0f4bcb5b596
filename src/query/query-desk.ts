/**
 * Where queries are taken in: cached answers, a bounded number at once with a bounded queue, an end to each in time and
 * size, a breaker before a store that is away, and a word in the log about slow ones. A query never hangs: it is
 * answered, or refused with a reason. Reading stops when it ends, whatever the store does.
 */
import { createHash } from 'node:crypto';
import { Breaker } from '../delivery/index.ts';
import { type DataPoint, RetriableError } from '../model/index.ts';
import type { Clock, Logger } from '../runtime/index.ts';
import { AnswerCache } from './answer-cache.ts';
import { QueryFailed, QueryRefused } from './errors.ts';
import type { Query } from './parse/query.ts';
import { limitExceeded, ReadGuard, type ReadLimits } from './read-guard.ts';
import { runQuery, runTagsQuery } from './run-query.ts';
import type { SeriesStore } from './store.ts';
import { cacheAsked, cacheHolds, type QueryOutcome, queriesNow, queryEnded } from './telemetry.ts';
import { Turnstile } from './turnstile.ts';

export interface DeskLimits extends ReadLimits {
  /** 0 = without limit. */
  readonly timeoutMs: number;
  readonly atOnceMax: number;
  readonly waitingMax: number;
  readonly cacheBytesMax: number;
  /** 0 = never. */
  readonly slowMs: number;
}

export const defaultDeskLimits: DeskLimits = {
  timeoutMs: 300_000,
  atOnceMax: 16,
  waitingMax: 256,
  pointsMax: 0,
  rowsMax: 0,
  cacheBytesMax: 64 * 1_024 * 1_024,
  slowMs: 5_000,
};

export interface DeskStore extends SeriesStore {
  connect(signal?: AbortSignal): Promise<void>;
}

export interface RunningQuery {
  /** Names it for `kill`. */
  readonly hash: string;
  /** Without metrics: a look-up. */
  readonly query: Pick<Query, 'metrics'>;
  readonly text: string;
}

/** The store counts as away after so many queries in a row that got nothing out of it. */
const FAILURES_MAX = 3;
const OPEN_MS = 5_000;
/** Failures of others: this server's end, and a cluster that is only read, of which most queries know nothing. */
const SAYS_NOTHING_OF_STORE = new Set(['STOPPING', 'READ_CLUSTER_UNAVAILABLE']);
/** At most one slow query in so long is logged; the others are counted with the next. */
const SLOW_LOG_EVERY_MS = 1_000;
const LOGGED_CHARS_MAX = 2_000;
/** Queries under way when the server stops have so long to end. */
const STOP_WITHIN_MS = 10_000;

export class QueryDesk {
  readonly #store: DeskStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #limits: DeskLimits;
  readonly #save: (points: readonly DataPoint[]) => Promise<void>;
  readonly #turnstile: Turnstile;
  readonly #cache: AnswerCache;
  readonly #breaker = new Breaker(FAILURES_MAX);
  readonly #running = new Map<AbortController, RunningQuery>();
  /** Of queries with cache_time: who asks the same waits for the answer that is being made. */
  readonly #making = new Map<string, Promise<readonly string[]>>();
  #isProbing = false;
  #slowLoggedMs = Number.NEGATIVE_INFINITY;
  #slowUnlogged = 0;

  constructor(options: {
    readonly store: DeskStore;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly limits?: Partial<DeskLimits> | undefined;
    /** Stores what save_as wants stored. */
    readonly save: (points: readonly DataPoint[]) => Promise<void>;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#limits = { ...defaultDeskLimits, ...options.limits };
    this.#save = options.save;
    this.#turnstile = new Turnstile(this.#limits.atOnceMax, this.#limits.waitingMax);
    this.#cache = new AnswerCache(this.#limits.cacheBytesMax);
  }

  /** The answer's JSON, to be joined. Throws QueryFailed, QueryRefused, RetriableError (come again), or `gone`'s reason. */
  async answer(text: string, query: Query, gone: AbortSignal): Promise<readonly string[]> {
    const { cacheSeconds } = query;
    if (cacheSeconds === 0 || this.#limits.cacheBytesMax === 0) {
      return (await this.#read(text, query, gone)).parts;
    }
    const found = this.#cache.get(text, cacheSeconds, this.#clock.now());
    cacheAsked(found !== undefined);
    if (found !== undefined) {
      queryEnded('cached', { durationMs: 0, points: 0, rows: 0 });
      return found;
    }
    const being = this.#making.get(text);
    // The other one may end for a reason of its own; then this one reads for itself.
    if (being !== undefined) {
      const theirs = await being.catch(() => undefined);
      if (theirs !== undefined) return theirs;
    }
    const making = this.#make(text, query, gone);
    this.#making.set(text, making);
    try {
      return await making;
    } finally {
      if (this.#making.get(text) === making) this.#making.delete(text);
    }
  }

  async tags(text: string, query: Query, gone: AbortSignal): Promise<string> {
    return this.#admit(text, query, gone, (store) => runTagsQuery(store, query));
  }

  /**
   * What is no query but asks the store, such as names: within the same bounds, and a store that hangs here counts as
   * away there too. `work` may be tried again, and ends by itself when `signal` says so.
   */
  async lookUp<T>(
    name: string,
    gone: AbortSignal,
    work: (store: SeriesStore, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#admit(name, { metrics: [] }, gone, (store, guard) =>
      guard.attempt(() => work(store, guard.signal)),
    );
  }

  running(): { readonly queries: readonly RunningQuery[]; readonly waiting: number } {
    return { queries: [...this.#running.values()], waiting: this.#turnstile.waiting };
  }

  kill(hash: string): void {
    for (const [control, running] of this.#running) {
      if (running.hash === hash) control.abort(new QueryFailed('the query was killed'));
    }
  }

  /** Queries under way have ten seconds to end; then they are told to come again. */
  async stop(): Promise<void> {
    const deadline = this.#clock.now() + STOP_WITHIN_MS;
    while (this.#running.size > 0 && this.#clock.now() < deadline) await this.#clock.sleep(20);
    for (const control of this.#running.keys()) {
      control.abort(new RetriableError('the server stops', { code: 'STOPPING' }));
    }
  }

  async #make(text: string, query: Query, gone: AbortSignal): Promise<readonly string[]> {
    const readAtMs = this.#clock.now();
    const { parts, isStored, isEmpty } = await this.#read(text, query, gone);
    // As in KairosDB nothing is kept of queries that found nothing; one that stores must do so each time.
    if (!isEmpty && !isStored) this.#cache.put(text, parts, readAtMs);
    cacheHolds(this.#cache.bytes);
    return parts;
  }

  async #read(text: string, query: Query, gone: AbortSignal) {
    return this.#admit(text, query, gone, async (store, guard) => {
      const { parts, saved } = await runQuery(store, query);
      if (saved.length > 0) await guard.wait(this.#save(saved));
      return { parts, isStored: saved.length > 0, isEmpty: guard.points === 0 };
    });
  }

  /** One query from its arrival to its end. */
  async #admit<T>(
    text: string,
    query: Pick<Query, 'metrics'>,
    gone: AbortSignal,
    work: (store: SeriesStore, guard: ReadGuard) => Promise<T>,
  ): Promise<T> {
    const startedMs = this.#clock.now();
    const control = new AbortController();
    const onGone = () => control.abort(gone.reason);
    gone.addEventListener('abort', onGone, { once: true });
    if (gone.aborted) onGone();
    const endTimer = this.#limitTime(control);
    const guard = new ReadGuard(control.signal, this.#clock, this.#limits);
    let outcome: QueryOutcome = 'answered';
    try {
      this.#assertStoreAnswers();
      const leave = await this.#enter(control.signal);
      const hash = createHash('md5').update(text).digest('hex');
      this.#running.set(control, { hash, query, text });
      try {
        await guard.attempt(() => this.#store.connect(control.signal));
        const result = await work(guard.over(this.#store), guard);
        this.#storeAnswered();
        return result;
      } catch (error) {
        this.#judge(error, guard);
        throw error;
      } finally {
        this.#running.delete(control);
        leave();
        queriesNow(this.#turnstile);
      }
    } catch (error) {
      outcome = outcomeOf(error, gone);
      throw error;
    } finally {
      endTimer();
      gone.removeEventListener('abort', onGone);
      const durationMs = this.#clock.now() - startedMs;
      const { points, rows } = guard;
      queryEnded(outcome, { durationMs, points, rows });
      this.#logSlow(text, { durationMs, outcome, points, rows });
    }
  }

  async #enter(signal: AbortSignal): Promise<() => void> {
    const entering = this.#turnstile.enter(signal);
    queriesNow(this.#turnstile);
    const leave = await entering;
    queriesNow(this.#turnstile);
    return leave;
  }

  #limitTime(control: AbortController): () => void {
    const { timeoutMs } = this.#limits;
    if (timeoutMs === 0) return () => {};
    const timer = new AbortController();
    this.#clock.sleep(timeoutMs, timer.signal).then(
      () => control.abort(new TimeExceeded(timeoutMs)),
      () => {},
    );
    return () => timer.abort();
  }

  /** While the store is away one query at a time may try it; the others are told when to come again. */
  #assertStoreAnswers(): void {
    const nowMs = this.#clock.now();
    const mayPass = this.#breaker.mayPass(nowMs);
    if (mayPass && this.#breaker.state === 'closed') return;
    if (mayPass && !this.#isProbing) {
      this.#isProbing = true;
      return;
    }
    throw new RetriableError('the KairosDB store does not answer; come again', {
      code: 'STORE_UNAVAILABLE',
      retryAfterMs: Math.max(1_000, this.#breaker.retryAtMs - nowMs),
    });
  }

  #storeAnswered(): void {
    this.#isProbing = false;
    this.#breaker.succeeded();
  }

  #judge(error: unknown, guard: ReadGuard): void {
    const isAway = error instanceof RetriableError && !SAYS_NOTHING_OF_STORE.has(error.code);
    // It hung until the time was up, and nothing but the connection had come.
    const isHanging = error instanceof TimeExceeded && guard.answers <= 1;
    if (isAway || isHanging) {
      this.#isProbing = false;
      this.#breaker.failed(this.#clock.now() + OPEN_MS);
    } else if (guard.answers > 1) this.#storeAnswered();
    else this.#isProbing = false;
  }

  #logSlow(
    text: string,
    query: { durationMs: number; outcome: QueryOutcome; points: number; rows: number },
  ): void {
    const { slowMs } = this.#limits;
    if (slowMs === 0 || query.durationMs < slowMs) return;
    const nowMs = this.#clock.now();
    if (nowMs - this.#slowLoggedMs < SLOW_LOG_EVERY_MS) {
      this.#slowUnlogged++;
      return;
    }
    const others = this.#slowUnlogged;
    this.#slowLoggedMs = nowMs;
    this.#slowUnlogged = 0;
    this.#logger.warn(
      { ...query, query: withoutSecrets(text), ...(others === 0 ? {} : { others }) },
      'slow query',
    );
  }
}

/** As KairosDB says it, in whole seconds. */
class TimeExceeded extends QueryFailed {
  constructor(timeoutMs: number) {
    super(
      limitExceeded(`time limit of ${Math.max(1, Math.round(timeoutMs / 1_000))} seconds`).reason,
    );
  }
}

function outcomeOf(error: unknown, gone: AbortSignal): QueryOutcome {
  if (gone.aborted) return 'cancelled';
  if (error instanceof RetriableError) {
    return error.code === 'TOO_MANY_QUERIES' ? 'busy' : 'unavailable';
  }
  if (error instanceof QueryRefused) return 'failed';
  if (error instanceof QueryFailed) {
    if (error.reason?.includes('Query exceeded') === true) return 'limited';
    return error.reason === 'the query was killed' ? 'cancelled' : 'failed';
  }
  return 'failed';
}

/** Values of members whose names sound like secrets are left out. */
export function withoutSecrets(text: string): string {
  const shown =
    text.length > LOGGED_CHARS_MAX ? `${text.slice(0, LOGGED_CHARS_MAX)}… (${text.length})` : text;
  return shown.replace(
    /("[^"]*(?:token|secret|passw|authorization|api_?key|credential)[^"]*"\s*:\s*)(\[[^\]]*\]?|"(?:[^"\\]|\\.)*"?|[^,}\s]+)/gi,
    '$1"[secret]"',
  );
}
