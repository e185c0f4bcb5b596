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
import type { RowKey } from './row-key.ts';
import type { RowSpec } from './row-spec.ts';
import type { TagList } from './tag-string.ts';
import type { WideRows } from './wide-rows.ts';

export interface RowIndexOptions {
  /** Row keys remembered, and as many row times. Default 100,000. */
  readonly entriesMax?: number;
  /** After this long an index row is written (or looked for) again. Default 5 minutes. */
  readonly ageMaxMs?: number;
}

/** A row that points are about to be written to. */
export interface RowNeed {
  readonly row: RowKey;
  /** `rowIdentity(row)`. */
  readonly identity: string;
  /** `timeIdentity(row)`. */
  readonly time: string;
  /** The tags that go into the tag index. */
  readonly indexedTags: TagList;
  /** The longest life among the points; 0 = for ever. */
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
  readonly #keys: Memory;
  readonly #times: Memory;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(rows: WideRows, clock: Clock, options: RowIndexOptions = {}) {
    this.#rows = rows;
    this.#clock = clock;
    this.#ageMaxMs = options.ageMaxMs ?? minutes(5);
    this.#keys = new Memory(options.entriesMax ?? 100_000);
    this.#times = new Memory(options.entriesMax ?? 100_000);
  }

  /**
   * Resolves when all rows can be found for as long as their points live; gives the reason for those, by identity,
   * that the store refuses.
   */
  async ensure(
    needs: readonly RowNeed[],
    spec: RowSpec,
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const missing = () => {
      const nowMs = this.#clock.now();
      return needs.filter((need) => !this.#isKnown(need, nowMs));
    };
    if (missing().length === 0) return new Map();
    // One at a time, or a short life could overtake a long one between looking and writing.
    return this.#inTurn(() => this.#write(missing(), spec, signal));
  }

  /** After a delete: what was remembered may be gone. Not while `ensure` runs (gate.ts sees to it). */
  forget(): void {
    this.#keys.clear();
    this.#times.clear();
  }

  #isKnown({ identity, time, ttlSeconds }: RowNeed, nowMs: number): boolean {
    return (
      this.#covers(this.#keys.get(identity), ttlSeconds, nowMs) &&
      this.#covers(this.#times.get(time), ttlSeconds, nowMs)
    );
  }

  #covers(known: Known | undefined, ttlSeconds: number, nowMs: number): boolean {
    return (
      known !== undefined &&
      nowMs - known.checkedAtMs < this.#ageMaxMs &&
      known.untilMs >= untilMs(ttlSeconds, nowMs)
    );
  }

  async #write(
    needs: readonly RowNeed[],
    spec: RowSpec,
    signal: AbortSignal | undefined,
  ): Promise<Map<string, string>> {
    const refused = new Map<string, string>();
    const nowMs = this.#clock.now();
    const keys = needs.filter(
      (n) => !this.#covers(this.#keys.get(n.identity), n.ttlSeconds, nowMs),
    );
    const keyRefreshes = await this.#plan(
      keys,
      spec,
      this.#keys,
      ({ identity }) => identity,
      (n) => this.#rows.hasRowKey(n.row),
    );
    for (const { index, message } of await this.#rows.writeRowKeys(
      keyRefreshes.map(({ need, ttlSeconds }) => ({ ...need, ttlSeconds })),
      signal,
    )) {
      refused.set(keyRefreshes[index]?.need.identity as string, message);
    }

    const times = longestByTime(
      needs.filter((n) => !this.#covers(this.#times.get(n.time), n.ttlSeconds, this.#clock.now())),
    );
    const timeRefreshes = await this.#plan(
      times,
      spec,
      this.#times,
      (n) => n.time,
      (n) => this.#rows.hasRowTime(n.row.metric, n.row.rowTimeMs),
    );
    const refusedTimes = new Map<string, string>();
    for (const { index, message } of await this.#rows.writeRowTimes(
      timeRefreshes.map(({ need, ttlSeconds }) => ({
        metric: need.row.metric,
        rowTimeMs: need.row.rowTimeMs,
        ttlSeconds,
      })),
      signal,
    )) {
      refusedTimes.set((timeRefreshes[index] as Refresh<RowNeed>).need.time, message);
    }
    const metrics = [...new Set(timeRefreshes.map(({ need }) => need.row.metric))];
    for (const { index, message } of await this.#rows.writeMetricNames(metrics, signal)) {
      for (const { row, time } of needs) {
        if (row.metric === metrics[index]) refusedTimes.set(time, message);
      }
    }

    for (const { time, identity } of needs) {
      const message = refusedTimes.get(time);
      if (message !== undefined) refused.set(identity, message);
    }
    for (const { need, known } of keyRefreshes) {
      if (!refused.has(need.identity)) this.#keys.set(need.identity, known);
    }
    for (const { need, known } of timeRefreshes) {
      if (!refusedTimes.has(need.time)) this.#times.set(need.time, known);
    }
    return refused;
  }

  /** Which of the needs call for a write, and with which life. */
  async #plan(
    needs: readonly RowNeed[],
    spec: RowSpec,
    memory: Memory,
    identityOf: (need: RowNeed) => string,
    isThere: (need: RowNeed) => Promise<boolean>,
  ): Promise<Refresh<RowNeed>[]> {
    const plans = await Promise.all(
      needs.map(async (need): Promise<Refresh<RowNeed> | undefined> => {
        const checkedAtMs = this.#clock.now();
        const forEver = { need, ttlSeconds: 0, known: { untilMs: Infinity, checkedAtMs } };
        if (need.ttlSeconds === 0) return forEver;
        const known = memory.get(identityOf(need));
        if (await isThere(need)) {
          if (known === undefined || known.untilMs < untilMs(need.ttlSeconds, checkedAtMs))
            return forEver;
          memory.set(identityOf(need), { ...known, checkedAtMs });
          return undefined;
        }
        // Long enough for every point with this life that the row will take (spec §7).
        const ttlSeconds = need.ttlSeconds + Math.ceil(spec.rowSpanMs / 1_000);
        return {
          need,
          ttlSeconds,
          known: { untilMs: untilMs(ttlSeconds, checkedAtMs), checkedAtMs },
        };
      }),
    );
    return plans.filter((plan) => plan !== undefined);
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** A text that is equal exactly when two rows are of one metric and row time. */
export const timeIdentity = ({ metric, rowTimeMs }: RowKey): string => `${metric}\0${rowTimeMs}`;

/** One need per row time: the one that lives longest. */
function longestByTime(needs: readonly RowNeed[]): RowNeed[] {
  const longest = new Map<string, RowNeed>();
  for (const need of needs) {
    const other = longest.get(need.time);
    if (other === undefined || lifeOf(need) > lifeOf(other)) longest.set(need.time, need);
  }
  return [...longest.values()];
}

const untilMs = (ttlSeconds: number, nowMs: number): number =>
  ttlSeconds === 0 ? Number.POSITIVE_INFINITY : nowMs + ttlSeconds * 1_000;

const lifeOf = ({ ttlSeconds }: RowNeed): number => (ttlSeconds === 0 ? Infinity : ttlSeconds);

/** A map of at most `entriesMax` that forgets what was longest not asked for, half of it at once. */
class Memory {
  readonly #entriesMax: number;
  #recent = new Map<string, Known>();
  #older = new Map<string, Known>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get(key: string): Known | undefined {
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent;
    const older = this.#older.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: string, known: Known): void {
    if (this.#recent.size >= this.#entriesMax / 2 && !this.#recent.has(key)) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, known);
  }

  clear(): void {
    this.#recent.clear();
    this.#older.clear();
  }
}
