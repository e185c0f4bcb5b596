/**
 * Reads the index's row keys, of which most were read before, without making their objects again (known-rows.ts): a
 * second view of its table (index-table.ts), whose decoder looks at the bytes where LMDB has them.
 */
import type { Database, RootDatabase } from 'lmdb';
import { EXPIRY_BYTES, INDEX } from './index-table.ts';
import { behind } from './keys.ts';
import { type KnownRow, KnownRows } from './known-rows.ts';

export class RowKeyScan {
  readonly #known = new KnownRows();
  readonly #table: Database<KnownRow | undefined, Buffer>;
  #nowMs = 0;
  /** Of the page that is being read. */
  #left = 0;
  #lastKey: Buffer | undefined;

  constructor(root: RootDatabase) {
    const keyEncoder = {
      writeKey(key: Buffer, target: Uint8Array, at: number): number {
        target.set(key, at);
        return at + key.length;
      },
      readKey: (bytes: Uint8Array, at: number, end: number): undefined => {
        if (this.#left === 1) this.#lastKey = Buffer.from(bytes.subarray(at, end));
      },
    };
    const encoder = {
      encode: () => {
        throw new Error('BUG: the view of row keys for reading was written to');
      },
      decode: (bytes: Buffer, length: number): KnownRow | undefined => {
        const expiryMs = bytes.readUIntBE(0, EXPIRY_BYTES);
        if (expiryMs !== 0 && expiryMs <= this.#nowMs) return undefined;
        return this.#known.rowOf(bytes.toString('latin1', EXPIRY_BYTES, length));
      },
    };
    // lmdb's types know `keyEncoder` only of root databases.
    const options = { name: INDEX, keyEncoder, encoder };
    this.#table = root.openDB<KnownRow | undefined, Buffer>(options);
  }

  /** Those of all keys that begin with `stem`, up to `limit` at once. */
  *pagesOf(stem: Buffer, limit: number, nowMs: () => number): Generator<KnownRow[]> {
    const end = behind(stem);
    let start = stem;
    for (;;) {
      const page: KnownRow[] = [];
      this.#nowMs = nowMs();
      this.#left = limit;
      for (const { value: row } of this.#table.getRange(end ? { start, end } : { start })) {
        if (row === undefined) continue;
        page.push(row);
        if (--this.#left === 0) break;
      }
      // Behind a yield it may be another question's.
      const lastKey = this.#lastKey;
      if (page.length > 0) yield page;
      if (page.length < limit || lastKey === undefined) return;
      start = Buffer.concat([lastKey, Buffer.from([0])]);
    }
  }
}
