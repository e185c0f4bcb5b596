/**
 * The cells of the embedded store: three LMDB tables. A row's key, often 80 bytes, is kept once and stands in for
 * itself as a six-byte id, so that a cell costs its column, its value and a few bytes.
 *
 *   rows       row key (or its first bytes and digest) → id                                 see keys.ts
 *              ┌────┐   ┌────────────────┬───────────────┐
 *              │ 02 │ → │ next id, u48   │ drops, u48    │                                 how often rows went
 *              └────┘   └────────────────┴───────────────┘
 *   cells      ┌────────┬────────────┐   ┌────┬─────────────────┬───────┐
 *              │ id, 6  │ column, 4  │ → │ 00 │                 │ value │   lives for ever
 *              └────────┴────────────┘   │ 01 │ expiry ms, u48  │ value │   hidden from then on, swept later
 *              ┌────────┐                └────┴─────────────────┴───────┘
 *              │ id, 6  │              → the whole row key: the row's header, first in order
 *              └────────┘
 *   expiries   expiry ms, u48 · key in `cells` → (nothing)                                  what the sweep follows
 *
 * Ids of rows that are written to are remembered, so that cells are only queued here and written by LMDB's own
 * thread: a transaction's callback would hold the event loop for as long as its writes take. Whether a remembered
 * id still holds, the count of drops says, also when another process drops rows (0034).
 */
import type { Database, RootDatabase } from 'lmdb';
import { threadTurns } from '../../runtime/index.ts';
import type { Cell, CellPage, CellRange } from '../kairos/wide-rows.ts';
import { CellScan } from './cell-scan.ts';
import { rowTableKey } from './keys.ts';

const ID_BYTES = 6;
const COLUMN_BYTES = 4;
const EXPIRY_BYTES = 6;
const FOR_EVER = Buffer.from([0]);
const NOTHING = Buffer.alloc(0);
/** No row's key in `rows` begins like this (keys.ts). */
const COUNTS = Buffer.from([2]);
/** Ids remembered: some 200 bytes each. When there are more, all are looked up anew. */
const IDS_MAX = 100_000;
/** Cells queued before the event loop gets its turn: some 1 ms. */
const QUEUE_CELLS = 250;
/** Rows looked for or made in one transaction, which holds the event loop for some 2 ms. */
const FIND_ROWS = 100;

/** A page, and the column it ends at when it is full. */
export interface EdgedPage extends CellPage {
  readonly last: Buffer | undefined;
}

const NO_CELLS: EdgedPage = { bytes: NOTHING, count: 0, last: undefined };

type BinaryTable = Database<Buffer, Buffer>;

export const binaryTable = (root: RootDatabase, name: string): BinaryTable =>
  root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });

export class CellTable {
  readonly #rows: BinaryTable;
  readonly #cells: BinaryTable;
  readonly #expiries: BinaryTable;
  readonly #scan: CellScan;
  readonly #root: RootDatabase;
  /** By row key, latin1; of the state of the table in which rows had gone `#idsDrops` times. */
  readonly #ids = new Map<string, Buffer>();
  #idsDrops = -1;
  /** What a key is called there: writers give the same key again and again. */
  readonly #names = new WeakMap<Buffer, string>();

  constructor(root: RootDatabase) {
    this.#root = root;
    this.#rows = binaryTable(root, 'rows');
    this.#cells = binaryTable(root, 'cells');
    this.#scan = new CellScan(root, 'cells');
    this.#expiries = binaryTable(root, 'cell-expiries');
  }

