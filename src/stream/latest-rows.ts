/** What a table keeps: the newest value of each key, or the versions that were valid within a stretch of event time. */
import { jsonValues, type PutState, type StateStore, Table } from '../state/index.ts';

/** What a table offers to those who look up. */
export interface TableStore<V> extends StateStore {
  /** Undefined: the key has no value now; or, where versions are kept, had none that is known at `time`. */
  get(key: string, time: number): V | undefined;
  /** A row of the table, undefined = removed; in the order of the log. */
  put(key: string, value: V | undefined, time: number): void;
  /** The table's watermark, before the row that brought it there is put. */
  advance(watermark: number): void;
  readonly size: number;
}

/** The value that came last, whatever its event time: the order of the log decides, as in Kafka's tables. */
export class LatestRows<V> implements TableStore<V> {
  readonly #values = new Table<V>(jsonValues());

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  put(key: string, value: V | undefined): void {
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
  }

  advance(): void {}

  restore(key: Buffer, value: Buffer): void {
    this.#values.restore(key, value);
  }

  drain(put: PutState): void {
    this.#values.drain(put);
  }
}

/** A value from this event time on, until the next version's; null = removed. */
interface Version<V> {
  readonly from: number;
  readonly value: V | null;
}

/** Under this key, which no other can be: the table's watermark. */
const WATERMARK = Buffer.of(0);
const VERSIONS = 0x76;

/**
 * Versions by event time. Kept: those from `watermark - keepMs` on, and the one that was valid there. Of two
 * versions from the same time the later in the log counts.
 */
export class VersionedRows<V> implements TableStore<V> {
  readonly #keepMs: number;
  /** Oldest first; never empty. */
  readonly #versions = new Map<string, readonly Version<V>[]>();
  readonly #dirty = new Set<string>();
  #watermark = Number.NEGATIVE_INFINITY;
  #moved = false;
  #sweepAt = Number.NEGATIVE_INFINITY;

  constructor(keepMs: number) {
    this.#keepMs = keepMs;
  }

  get size(): number {
    return this.#versions.size;
  }

  get(key: string, time: number): V | undefined {
    const found = this.#live(this.#versions.get(key) ?? []).findLast(({ from }) => from <= time);
    return found?.value ?? undefined;
  }

  put(key: string, value: V | undefined, time: number): void {
    // As if swept just now, so that it does not matter when a sweep came by.
    const before = this.#live(this.#versions.get(key) ?? []);
    const at = before.findLastIndex(({ from }) => from < time) + 1;
    const after = before.slice(at).filter(({ from }) => from !== time);
    const version = { from: time, value: value ?? null };
    this.#set(key, [...before.slice(0, at), version, ...after]);
  }

  advance(watermark: number): void {
    if (watermark <= this.#watermark) return;
    this.#watermark = watermark;
    this.#moved = true;
    if (watermark < this.#sweepAt) return;
    this.#sweepAt = watermark + this.#keepMs;
    for (const [key, versions] of this.#versions) {
      const live = this.#live(versions);
      if (live.length < versions.length) this.#set(key, live);
    }
  }

  restore(key: Buffer, value: Buffer): void {
    if (key.equals(WATERMARK)) this.#watermark = value.readDoubleBE(0);
    else this.#versions.set(key.toString('utf8', 1), JSON.parse(value.toString()));
  }

  drain(put: PutState): void {
    for (const key of this.#dirty) {
      const versions = this.#versions.get(key);
      const bytes = Buffer.concat([Buffer.of(VERSIONS), Buffer.from(key)]);
      put(bytes, versions === undefined ? null : Buffer.from(JSON.stringify(versions)));
    }
    this.#dirty.clear();
    if (!this.#moved) return;
    this.#moved = false;
    const watermark = Buffer.allocUnsafe(8);
    watermark.writeDoubleBE(this.#watermark, 0);
    put(WATERMARK, watermark);
  }

  #set(key: string, versions: readonly Version<V>[]): void {
    if (versions.length === 0) this.#versions.delete(key);
    else this.#versions.set(key, versions);
    this.#dirty.add(key);
  }

  /** Without what ended before the stretch that is kept; a removal that has nothing left to end says nothing. */
  #live(versions: readonly Version<V>[]): readonly Version<V>[] {
    const horizon = this.#watermark - this.#keepMs;
    const first = Math.max(
      0,
      versions.findLastIndex(({ from }) => from <= horizon),
    );
    const oldest = versions[first];
    const mute = oldest !== undefined && oldest.value === null && oldest.from <= horizon;
    return versions.slice(mute ? first + 1 : first);
  }
}
