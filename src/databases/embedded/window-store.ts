/**
 * Windows' results of this process on disk, for the history endpoints: by step, day, name and series. Days come
 * before names so that what is too old goes by whole days.
 *
 *   [step, day, name, series, window start] → JSON of the result (its highest revision)
 */
import { open, type RootDatabase } from 'lmdb';
import { days } from '../../model/index.ts';
import { mapBytes, threadTurns } from '../../runtime/index.ts';

export type RollupStep = '5m' | '1h' | '1d';

type Key = [RollupStep, number, string, string, number];

/** What a store of windows must know of a result. */
export interface StoredWindow {
  readonly window: { readonly start: number; readonly end: number };
  readonly revision: number;
}

export interface WindowStoreOptions<R> {
  readonly directory: string;
  /** Whose result it is, and which of its series; at most 700 characters together. */
  readonly seriesOf: (result: R) => { readonly name: string; readonly series: string };
  /** How long each step is kept, counted from the newest window stored, ms. */
  readonly keepMs: Readonly<Record<RollupStep, number>>;
}

export interface WindowQuery {
  readonly name: string;
  /** Series that begin with one of these; absent: all of the name. */
  readonly seriesPrefixes?: readonly string[];
  readonly step: RollupStep;
  /** Half-open, on window starts. */
  readonly from: number;
  readonly to: number;
}

const DAY_MS = days(1);
/** Results in one transaction, which holds the event loop for some 2 ms. */
const PUT_RESULTS = 100;
/** Results of a page, about. */
const PAGE_RESULTS = 500;
/** Of what is too old so many go with each transaction: as many as come, several times over. */
const EXPIRE_KEYS = 500;

export class WindowStore<R extends StoredWindow> {
  readonly #db: RootDatabase<string, Key>;
  readonly #options: WindowStoreOptions<R>;
  readonly #newestDay = new Map<RollupStep, number>();
  /** Steps that may hold days before their cut. */
  readonly #expiring = new Set<RollupStep>();