  /**
   * In the order given, so that the later of equal cells stays; on the disk when it resolves. The caller sees to it
   * that no row is dropped from this process meanwhile.
   */
  async write(cells: readonly Cell[], nowMs: number): Promise<void> {
    for (;;) {
      const { ids, drops } = await this.#idsOf(cells);
      const written: Promise<unknown>[] = [];
      for (let from = 0; from < cells.length; from += QUEUE_CELLS) {
        if (from > 0) await threadTurns.next();
        const batch = this.#root.batch(() => this.#queue(cells, from, ids, nowMs));
        batch.catch(() => {});
        written.push(batch);
      }
      await Promise.all(written);
      this.#root.resetReadTxn();
      if (drops === this.#counts().drops) return;
      // Another process dropped rows before this was written: what stands under an id that is gone is nobody's.
      const stale = cells.map((cell, i) => Buffer.concat([ids[i] as Buffer, cell.column]));
      await this.#root.transaction(() => {
        for (const [i, cell] of cells.entries()) {
          const id = this.#idOf(cell.key);
          if (id === undefined || !id.equals(ids[i] as Buffer))
            void this.#cells.remove(stale[i] as Buffer);
        }
      });
    }
  }

  /**
   * The id of each cell's row, made where there is none, and how often rows had gone when the first was looked for:
   * another write may have moved on what is remembered since.
   */
  async #idsOf(cells: readonly Cell[]): Promise<{ ids: Buffer[]; drops: number }> {
    const { drops } = this.#counts();
    if (drops !== this.#idsDrops || this.#ids.size > IDS_MAX) this.#ids.clear();
    this.#idsDrops = drops;
    const ids: Buffer[] = [];
    const unknown = new Map<string, { key: Buffer; at: number[] }>();
    let key: Buffer | undefined;
    let name = '';
    for (const [i, cell] of cells.entries()) {
      if (cell.key !== key) {
        key = cell.key;
        name = this.#nameOf(key);
      }
      const id = this.#ids.get(name);
      if (id !== undefined) ids[i] = id;
      else {
        const row = unknown.get(name);
        if (row === undefined) unknown.set(name, { key, at: [i] });
        else row.at.push(i);
      }
    }
    const rows = [...unknown];
    for (let from = 0; from < rows.length; from += FIND_ROWS) {
      const part = rows.slice(from, from + FIND_ROWS);
      const found = await this.#root.transaction(() => ({
        drops: this.#counts().drops,
        ids: part.map(([, row]) => this.#idOf(row.key) ?? this.#makeRow(row.key)),
      }));
      // What was found before is of another state of the table: the write looks again when it is through.
      if (found.drops !== this.#idsDrops) this.#ids.clear();
      for (const [n, [rowName, { at }]] of part.entries()) {
        const id = found.ids[n] as Buffer;
        for (const i of at) ids[i] = id;
        if (found.drops === this.#idsDrops) this.#ids.set(rowName, id);
      }
    }
    return { ids, drops };
  }

  #nameOf(key: Buffer): string {
    let name = this.#names.get(key);
    if (name === undefined) {
      name = key.toString('latin1');
      this.#names.set(key, name);
    }
    return name;
  }

  #queue(cells: readonly Cell[], from: number, ids: readonly Buffer[], nowMs: number): void {
    // LMDB copies keys at once, values when it writes.
    const cellKey = Buffer.allocUnsafe(ID_BYTES + COLUMN_BYTES);
    const end = Math.min(cells.length, from + QUEUE_CELLS);
    for (let i = from; i < end; i++) {
      const { column, value, ttlSeconds } = cells[i] as Cell;
      cellKey.set(ids[i] as Buffer);
      cellKey.set(column, ID_BYTES);
      const expiryMs = ttlSeconds === 0 ? 0 : nowMs + ttlSeconds * 1_000;
      const head = ttlSeconds === 0 ? 1 : 1 + EXPIRY_BYTES;
      const stored = Buffer.allocUnsafe(head + value.length);
      stored[0] = ttlSeconds === 0 ? 0 : 1;
      if (ttlSeconds !== 0) stored.writeUIntBE(expiryMs, 1, EXPIRY_BYTES);
      stored.set(value, head);
      void this.#cells.put(cellKey, stored);
      if (ttlSeconds !== 0) void this.#expiries.put(expiryKey(expiryMs, cellKey), NOTHING);
    }
  }

  /** One page; no transaction outlives it. Fewer than `limit` cells mean the end of the range. */
  readPage(range: CellRange, limit: number, nowMs: number): EdgedPage {
    const id = this.#idOf(range.key);
    if (id === undefined || limit < 1) return NO_CELLS;
    const low = Buffer.concat([id, range.first ?? Buffer.from([0])]);
    // Bounds of LMDB are half-open, from the end one starts at; a byte more lies just behind a column.
    const high = Buffer.concat([id, range.last ?? Buffer.from([255, 255, 255, 255]), FOR_EVER]);
    if (Buffer.compare(low, high) >= 0) return NO_CELLS;
    const run =
      range.order === 'descending'
        ? { start: high, end: justBefore(low, id), reverse: true }
        : { start: low, end: high };
    const { lastColumn, ...page } = this.#scan.read(run, limit, nowMs);
    return { ...page, last: page.count === limit ? columnBytes(lastColumn) : undefined };
  }

  /** Both bounds included; the row goes when its last cell goes. Inside a write transaction of the caller's, as `sweep`. */
  delete({ key, first, last }: Pick<CellRange, 'key' | 'first' | 'last'>): void {
    const id = this.#idOf(key);
    if (id === undefined) return;
    const start = Buffer.concat([id, first ?? Buffer.from([0])]);
    const end = Buffer.concat([id, last ?? Buffer.from([255, 255, 255, 255]), FOR_EVER]);
    if (Buffer.compare(start, end) >= 0) return;
    for (const cellKey of [...this.#cells.getKeys({ start, end })])
      void this.#cells.remove(cellKey);
    this.#dropRowIfEmpty(id);
  }

  /** Whether `sweep` would find anything. */
  hasExpired(nowMs: number): boolean {
    const [due] = this.#expiries.getKeys({
      start: Buffer.from([0]),
      end: expiryKey(nowMs + 1, NOTHING),
      limit: 1,
    });
    return due !== undefined;
  }

  /** Removes up to `limit` cells that have expired; says how many entries it went through. */
  sweep(nowMs: number, limit: number): number {
    const rows = new Map<string, Buffer>();
    const end = expiryKey(nowMs + 1, NOTHING);
    const due = [...this.#expiries.getKeys({ start: Buffer.from([0]), end, limit })];
    for (const entry of due) {
      const cellKey = Buffer.from(entry.subarray(EXPIRY_BYTES));
      const value = this.#cells.get(cellKey);
      // The cell may have been written again since, with another life.
      if (value?.[0] === 1 && value.readUIntBE(1, EXPIRY_BYTES) <= nowMs) {
        void this.#cells.remove(cellKey);
        const id = cellKey.subarray(0, ID_BYTES);
        rows.set(id.toString('hex'), id);
      }
      void this.#expiries.remove(entry);
    }
    for (const id of rows.values()) this.#dropRowIfEmpty(id);
    return due.length;
  }

  #idOf(key: Buffer): Buffer | undefined {
    return this.#rows.get(rowTableKey(key));
  }

  /** Ids are never given twice, or one that is remembered elsewhere could come to mean another row. */
  #makeRow(key: Buffer): Buffer {
    const { nextId, drops } = this.#counts();
    const id = Buffer.allocUnsafe(ID_BYTES);
    id.writeUIntBE(nextId, 0, ID_BYTES);
    void this.#rows.put(COUNTS, countBytes(nextId + 1, drops));
    void this.#rows.put(rowTableKey(key), id);
    void this.#cells.put(id, key);
    return id;
  }

  #counts(): { readonly nextId: number; readonly drops: number } {
    const counts = this.#rows.get(COUNTS);
    if (counts !== undefined)
      return { nextId: counts.readUIntBE(0, ID_BYTES), drops: counts.readUIntBE(ID_BYTES, 6) };
    // A store of before ids were counted.
    const [highest] = this.#cells.getKeys({ reverse: true, limit: 1 });
    return { nextId: (highest?.readUIntBE(0, ID_BYTES) ?? 0) + 1, drops: 0 };
  }

  #dropRowIfEmpty(id: Buffer): void {
    const end = Buffer.concat([id, Buffer.alloc(5, 0xff)]);
    const left = [...this.#cells.getKeys({ start: id, end, limit: 2 })];
    if (left.length > 1) return;
    const key = this.#cells.get(id);
    if (key === undefined) return;
    const { nextId, drops } = this.#counts();
    void this.#rows.put(COUNTS, countBytes(nextId, drops + 1));
    void this.#rows.remove(rowTableKey(key));
    void this.#cells.remove(id);
  }
}

function columnBytes(column: number): Buffer {
  const bytes = Buffer.allocUnsafe(COLUMN_BYTES);
  bytes.writeUInt32BE(column);
  return bytes;
}

function countBytes(nextId: number, drops: number): Buffer {
  const bytes = Buffer.allocUnsafe(ID_BYTES + 6);
  bytes.writeUIntBE(nextId, 0, ID_BYTES);
  bytes.writeUIntBE(drops, ID_BYTES, 6);
  return bytes;
}

function expiryKey(expiryMs: number, cellKey: Buffer): Buffer {
  const head = Buffer.allocUnsafe(EXPIRY_BYTES);
  head.writeUIntBE(expiryMs, 0, EXPIRY_BYTES);
  return Buffer.concat([head, cellKey]);
}

/** The excluded end of a reverse range whose last key may be `low`: the column before, or the row's header. */
function justBefore(low: Buffer, id: Buffer): Buffer {
  const before = Buffer.from(low);
  let at = before.length - 1;
  while (at >= ID_BYTES && before[at] === 0) before[at--] = 0xff;
  if (at < ID_BYTES) return id;
  before[at] = (before[at] as number) - 1;
  return before;
}
