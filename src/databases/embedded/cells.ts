/**
 * The cells of the embedded store: four LMDB tables. A row's key, often 80 bytes, is kept once and stands in for
 * itself as a six-byte id.
 *
 *   rows       row key (or its first bytes and digest) → id                                 see keys.ts
 *              ┌────┐   ┌────────────────┬───────────────┐
 *              │ 02 │ → │ next id, u48   │ drops, u48    │                                 how often rows went
 *              └────┘   └────────────────┴───────────────┘
 *              ┌────┐   ┌────────────────┐
 *              │ 03 │ → │ who, u48       │                                               wrote cells last
 *              └────┘   └────────────────┘
 *   cells      ┌────────┬────────────┐
 *              │ id, 6  │ column, 4  │ → a cell, or a block of cells from this column on       see cell-entry.ts
 *              └────────┴────────────┘
 *   headers    id → the whole row key                                                       for rows that go
 *   expiries   expiry ms, u48 · key in `cells` → (nothing)                                  what the sweep follows
 *
 * Headers stood in `cells` once, before the row's first cell, where `dropRowIfEmpty` still finds them (0054).
 *
 * Cells are written inside transactions of their own, because what a row holds decides where they go; a transaction's
 * callback holds the event loop, so each goes on for a moment and leaves the rest to the next (0061). Rows that are
 * written to remember their ids (`CellRow.place`). Whether a remembered id still holds, the count of drops says, also
 * when another process drops rows (0034).
 */

import { randomInt } from 'node:crypto';
import type { Database, RootDatabase } from 'lmdb';
import { threadTurns } from '../../runtime/index.ts';
import type { CellBatch, CellRow } from '../kairos/cell-batch.ts';
import { cellsByRow, type RowCells } from '../kairos/cells-by-row.ts';
import { COLUMN_MAX } from '../kairos/column.ts';
import type { CellRange } from '../kairos/wide-rows.ts';
import { CellEntries, expiryKey, NO_ENTRY, type Tail } from './cell-entries.ts';
import { CellScan, type ColumnRange, type ScannedPage } from './cell-scan.ts';
import { rowTableKey, writeUint48 } from './keys.ts';
import { KnownRow } from './known-rows.ts';

const ID_BYTES = 6;
const EXPIRY_BYTES = 6;
const NOTHING = Buffer.alloc(0);
/** No row's key in `rows` begins like this (keys.ts). */
const COUNTS = Buffer.from([2]);
/** Who wrote cells last. */
const WRITER = Buffer.from([3]);
const WRITER_BYTES = 6;
/** Rows looked for or made in one transaction, which holds the event loop for some 2 ms. */
const FIND_ROWS = 100;
/** Cells of a row written before the watch is looked at. */
const WRITE_CELLS = 2_000;

const NO_CELLS: ScannedPage = { bytes: NOTHING, count: 0, lastColumn: 0 };

/** What a row remembers here: its id, of the state of `rows` in which rows had gone so often. */
class Place implements Tail {
  lastEntry: number | undefined;
  /** Of which `lastEntry` is. */
  #era = 0;
  readonly table: CellTable;
  readonly drops: number;
  readonly id: number;

  constructor(table: CellTable, drops: number, id: number) {
    this.table = table;
    this.drops = drops;
    this.id = id;
  }

  remember(lastEntry: number | undefined, era: number): void {
    this.lastEntry = lastEntry;
    this.#era = era;
  }

