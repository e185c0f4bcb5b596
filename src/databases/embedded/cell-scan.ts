/**
 * Reads runs of cells without an object for each: what LMDB holds of a key and a value in its own buffers goes from
 * there into the page. It is a second view of the table `cells`, whose codecs pack instead of giving something back.
 */
import type { Database, RootDatabase } from 'lmdb';
import { CellPacker } from '../kairos/packed-cells.ts';
import type { CellPage } from '../kairos/wide-rows.ts';
import { EntryReader, lastColumnOf } from './cell-entry.ts';
import { uint32At, writeUint32, writeUint48 } from './keys.ts';

/** Where the column stands in a key. */
const COLUMN_AT = 6;
const KEY_BYTES = 10;

/** As lmdb's types have keys. */
type CellPlace = [id: number, column: number];

/** Columns of a row, both included. */
export interface ColumnRange {
  readonly first: number;
  readonly last: number;
  readonly isDescending: boolean;
}

export interface ScannedPage extends CellPage {
  /** Of the last cell. */
  readonly lastColumn: number;
}

export class CellScan {
  readonly #table: Database<number, CellPlace>;
  /** Used again for each page. */
  readonly #packer = new CellPacker();
  readonly #entry = new EntryReader();
  /** Of the cells of a block that is gone through backwards: column and place of each, three numbers. */
  readonly #behind: number[] = [];
  #range: ColumnRange = { first: 0, last: 0, isDescending: false };
  #limit = 0;
  #nowMs = 0;
  /** Of the entry that LMDB is handing over: it reads a key, then its value. */
  #column = 0;
  #lastColumn = 0;
  /** Only the last column of an entry is asked for. */
  #isLooking = false;

  constructor(root: RootDatabase, table: string) {
    const keyEncoder = {
      writeKey([id, column]: CellPlace, target: Uint8Array, at: number): number {
        writeUint48(id, target, at);
        writeUint32(column, target, at + COLUMN_AT);
        return at + KEY_BYTES;
      },
      readKey: (bytes: Uint8Array, at: number): undefined => {
        this.#column = uint32At(bytes, at + COLUMN_AT);
      },
    };
    const encoder = {
      encode: () => {
        throw new Error('BUG: the view of cells for reading was written to');
      },
      decode: (bytes: Uint8Array, length: number): number => {
        if (this.#isLooking) return lastColumnOf({ column: this.#column, bytes });
        const { expiryMs } = this.#entry.open(this.#column, bytes, length);
        const isOver = expiryMs !== 0 && expiryMs <= this.#nowMs;
        if (!isOver && this.#range.isDescending) this.#takeBackwards();
        else if (!isOver) this.#take();
        return 0;
      },
    };
    // lmdb's types know `keyEncoder` only of root databases.
    const options = { name: table, keyEncoder, encoder };
    this.#table = root.openDB<number, CellPlace>(options);
  }

  /** At most `limit` cells of the row of this id that are not hidden at `nowMs`. The page stands until the next one. */
  read(id: number, range: ColumnRange, limit: number, nowMs: number): ScannedPage {
    const { first, last, isDescending } = range;
    this.#packer.clear();
    this.#range = range;
    this.#limit = limit;
    this.#nowMs = nowMs;
    this.#lastColumn = 0;
    // Backwards, the entry that begins before the range is the last one looked at.
    const run = isDescending
      ? { start: [id, last] as CellPlace, end: [id, 0] as CellPlace, reverse: true }
      : { start: [id, this.#startOf(id, first)] as CellPlace, end: [id, last] as CellPlace };
    for (const _entry of this.#table.getRange({ ...run, inclusiveEnd: true })) {
      if (this.#packer.count === limit) break;
      if (isDescending && this.#column <= first) break;
    }
    const { bytes, count } = this.#packer.page;
    return { bytes, count, lastColumn: this.#lastColumn };
  }

  /** Where the entry begins that holds this column, if it is not its first; else the column. */
  #startOf(id: number, column: number): number {
    if (column === 0) return 0;
    this.#isLooking = true;
    const before = { start: [id, column] as CellPlace, end: [id, 0] as CellPlace, reverse: true };
    try {
      for (const { value: last } of this.#table.getRange({
        ...before,
        inclusiveEnd: true,
        limit: 1,
      }))
        return last >= column ? this.#column : column;
      return column;
    } finally {
      this.#isLooking = false;
    }
  }

  /** The cells of the entry that was opened. */
  #take(): void {
    const entry = this.#entry;
    const { first, last } = this.#range;
    while (entry.next()) {
      const { column } = entry;
      if (column < first) continue;
      if (column > last || this.#packer.count === this.#limit) return;
      this.#packer.add(column, entry.bytes, entry.from, entry.to);
      this.#lastColumn = column;
    }
  }

  #takeBackwards(): void {
    const entry = this.#entry;
    const { first, last } = this.#range;
    const behind = this.#behind;
    behind.length = 0;
    while (entry.next()) {
      if (entry.column > last) break;
      if (entry.column >= first) behind.push(entry.column, entry.from, entry.to);
    }
    for (let i = behind.length - 3; i >= 0 && this.#packer.count < this.#limit; i -= 3) {
      const [column, from, to] = [behind[i] as number, behind[i + 1] as number, behind[i + 2]];
      this.#packer.add(column, entry.bytes, from, to as number);
      this.#lastColumn = column;
    }
  }
}
