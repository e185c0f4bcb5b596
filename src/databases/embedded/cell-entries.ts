/**
 * The cells of a row in table `cells`, written and deleted inside a transaction of the caller's that is undone when
 * this throws. What comes behind
 * a row's last cell goes into its last entry or a new one; what comes in between is merged with the entries it falls
 * among, so that no two overlap.
 */
import type { Database, RootDatabase } from 'lmdb';
import type { CellBatch } from '../kairos/cell-batch.ts';
import { COLUMN_MAX } from '../kairos/column.ts';
import {
  canGrow,
  ENTRY_ROOM_BYTES,
  type Entry,
  EntryReader,
  EntryWriter,
  expiryOf,
  lastColumnOf,
} from './cell-entry.ts';
import { uint32At, writeUint32, writeUint48 } from './keys.ts';

const ID_BYTES = 6;
const KEY_BYTES = 10;
const EXPIRY_BYTES = 6;
const NOTHING = Buffer.alloc(0);

type BinaryTable = Database<Buffer, Buffer>;

/** Bytes as lmdb takes them from an encoder. */
interface Values {
  readonly buffer: ArrayBufferLike;
  /** Where that stands, once lmdb has asked. */
  address: number;
  start: number;
  end: number;
}

/** Of a row that has no entry yet. */
export const NO_ENTRY = -1;

/** What is remembered of a row: the column at which its last entry begins, NO_ENTRY, or nothing. */
export interface Tail {
  lastEntry: number | undefined;
}

export class CellEntries {
  readonly #cells: BinaryTable;
  readonly #expiries: BinaryTable;
  /** A second view of `cells`: keys are columns of the row at hand, values stand where the writer has them. */
  readonly #ofRow: Database<Values, number>;
  readonly #writer: EntryWriter;
  readonly #reader = new EntryReader();
  #id = 0;

