/**
 * Keeps the index rows of what is written: a series' row key and its metric's row time must stand before a point
 * can be found. Remembers what it wrote, bounded in number and in age, because another server's delete takes index
 * rows away without telling (spec §11).
 *
 * An index row must outlive its points and is never shortened: a life given once can only be replaced by a longer
 * one. Cassandra can't be asked for the life of a row without values, so a row that is there already and was not
 * written from here is refreshed without end of life.
 */
import { minutes } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import type { IndexedTime, IndexMemory } from './index-memory.ts';
import type { RowSpec } from './row-spec.ts';
import type { SeriesRow } from './series.ts';
import type { WideRows } from './wide-rows.ts';

/** Index rows planned and handed to the store at once. */
const WRITE_ROWS = 2_000;

export interface RowIndexOptions {
  /** After this long an index row is written (or looked for) again. Default 5 minutes. */
  readonly ageMaxMs?: number;
}

/** A row that points are about to be written to, and the longest life among them in seconds; 0 = for ever. */
interface RowNeed {
  readonly row: SeriesRow;
  readonly ttlSeconds: number;
}

interface TimeNeed {
  readonly time: IndexedTime;
  readonly ttlSeconds: number;
}

interface Known {
  /** Infinity = for ever. */
  readonly untilMs: number;
  readonly checkedAtMs: number;
}

/** What is to be written, and what is then known. */
interface Refresh<T> {
  readonly need: T;
  readonly ttlSeconds: number;
  readonly known: Known;
}

export class RowIndex {
  readonly #rows: WideRows;
  readonly #clock: Clock;
  readonly #ageMaxMs: number;
  /** What was remembered in another era may be gone. */
  #era = {};
  #turn: Promise<unknown> = Promise.resolve();

  constructor(rows: WideRows, clock: Clock, options: RowIndexOptions = {}) {
    this.#rows = rows;
    this.#clock = clock;
    this.#ageMaxMs = options.ageMaxMs ?? minutes(5);
  }

  /**
   * Resolves when all rows, each given once, can be found for as long as their points live (`lives`, in the order of
   * the rows); gives the reason for those that the store refuses.
   */
  async ensure(
    rows: readonly SeriesRow[],
    lives: readonly number[],
    spec: RowSpec,
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<SeriesRow, string>> {
    if (this.#missing(rows, lives).length === 0) return NOTHING_REFUSED;
    // One at a time, or a short life could overtake a long one between looking and writing.
    return this.#inTurn(() => this.#writeAll(this.#missing(rows, lives), spec, signal));
  }

  /** Part by part: of a start's or a new day's thousands of rows the whole would hold the thread for 10 ms and more. */
  async #writeAll(
    needs: readonly RowNeed[],
    spec: RowSpec,
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<SeriesRow, string>> {
    const refused = new Map<SeriesRow, string>();
    for (let from = 0; from < needs.length; from += WRITE_ROWS) {
      const part = needs.slice(from, from + WRITE_ROWS);
      for (const [row, message] of await this.#write(part, spec, signal)) refused.set(row, message);
    }
    return refused;
  }

  /** After a delete: what was remembered may be gone. Not while `ensure` runs (gate.ts sees to it). */
  forget(): void {
    this.#era = {};
  }

  #missing(rows: readonly SeriesRow[], lives: readonly number[]): RowNeed[] {
    const nowMs = this.#clock.now();
    const missing: RowNeed[] = [];
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as SeriesRow;
      const ttlSeconds = lives[i] as number;
      if (
        !this.#covers(row.memory, ttlSeconds, nowMs) ||
        !this.#covers(row.time.memory, ttlSeconds, nowMs)
      )
        missing.push({ row, ttlSeconds });
    }
    return missing;
  }

  #covers(memory: IndexMemory, ttlSeconds: number, nowMs: number): boolean {
    return (
      memory.era === this.#era &&
      nowMs - memory.checkedAtMs < this.#ageMaxMs &&
      memory.untilMs >= untilMs(ttlSeconds, nowMs)
    );
  }

