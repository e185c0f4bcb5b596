/**
 * The cells of the embedded store: four LMDB tables. A row's key, often 80 bytes, is kept once and stands in for
 * itself as a six-byte id, so that a cell costs its column, its value and a few bytes.
 *
 *   rows       row key (or its first bytes and digest) → id                                 see keys.ts
 *              ┌────┐   ┌────────────────┬───────────────┐
 *              │ 02 │ → │ next id, u48   │ drops, u48    │                                 how often rows went
 *              └────┘   └────────────────┴───────────────┘
 *   cells      ┌────────┬────────────┐   ┌────┬─────────────────┬───────┐
 *              │ id, 6  │ column, 4  │ → │ 00 │                 │ value │   lives for ever
 *              └────────┴────────────┘   │ 01 │ expiry ms, u48  │ value │   hidden from then on, swept later
 *                                        └────┴─────────────────┴───────┘
 *   headers    id → the whole row key                                                       for rows that go
 *   expiries   expiry ms, u48 · key in `cells` → (nothing)                                  what the sweep follows
 *
 * Headers stood in `cells` once, before the row's first cell, where `dropRowIfEmpty` still finds them: rows are made
 * before their cells are written, so that each cell then went in between two headers, and LMDB halves a page for what
 * goes in between; what is put last fills it (0054).
 *
 * Rows that are written to remember their ids (`CellRow.place`), so that cells are only queued here and written by LMDB's own
 * thread: a transaction's callback would hold the event loop for as long as its writes take. Whether a remembered
 * id still holds, the count of drops says, also when another process drops rows (0034).
 */
import type { Database, RootDatabase } from 'lmdb';
import { threadTurns } from '../../runtime/index.ts';
import type { CellBatch, CellRow } from '../kairos/cell-batch.ts';
import type { CellRange } from '../kairos/wide-rows.ts';
import { CellQueue } from './cell-queue.ts';
import { CellScan, type ColumnRange, type ScannedPage } from './cell-scan.ts';
import { rowTableKey } from './keys.ts';
import { KnownRow } from './known-rows.ts';

const ID_BYTES = 6;
const COLUMN_BYTES = 4;
const EXPIRY_BYTES = 6;
const FOR_EVER = Buffer.from([0]);
const NOTHING = Buffer.alloc(0);
/** No row's key in `rows` begins like this (keys.ts). */
const COUNTS = Buffer.from([2]);
/** Rows looked for or made in one transaction, which holds the event loop for some 2 ms. */
const FIND_ROWS = 100;

const NO_CELLS: ScannedPage = { bytes: NOTHING, count: 0, lastColumn: 0 };

/** What a row remembers here: its id, of the state of `rows` in which rows had gone so often. */
class Place {
  readonly table: CellTable;
  readonly drops: number;
  readonly id: number;

  constructor(table: CellTable, drops: number, id: number) {
    this.table = table;
    this.drops = drops;
    this.id = id;
  }
}

type BinaryTable = Database<Buffer, Buffer>;

export const binaryTable = (root: RootDatabase, name: string): BinaryTable =>
  root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });

export class CellTable {
  readonly #rows: BinaryTable;
  readonly #cells: BinaryTable;
  readonly #headers: BinaryTable;
  readonly #expiries: BinaryTable;
  readonly #scan: CellScan;
  readonly #root: RootDatabase;
  readonly #queue: CellQueue;
  constructor(root: RootDatabase) {
    this.#root = root;
    this.#rows = binaryTable(root, 'rows');
    this.#cells = binaryTable(root, 'cells');
    this.#scan = new CellScan(root, 'cells');
    this.#headers = binaryTable(root, 'row-headers');
    this.#expiries = binaryTable(root, 'cell-expiries');
    this.#queue = new CellQueue(root, { cells: 'cells', expiries: 'cell-expiries' });
  }

  /**
   * In the order given, so that the later of equal cells stays; on the disk when it resolves. The caller sees to it
   * that no row is dropped from this process meanwhile.
   */
  async write(batch: CellBatch, nowMs: number): Promise<void> {
    for (;;) {
      const { ids, drops } = await this.#idsOf(batch.rows);
      await this.#queue.write(batch, ids, nowMs);
      this.#root.resetReadTxn();
      if (drops === this.#counts().drops) return;
      // Another process dropped rows before this was written: what stands under an id that is gone is nobody's.
      await this.#root.transaction(() => {
        const gone = batch.rows.map(({ key }, row) => this.#numberOf(key) !== ids[row]);
        for (let cell = 0; cell < batch.count; cell++) {
          const row = batch.rowAt[cell] as number;
          if (gone[row] === true)
            void this.#cells.remove(cellKey(ids[row] as number, batch.columns[cell] as number));
        }
      });
    }
  }