  /** Nothing is remembered from another era. */
  in(era: number): Tail {
    if (this.#era !== era) this.remember(undefined, era);
    return this;
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
  readonly #entries: CellEntries;
  /** Stands for this object in `rows`. */
  readonly #writer = randomInt(2 ** 48 - 1);
  /** Counts how often another one wrote cells, and how often a write failed. */
  #era = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(root: RootDatabase) {
    this.#root = root;
    this.#rows = binaryTable(root, 'rows');
    this.#cells = binaryTable(root, 'cells');
    this.#scan = new CellScan(root, 'cells');
    this.#headers = binaryTable(root, 'row-headers');
    this.#expiries = binaryTable(root, 'cell-expiries');
    const [cells, expiries] = [this.#cells, this.#expiries];
    this.#entries = new CellEntries(root, { name: 'cells', cells, expiries });
  }

  /** Of equal cells the later stays; on the disk when it resolves. One batch after another. */
  write(batch: CellBatch, nowMs: number): Promise<void> {
    const written = this.#writing.then(() => this.#write(batch, nowMs));
    this.#writing = written.catch(() => {});
    return written;
  }

  async #write(batch: CellBatch, nowMs: number): Promise<void> {
    const { ids, drops } = await this.#idsOf(batch.rows);
    const known = { ids, drops };
    const parts = partsOf(batch);
    let part = parts.next();
    try {
      while (part.done !== true) {
        // Whole or not at all: lmdb commits what a plain transaction's callback did before it threw.
        await this.#root.childTransaction(() => {
          this.#keepIds(batch.rows, known);
          this.#beginEra();
          const piece = threadTurns.piece();
          while (part.done !== true) {
            const { row, cells } = part.value;
            const tail = this.#tailOf(batch.rows[row] as CellRow);
            this.#entries.write(ids[row] as number, batch, cells, nowMs, tail);
            part = parts.next();
            if (piece.isOver) return;
          }
        });
        await threadTurns.next();
      }
    } catch (error) {
      // What rows remember may be of a transaction that never was.
      this.#era++;
      throw error;
    }
    this.#root.resetReadTxn();
  }

  /** In a transaction: of rows that another process dropped since, the ids are made anew. */
  #keepIds(rows: readonly CellRow[], known: { readonly ids: Float64Array; drops: number }): void {
    const { drops } = this.#counts();
    if (drops === known.drops) return;
    known.drops = drops;
    for (const [row, { key }] of rows.entries())
      known.ids[row] = this.#numberOf(key) || this.#makeRow(key);
  }

  /**
   * In a transaction that writes cells: what rows remember of their last entries holds for as long as no other process
   * has written cells. Deleting takes no leave: what it leaves of an entry begins where that did, or is looked for anew.
   */
  #beginEra(): void {
    const writer = this.#rows.getBinaryFast(WRITER)?.readUIntBE(0, WRITER_BYTES);
    if (writer === this.#writer) return;
    void this.#rows.put(WRITER, uint48(this.#writer));
    this.#era++;
  }

  #tailOf({ place }: CellRow): Tail {
    return place instanceof Place ? place.in(this.#era) : { lastEntry: undefined };
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
      const made = new Set<number>();
      for (const row of part) ids[row] = this.#numberOf((rows[row] as CellRow).key);
      const absent = part.filter((row) => ids[row] === 0);
      if (absent.length > 0) {
        await this.#root.childTransaction(() => {
          for (const row of absent) {
            const { key } = rows[row] as CellRow;
            const there = this.#numberOf(key);
            ids[row] = there || this.#makeRow(key);
            if (there === 0) made.add(row);
          }
        });
      }
      for (const row of part) {
        const place = new Place(this, drops, ids[row] as number);
        if (made.has(row)) place.remember(NO_ENTRY, this.#era);
        (rows[row] as CellRow).place = place;
      }
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

  /** Both bounds included; the row goes when its last cell goes. Inside a child transaction of the caller's, as `sweep`. */
  delete({ key, first, last }: Pick<CellRange, 'key' | 'first' | 'last'>): void {
    const id = this.#idOf(key);
    if (id === undefined) return;
    const from = first?.readUInt32BE(0) ?? 0;
    this.#entries.delete(id.readUIntBE(0, ID_BYTES), from, last?.readUInt32BE(0) ?? COLUMN_MAX);
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

  /** Removes up to `limit` entries that have expired; says how many entries it went through. */
  sweep(nowMs: number, limit: number): number {
    const rows = new Map<string, Buffer>();
    const end = expiryKey(nowMs + 1, NOTHING);
    const due = [...this.#expiries.getKeys({ start: Buffer.from([0]), end, limit })];
    for (const entry of due) {
      const place = Buffer.from(entry.subarray(EXPIRY_BYTES));
      if (this.#entries.sweep(place, nowMs)) {
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
    const id = uint48(nextId);
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

function* partsOf(batch: CellBatch): Generator<RowCells> {
  for (const { row, cells } of cellsByRow(batch)) {
    for (let from = 0; from < cells.length; from += WRITE_CELLS)
      yield { row, cells: cells.subarray(from, from + WRITE_CELLS) };
  }
}

function uint48(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  writeUint48(value, bytes, 0);
  return bytes;
}

const countBytes = (nextId: number, drops: number): Buffer =>
  Buffer.concat([uint48(nextId), uint48(drops)]);