  async #write(
    needs: readonly RowNeed[],
    spec: RowSpec,
    signal: AbortSignal | undefined,
  ): Promise<Map<SeriesRow, string>> {
    const refused = new Map<SeriesRow, string>();
    const nowMs = this.#clock.now();
    const keyRefreshes = await this.#plan(
      needs.filter(({ row, ttlSeconds }) => !this.#covers(row.memory, ttlSeconds, nowMs)),
      spec,
      ({ row }) => row.memory,
      ({ row }) => this.#rows.hasRowKey(row.row),
    );
    for (const { index, message } of await this.#rows.writeRowKeys(
      keyRefreshes.map(({ need: { row }, ttlSeconds }) => ({
        row: row.row,
        indexedTags: row.indexedTags,
        ttlSeconds,
      })),
      signal,
    )) {
      refused.set((keyRefreshes[index] as Refresh<RowNeed>).need.row, message);
    }

    const laterMs = this.#clock.now();
    const timeRefreshes = await this.#plan(
      longestByTime(
        needs.filter(({ row, ttlSeconds }) => !this.#covers(row.time.memory, ttlSeconds, laterMs)),
      ),
      spec,
      ({ time }) => time.memory,
      ({ time }) => this.#rows.hasRowTime(time.metric, time.rowTimeMs),
    );
    const refusedTimes = new Map<IndexedTime, string>();
    for (const { index, message } of await this.#rows.writeRowTimes(
      timeRefreshes.map(({ need: { time }, ttlSeconds }) => ({
        metric: time.metric,
        rowTimeMs: time.rowTimeMs,
        ttlSeconds,
      })),
      signal,
    )) {
      refusedTimes.set((timeRefreshes[index] as Refresh<TimeNeed>).need.time, message);
    }
    const metrics = [...new Set(timeRefreshes.map(({ need }) => need.time.metric))];
    for (const { index, message } of await this.#rows.writeMetricNames(metrics, signal)) {
      for (const { row } of needs) {
        if (row.row.metric === metrics[index]) refusedTimes.set(row.time, message);
      }
    }

    for (const { row } of needs) {
      const message = refusedTimes.get(row.time);
      if (message !== undefined) refused.set(row, message);
    }
    for (const { need, known } of keyRefreshes) {
      if (!refused.has(need.row)) this.#remember(need.row.memory, known);
    }
    for (const { need, known } of timeRefreshes) {
      if (!refusedTimes.has(need.time)) this.#remember(need.time.memory, known);
    }
    return refused;
  }

  #remember(memory: IndexMemory, { untilMs, checkedAtMs }: Known): void {
    memory.untilMs = untilMs;
    memory.checkedAtMs = checkedAtMs;
    memory.era = this.#era;
  }

  /** Which of the needs call for a write, and with which life. */
  async #plan<T extends { readonly ttlSeconds: number }>(
    needs: readonly T[],
    spec: RowSpec,
    memoryOf: (need: T) => IndexMemory,
    isThere: (need: T) => Promise<boolean>,
  ): Promise<Refresh<T>[]> {
    const plan = async (need: T): Promise<Refresh<T> | undefined> => {
      const checkedAtMs = this.#clock.now();
      const memory = memoryOf(need);
      const isKnown = memory.era === this.#era;
      if (await isThere(need)) {
        if (!isKnown || memory.untilMs < untilMs(need.ttlSeconds, checkedAtMs))
          return forEver(need, checkedAtMs);
        this.#remember(memory, { untilMs: memory.untilMs, checkedAtMs });
        return undefined;
      }
      // Long enough for every point with this life that the row will take (spec §7).
      const ttlSeconds = need.ttlSeconds + Math.ceil(spec.rowSpanMs / 1_000);
      return {
        need,
        ttlSeconds,
        known: { untilMs: untilMs(ttlSeconds, checkedAtMs), checkedAtMs },
      };
    };
    const nowMs = this.#clock.now();
    const plans: (Refresh<T> | undefined)[] = needs.some(({ ttlSeconds }) => ttlSeconds !== 0)
      ? await Promise.all(
          needs.map((need) => (need.ttlSeconds === 0 ? forEver(need, nowMs) : plan(need))),
        )
      : needs.map((need) => forEver(need, nowMs));
    return plans.filter((each) => each !== undefined);
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

const NOTHING_REFUSED: ReadonlyMap<SeriesRow, string> = new Map();

const forEver = <T>(need: T, checkedAtMs: number): Refresh<T> => ({
  need,
  ttlSeconds: 0,
  known: { untilMs: Number.POSITIVE_INFINITY, checkedAtMs },
});

/** One need per row time: the one that lives longest. */
function longestByTime(needs: readonly RowNeed[]): TimeNeed[] {
  const longest = new Map<IndexedTime, TimeNeed>();
  for (const { row, ttlSeconds } of needs) {
    const other = longest.get(row.time);
    if (other === undefined || lifeOf(ttlSeconds) > lifeOf(other.ttlSeconds))
      longest.set(row.time, { time: row.time, ttlSeconds });
  }
  return [...longest.values()];
}

const untilMs = (ttlSeconds: number, nowMs: number): number =>
  ttlSeconds === 0 ? Number.POSITIVE_INFINITY : nowMs + ttlSeconds * 1_000;

const lifeOf = (ttlSeconds: number): number => (ttlSeconds === 0 ? Infinity : ttlSeconds);