  constructor(options: WindowStoreOptions<R>) {
    this.#options = options;
    this.#db = open<string, Key>({
      path: options.directory,
      encoding: 'string',
      keyEncoding: 'ordered-binary',
      mapSize: mapBytes,
    });
  }

  /** Durable when it resolves. An older revision never replaces a newer one. */
  async put(results: readonly R[]): Promise<void> {
    for (let from = 0; from < results.length; from += PUT_RESULTS) {
      const part = results.slice(from, from + PUT_RESULTS);
      await this.#db.transaction(() => {
        for (const result of part) {
          const key = this.#keyOf(result);
          const known = this.#db.get(key);
          if (known !== undefined && (JSON.parse(known) as R).revision > result.revision) continue;
          void this.#db.put(key, JSON.stringify(result));
          this.#advance(key[0], key[1]);
        }
        for (const step of this.#expiring) this.#expire(step);
      });
    }
  }

  /** By window start. Days without results cost one seek each, so the range is cut to what is kept. */
  async *read(query: WindowQuery): AsyncGenerator<R> {
    const { name, step, seriesPrefixes = [''] } = query;
    const newest = this.#newest(step);
    if (newest === undefined) return;
    const first = Math.max(dayOf(query.from), newest - this.#keepDays(step) - 1);
    const last = Math.min(dayOf(query.to - 1), newest);
    for (let day = first; day <= last; day++) {
      const found: R[] = [];
      for (const prefix of seriesPrefixes) {
        const range = {
          start: [step, day, name, prefix] as unknown as Key,
          end: [step, day, name, `${prefix}\uffff`] as unknown as Key,
        };
        for (const { key, value } of this.#db.getRange(range))
          if (key[4] >= query.from && key[4] < query.to) found.push(JSON.parse(value) as R);
      }
      found.sort((a, b) => a.window.start - b.window.start);
      yield* found;
      // A long range must not keep the event loop from the others.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** All results whose windows start in a half-open range, in pages. A series of a day without any costs two seeks. */
  async *within(
    step: RollupStep,
    { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  ): AsyncGenerator<readonly R[]> {
    let page: R[] = [];
    const from = [step, dayOf(fromMs)] as unknown as Key;
    const end = [step, dayOf(toMs - 1) + 1] as unknown as Key;
    for (let at = this.#firstKey(from, end); at !== undefined; ) {
      const [, day, name, series] = at;
      const range = {
        start: [step, day, name, series, fromMs] as Key,
        end: [step, day, name, series, toMs] as Key,
      };
      for (const { value } of this.#db.getRange(range)) page.push(JSON.parse(value) as R);
      if (page.length >= PAGE_RESULTS) {
        yield page;
        page = [];
        await threadTurns.next();
      }
      at = this.#firstKey([step, day, name, series, Number.MAX_SAFE_INTEGER], end);
    }
    yield page;
  }

  /** What is older may be gone; -Infinity while nothing is stored. */
  keptSinceMs(step: RollupStep): number {
    const newest = this.#newest(step);
    return newest === undefined
      ? Number.NEGATIVE_INFINITY
      : (newest - this.#keepDays(step)) * DAY_MS;
  }

  /** The newest result of a name, whichever its series; undefined when none is stored. A seek a day without one. */
  newest(name: string, step: RollupStep): R | undefined {
    const last = this.#newest(step);
    if (last === undefined) return undefined;
    for (let day = last; day >= last - this.#keepDays(step); day--) {
      const range = {
        start: [step, day, name] as unknown as Key,
        end: [step, day, `${name}\u0000`] as unknown as Key,
      };
      // Series come before times in a key, so the newest of a day may be any of its keys.
      let newest: Key | undefined;
      for (const key of this.#db.getKeys(range))
        if (newest === undefined || key[4] > newest[4]) newest = key;
      const found = newest && this.#db.get(newest);
      if (found !== undefined) return JSON.parse(found) as R;
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  #firstKey(start: Key, end: Key): Key | undefined {
    for (const key of this.#db.getKeys({ start, end, limit: 1 })) return key;
    return undefined;
  }

  #newest(step: RollupStep): number | undefined {
    const known = this.#newestDay.get(step);
    if (known !== undefined) return known;
    const end = [step, Number.MAX_SAFE_INTEGER] as unknown as Key;
    const start = [step, Number.MIN_SAFE_INTEGER] as unknown as Key;
    for (const key of this.#db.getKeys({ start: end, end: start, reverse: true, limit: 1 })) {
      this.#newestDay.set(step, key[1]);
    }
    return this.#newestDay.get(step);
  }

  #advance(step: RollupStep, day: number): void {
    const newest = this.#newest(step);
    if (newest !== undefined && day <= newest) return;
    this.#newestDay.set(step, day);
    this.#expiring.add(step);
  }

  #expire(step: RollupStep): void {
    const cut = (this.#newestDay.get(step) as number) - this.#keepDays(step);
    const range = {
      start: [step, Number.MIN_SAFE_INTEGER] as unknown as Key,
      end: [step, cut] as unknown as Key,
      limit: EXPIRE_KEYS,
    };
    let gone = 0;
    for (const key of this.#db.getKeys(range)) {
      void this.#db.remove(key);
      gone++;
    }
    if (gone < EXPIRE_KEYS) this.#expiring.delete(step);
  }

  #keepDays(step: RollupStep): number {
    return Math.ceil(this.#options.keepMs[step] / DAY_MS);
  }

  #keyOf(result: R): Key {
    const { start } = result.window;
    const { name, series } = this.#options.seriesOf(result);
    return [rollupStepOf(result), dayOf(start), name, series, start];
  }
}

/** The step that a result's window has. */
export function rollupStepOf({ window: { start, end } }: Pick<StoredWindow, 'window'>): RollupStep {
  const sizeMs = end - start;
  return sizeMs >= DAY_MS ? '1d' : sizeMs >= 3_600_000 ? '1h' : '5m';
}

const dayOf = (ms: number): number => Math.floor(ms / DAY_MS);
