/**
 * The index tables of the embedded store, all in one LMDB table: a key begins with its table's letter and orders
 * as Cassandra's clustering does; the value holds the life of the entry and the entry itself, because keys cut
 * long texts (keys.ts).
 *
 *   key     letter · parts                     value   expiry ms, u48 (0 = for ever) · the entry as JSON
 *   expiries   expiry ms, u48 · key → (nothing)
 *
 * `put` and `remove` may be queued in a batch; what reads first runs inside a write transaction of the caller's.
 */
import type { Database, RootDatabase } from 'lmdb';
import { binaryTable } from './cells.ts';
import { behind } from './keys.ts';

/** Its name in LMDB. */
export const INDEX = 'index';
export const EXPIRY_BYTES = 6;
const NOTHING = Buffer.alloc(0);

export type IndexLetter = 'K' | 'G' | 'T' | 'N' | 'S' | 'V' | 'P';

export const indexKey = (letter: IndexLetter, ...parts: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(letter), ...parts]);

export class IndexTable {
  readonly #entries: Database<Buffer, Buffer>;
  readonly #expiries: Database<Buffer, Buffer>;

  constructor(root: RootDatabase) {
    this.#entries = binaryTable(root, INDEX);
    this.#expiries = binaryTable(root, 'index-expiries');
  }

  put(key: Buffer, entry: unknown, ttlSeconds: number, nowMs: number): void {
    const expiryMs = ttlSeconds === 0 ? 0 : nowMs + ttlSeconds * 1_000;
    const head = expiryBytes(expiryMs);
    void this.#entries.put(key, Buffer.concat([head, Buffer.from(JSON.stringify(entry))]));
    if (expiryMs !== 0) void this.#expiries.put(Buffer.concat([head, key]), NOTHING);
  }

  /** Whether the entry is there already, without an end. */
  isForEver(key: Buffer): boolean {
    return this.#entries.get(key)?.readUIntBE(0, EXPIRY_BYTES) === 0;
  }

  remove(key: Buffer): void {
    void this.#entries.remove(key);
  }

  get(key: Buffer, nowMs: number): unknown {
    const value = this.#entries.get(key);
    return value === undefined || isOver(value, nowMs) ? undefined : entryOf(value);
  }

  /** Up to `limit` live entries from `start` on, before `end`; their keys let one go on behind the last. */
  page(start: Buffer, end: Buffer | undefined, limit: number, nowMs: number): [Buffer, unknown][] {
    const page: [Buffer, unknown][] = [];
    for (const { key, value } of this.#entries.getRange(end ? { start, end } : { start })) {
      if (isOver(value, nowMs)) continue;
      page.push([Buffer.from(key), entryOf(value)]);
      if (page.length === limit) break;
    }
    return page;
  }

  /** As `page`, for all keys that begin with `stem`, one page after another. */
  *pagesOf(stem: Buffer, limit: number, nowMs: () => number): Generator<unknown[]> {
    const end = behind(stem);
    let start = stem;
    for (;;) {
      const page = this.page(start, end, limit, nowMs());
      if (page.length > 0) yield page.map(([, entry]) => entry);
      const last = page.at(-1);
      if (page.length < limit || last === undefined) return;
      start = Buffer.concat([last[0], Buffer.from([0])]);
    }
  }

  /** Whether `sweep` would find anything. */
  hasExpired(nowMs: number): boolean {
    const end = expiryBytes(nowMs + 1);
    const [due] = this.#expiries.getKeys({ start: Buffer.from([0]), end, limit: 1 });
    return due !== undefined;
  }

  /** Removes up to `limit` entries that have expired; says how many it went through. */
  sweep(nowMs: number, limit: number): number {
    const end = expiryBytes(nowMs + 1);
    const due = [...this.#expiries.getKeys({ start: Buffer.from([0]), end, limit })];
    for (const expiry of due) {
      const key = Buffer.from(expiry.subarray(EXPIRY_BYTES));
      const value = this.#entries.get(key);
      // The entry may have been refreshed since.
      if (value !== undefined && isOver(value, nowMs)) void this.#entries.remove(key);
      void this.#expiries.remove(expiry);
    }
    return due.length;
  }
}

function expiryBytes(expiryMs: number): Buffer {
  const bytes = Buffer.allocUnsafe(EXPIRY_BYTES);
  bytes.writeUIntBE(expiryMs, 0, EXPIRY_BYTES);
  return bytes;
}

function isOver(value: Buffer, nowMs: number): boolean {
  const expiryMs = value.readUIntBE(0, EXPIRY_BYTES);
  return expiryMs !== 0 && expiryMs <= nowMs;
}

const entryOf = (value: Buffer): unknown => JSON.parse(value.toString('utf8', EXPIRY_BYTES));
