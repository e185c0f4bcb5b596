/**
 * The rollups of this process on disk, for the history endpoints: by step, day, key and window start. Days come
 * before keys so that what is too old goes by whole days.
 *
 *   [step, day, scope:id, network, start] → JSON of the rollup (its highest revision)
 */
import { open, type RootDatabase } from 'lmdb';
import { days, type Rollup } from '../../model/index.ts';

export type RollupStep = '5m' | '1h' | '1d';

type Key = [RollupStep, number, string, string, number];

/** How long each step is kept, counted from the newest window stored [V3]. */
const KEEP_MS: Readonly<Record<RollupStep, number>> = {
  '5m': days(7),
  '1h': days(90),
  '1d': days(3_650),
};
const DAY_MS = days(1);

export interface RollupQuery {
  readonly scope: string;
  readonly id: string;
  readonly step: RollupStep;
  /** Half-open, on window starts. */
  readonly from: number;
  readonly to: number;
}

/** Rollups in one transaction, which holds the event loop for some 2 ms. */
const PUT_ROLLUPS = 100;

export class RollupStore {
  readonly #db: RootDatabase<string, Key>;
  readonly #newestDay = new Map<RollupStep, number>();

  constructor(directory: string) {
    this.#db = open<string, Key>({
      path: directory,
      encoding: 'string',
      keyEncoding: 'ordered-binary',
    });
  }

  /** Durable when it resolves. An older revision never replaces a newer one. */
  async put(rollups: readonly Rollup[]): Promise<void> {
    for (let from = 0; from < rollups.length; from += PUT_ROLLUPS) {
      const part = rollups.slice(from, from + PUT_ROLLUPS);
      await this.#db.transaction(() => {
        for (const rollup of part) {
          const key = keyOf(rollup);
          const known = this.#db.get(key);
          if (known !== undefined && (JSON.parse(known) as Rollup).revision > rollup.revision)
            continue;
          void this.#db.put(key, JSON.stringify(rollup));
          this.#expire(key[0], key[1]);
        }
      });
    }
  }

  /** By window start. Days without rollups cost one seek each, so the range is cut to what is kept. */
  async *read(query: RollupQuery): AsyncGenerator<Rollup> {
    const { scope, id, step } = query;
    const name = `${scope}:${id}`;
    const newest = this.#newest(step);
    if (newest === undefined) return;
    const first = Math.max(dayOf(query.from), newest - Math.ceil(KEEP_MS[step] / DAY_MS) - 1);
    const last = Math.min(dayOf(query.to - 1), newest);
    for (let day = first; day <= last; day++) {
      const range = {
        start: [step, day, name] as unknown as Key,
        end: [step, day, `${name}\u0000`] as unknown as Key,
      };
      const found = [...this.#db.getRange(range)].map(({ value }) => JSON.parse(value) as Rollup);
      found.sort((a, b) => a.window.start - b.window.start);
      for (const rollup of found) {
        if (rollup.window.start >= query.from && rollup.window.start < query.to) yield rollup;
      }
      // A long range must not keep the event loop from the others.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    await this.#db.close();
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

  #expire(step: RollupStep, day: number): void {
    const newest = this.#newest(step);
    if (newest !== undefined && day <= newest) return;
    this.#newestDay.set(step, day);
    const cut = day - Math.ceil(KEEP_MS[step] / DAY_MS);
    const range = {
      start: [step, Number.MIN_SAFE_INTEGER] as unknown as Key,
      end: [step, cut] as unknown as Key,
    };
    for (const key of this.#db.getKeys(range)) void this.#db.remove(key);
  }
}

const dayOf = (ms: number): number => Math.floor(ms / DAY_MS);

function keyOf(rollup: Rollup): Key {
  const sizeMs = rollup.window.end - rollup.window.start;
  const step = sizeMs >= DAY_MS ? '1d' : sizeMs >= 3_600_000 ? '1h' : '5m';
  return [
    step,
    dayOf(rollup.window.start),
    `${rollup.scope}:${rollup.id}`,
    rollup.network,
    rollup.window.start,
  ];
}