  /**
   * The id of each row, made where there is none, and how often rows had gone when the first was looked for. What a
   * row remembers holds for as long as none has gone.
   */
  async #idsOf(rows: readonly CellRow[]): Promise<{ ids: Float64Array; drops: number }> {
    const { drops } = this.#counts();
    const ids = new Float64Array(rows.length);
    const unknown: number[] = [];
    for (let row = 0; row < rows.length; row++) {
      const place = (rows[row] as CellRow).place;
      if (place instanceof Place && place.table === this && place.drops === drops)
        ids[row] = place.id;
      else unknown.push(row);
    }
    for (let from = 0; from < unknown.length; from += FIND_ROWS) {
      if (from > 0) await threadTurns.next();
      const part = unknown.slice(from, from + FIND_ROWS);
      for (const row of part) ids[row] = this.#numberOf((rows[row] as CellRow).key);
      const absent = part.filter((row) => ids[row] === 0);
      if (absent.length > 0) {
        await this.#root.transaction(() => {
          for (const row of absent) {
            const { key } = rows[row] as CellRow;
            ids[row] = this.#numberOf(key) || this.#makeRow(key);
          }
        });
      }
      for (const row of part)
        (rows[row] as CellRow).place = new Place(this, drops, ids[row] as number);
    }
    return { ids, drops };
  }

  /**
   * One page; no transaction outlives it. Fewer than `limit` cells mean the end of the range. Its bytes stand until the
   * next call.
   */
  readPage(
    { key, row }: Pick<CellRange, 'key' | 'row'>,
    columns: ColumnRange,
    limit: number,
    nowMs: number,
  ): ScannedPage {
    if (limit < 1 || columns.first > columns.last) return NO_CELLS;
    const id = row instanceof KnownRow ? this.#numberOfKnown(row, key) : this.#numberOf(key);
    return id === 0 ? NO_CELLS : this.#scan.read(id, columns, limit, nowMs);
  }

  /** Both bounds included; the row goes when its last cell goes. Inside a write transaction of the caller's, as `sweep`. */
  delete({ key, first, last }: Pick<CellRange, 'key' | 'first' | 'last'>): void {
    const id = this.#idOf(key);
    if (id === undefined) return;
    const start = Buffer.concat([id, first ?? Buffer.from([0])]);
    const end = Buffer.concat([id, last ?? Buffer.from([255, 255, 255, 255]), FOR_EVER]);
    if (Buffer.compare(start, end) >= 0) return;
    for (const place of [...this.#cells.getKeys({ start, end })]) void this.#cells.remove(place);
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
      const place = Buffer.from(entry.subarray(EXPIRY_BYTES));
      const value = this.#cells.get(place);
      // The cell may have been written again since, with another life.
      if (value?.[0] === 1 && value.readUIntBE(1, EXPIRY_BYTES) <= nowMs) {
        void this.#cells.remove(place);
        const id = place.subarray(0, ID_BYTES);
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

  /** The same as a number; 0 when there is none. */
  #numberOf(key: Buffer): number {
    return this.#idOf(key)?.readUIntBE(0, ID_BYTES) ?? 0;
  }

  /** Looked for once, and again when any row has gone. */
  #numberOfKnown(row: KnownRow, key: Buffer): number {
    const { drops } = this.#counts();
    const { place } = row;
    if (place instanceof Place && place.table === this && place.drops === drops) return place.id;
    const id = this.#numberOf(key);
    row.place = id === 0 ? undefined : new Place(this, drops, id);
    return id;
  }

  /** Ids are never given twice, or one that is remembered elsewhere could come to mean another row. */
  #makeRow(key: Buffer): number {
    const { nextId, drops } = this.#counts();
    const id = Buffer.allocUnsafe(ID_BYTES);
    id.writeUIntBE(nextId, 0, ID_BYTES);
    void this.#rows.put(COUNTS, countBytes(nextId + 1, drops));
    void this.#rows.put(rowTableKey(key), id);
    void this.#headers.put(id, key);
    return nextId;
  }

  #counts(): { readonly nextId: number; readonly drops: number } {
    // LMDB's own buffer, read at once: this is asked for each row that is read.
    const counts = this.#rows.getBinaryFast(COUNTS);
    if (counts !== undefined)
      return { nextId: counts.readUIntBE(0, ID_BYTES), drops: counts.readUIntBE(ID_BYTES, 6) };
    // A store of before ids were counted.
    const [highest] = this.#cells.getKeys({ reverse: true, limit: 1 });
    return { nextId: (highest?.readUIntBE(0, ID_BYTES) ?? 0) + 1, drops: 0 };
  }

  #dropRowIfEmpty(id: Buffer): void {
    const start = Buffer.concat([id, Buffer.from([0])]);
    const end = Buffer.concat([id, Buffer.alloc(5, 0xff)]);
    for (const _left of this.#cells.getKeys({ start, end, limit: 1 })) return;
    const key = this.#headers.get(id) ?? this.#cells.get(id);
    if (key === undefined) return;
    const { nextId, drops } = this.#counts();
    void this.#rows.put(COUNTS, countBytes(nextId, drops + 1));
    void this.#rows.remove(rowTableKey(key));
    void this.#headers.remove(id);
    void this.#cells.remove(id);
  }
}

function cellKey(id: number, column: number): Buffer {
  const key = Buffer.allocUnsafe(ID_BYTES + COLUMN_BYTES);
  key.writeUIntBE(id, 0, ID_BYTES);
  key.writeUInt32BE(column, ID_BYTES);
  return key;
}

function countBytes(nextId: number, drops: number): Buffer {
  const bytes = Buffer.allocUnsafe(ID_BYTES + 6);
  bytes.writeUIntBE(nextId, 0, ID_BYTES);
  bytes.writeUIntBE(drops, ID_BYTES, 6);
  return bytes;
}

function expiryKey(expiryMs: number, place: Buffer): Buffer {
  const head = Buffer.allocUnsafe(EXPIRY_BYTES);
  head.writeUIntBE(expiryMs, 0, EXPIRY_BYTES);
  return Buffer.concat([head, place]);
}