  constructor(
    root: RootDatabase,
    tables: { readonly name: string; readonly cells: BinaryTable; readonly expiries: BinaryTable },
  ) {
    this.#cells = tables.cells;
    this.#expiries = tables.expiries;
    const keyEncoder = {
      writeKey: (column: number, target: Uint8Array, at: number): number => {
        writeUint48(this.#id, target, at);
        writeUint32(column, target, at + ID_BYTES);
        return at + KEY_BYTES;
      },
      readKey: unread,
    };
    const encoder = { encode: (values: Values): Values => values, decode: unread };
    // lmdb's types know `keyEncoder` only of root databases.
    const options = { name: tables.name, keyEncoder, encoder };
    this.#ofRow = root.openDB<Values, number>(options);
    const room = Buffer.allocUnsafeSlow(ENTRY_ROOM_BYTES);
    const values: Values = { buffer: room.buffer, address: 0, start: 0, end: 0 };
    this.#writer = new EntryWriter(room, (column, bytes, start, end, expiryMs) => {
      // Inside a transaction lmdb has taken them when it returns.
      if (bytes === room) {
        values.start = start;
        values.end = end;
        void this.#ofRow.put(column, values);
      } else void this.#cells.put(cellKey(this.#id, column), bytes.subarray(start, end));
      if (expiryMs !== 0)
        void this.#expiries.put(expiryKey(expiryMs, cellKey(this.#id, column)), NOTHING);
    });
  }

  /**
   * `cells`: those of the row with this id, not none, in order of their columns, each column once. `tail` is the row's,
   * and is so afterwards. Entries that no cell falls into stay as they are, whatever lies between two cells.
   */
  write(id: number, batch: CellBatch, cells: Uint32Array, nowMs: number, tail: Tail): void {
    this.#begin(id);
    const columnOf = (at: number) => batch.columns[cells[at] as number] as number;
    const before = (column: number, from: number) => {
      let end = from;
      while (end < cells.length && columnOf(end) < column) end++;
      return cells.subarray(from, end);
    };
    const last = this.#lastEntry(tail);
    const lastColumn = last === undefined ? -1 : lastColumnOf(last);
    let next = 0;
    while (next < cells.length && columnOf(next) <= lastColumn) {
      const entry = this.#entryAt(columnOf(next));
      const isIn = entry !== undefined && lastColumnOf(entry) >= columnOf(next);
      const end = isIn ? lastColumnOf(entry) + 1 : this.#columnBehind(columnOf(next));
      const part = before(end, next);
      if (isIn) this.#merge(entry, batch, part, nowMs);
      else this.#add(entry, batch, part, nowMs);
      if (entry?.column === tail.lastEntry) tail.lastEntry = this.#writer.lastPut;
      next += part.length;
    }
    if (next === cells.length) return;
    this.#add(next === 0 ? last : this.#lastEntry(tail), batch, cells.subarray(next), nowMs);
    tail.lastEntry = this.#writer.lastPut;
  }

  /** Both bounds included. */
  delete(id: number, first: number, last: number): void {
    if (first > last) return;
    this.#begin(id);
    const entries = this.#entriesAt(first, last);
    for (const { column } of entries) void this.#ofRow.remove(column);
    const cut = entries.filter((entry) => entry.column < first || lastColumnOf(entry) > last);
    this.#eachCell(cut, (column, expiryMs, from, to) => {
      if (column < first || column > last)
        this.#writer.add(column, expiryMs, this.#reader.bytes, from, to);
    });
    this.#writer.end();
  }

  /** Removes the entry with this key of `cells` if its time is over; says whether it did. */
  sweep(key: Buffer, nowMs: number): boolean {
    const bytes = this.#cells.get(key);
    // It may have been written again since, with another life.
    const expiryMs = bytes === undefined ? 0 : expiryOf(bytes);
    if (expiryMs === 0 || expiryMs > nowMs) return false;
    void this.#cells.remove(key);
    return true;
  }

  #begin(id: number): void {
    this.#id = id;
    // Of a row that could not be written something may be left.
    this.#writer.clear();
  }

  /** The row's last entry; its bytes stand until lmdb is asked again. Finds it where the tail does not know it any more. */
  #lastEntry(tail: Tail): Entry | undefined {
    if (tail.lastEntry === NO_ENTRY) return undefined;
    if (tail.lastEntry !== undefined) {
      const bytes = this.#ofRow.getBinaryFast(tail.lastEntry);
      if (bytes !== undefined) return { column: tail.lastEntry, bytes };
    }
    const last = this.#entryAt(COLUMN_MAX);
    tail.lastEntry = last?.column;
    return last;
  }

  /** Cells behind an entry, if there is one, and before the next: into it while it has room. */
  #add(entry: Entry | undefined, batch: CellBatch, cells: Uint32Array, nowMs: number): void {
    const expiryMs = expiryOfCell(batch, cells[0] as number, nowMs);
    if (entry !== undefined && canGrow(entry, expiryMs)) this.#writer.resume(entry);
    for (const cell of cells) this.#addCell(batch, cell, nowMs);
    this.#writer.end();
  }

  /** Cells among those of an entry. */
  #merge(entry: Entry, batch: CellBatch, cells: Uint32Array, nowMs: number): void {
    void this.#ofRow.remove(entry.column);
    let next = 0;
    const columnOf = () => batch.columns[cells[next] as number] as number;
    const addNext = () => this.#addCell(batch, cells[next++] as number, nowMs);
    this.#eachCell([entry], (column, expiryMs, from, to) => {
      while (next < cells.length && columnOf() < column) addNext();
      // The one that is written now stays, not the one that was there.
      if (next < cells.length && columnOf() === column) addNext();
      else this.#writer.add(column, expiryMs, this.#reader.bytes, from, to);
    });
    this.#writer.end();
  }

  #addCell(batch: CellBatch, cell: number, nowMs: number): void {
    const { columns, bytes, ends } = batch;
    const expiryMs = expiryOfCell(batch, cell, nowMs);
    const to = ends[cell] as number;
    this.#writer.add(columns[cell] as number, expiryMs, bytes, batch.startOf(cell), to);
  }

  /** The entry of the row at hand that begins at this column or last before it. */
  #entryAt(column: number): Entry | undefined {
    const [entry] = this.#entriesFrom(column, 1);
    return entry;
  }

  /** Where the next entry of the row at hand begins behind this column; there is one. */
  #columnBehind(column: number): number {
    const [key] = this.#cells.getKeys({ start: cellKey(this.#id, column + 1), limit: 1 });
    return uint32At(key as Buffer, ID_BYTES);
  }

  /** In order, the entries of the row at hand that hold columns of this range, or begin in it. */
  #entriesAt(first: number, last: number): Entry[] {
    const found: Entry[] = [];
    for (const entry of this.#entriesFrom(last)) {
      if (entry.column >= first || lastColumnOf(entry) >= first) found.push(entry);
      if (entry.column <= first) break;
    }
    return found.reverse();
  }

  /** The entries of the row at hand that begin at this column or before it, backwards. */
  *#entriesFrom(column: number, limit?: number): Generator<Entry> {
    const run = { start: cellKey(this.#id, column), end: cellKey(this.#id, 0), reverse: true };
    const bound = limit === undefined ? {} : { limit };
    for (const { key, value } of this.#cells.getRange({ ...run, ...bound, inclusiveEnd: true }))
      yield { column: uint32At(key, ID_BYTES), bytes: value };
  }

  #eachCell(
    entries: readonly Entry[],
    each: (column: number, expiryMs: number, from: number, to: number) => void,
  ): void {
    const reader = this.#reader;
    for (const { column, bytes } of entries) {
      reader.open(column, bytes, bytes.length);
      while (reader.next()) each(reader.column, reader.expiryMs, reader.from, reader.to);
    }
  }
}

function expiryOfCell({ lives }: CellBatch, cell: number, nowMs: number): number {
  const life = lives[cell] as number;
  return life === 0 ? 0 : nowMs + life * 1_000;
}

function cellKey(id: number, column: number): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES);
  writeUint48(id, key, 0);
  writeUint32(column, key, ID_BYTES);
  return key;
}

/** Where an entry of `cells` stands in `cell-expiries`. */
export function expiryKey(expiryMs: number, place: Buffer): Buffer {
  const key = Buffer.allocUnsafe(EXPIRY_BYTES + place.length);
  writeUint48(expiryMs, key, 0);
  place.copy(key, EXPIRY_BYTES);
  return key;
}

const unread = (): never => {
  throw new Error('BUG: the view of cells for writing was read');
};
