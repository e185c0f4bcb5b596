/**
 * Reads runs of cells without an object for each: what LMDB holds of a key and a value in its own buffers goes from
 * there into the page. It is a second view of the table `cells`, whose codecs pack instead of giving something back.
 */
import type { Database, RootDatabase } from 'lmdb';
import { CellPacker } from '../kairos/packed-cells.ts';
import type { CellPage } from '../kairos/wide-rows.ts';
import { writeUint32, writeUint48 } from './keys.ts';

/** Where the column stands in a key, and the first byte of a value that has an end; see cells.ts. */
const COLUMN_AT = 6;
const KEY_BYTES = 10;
const MORTAL = 1;
const EXPIRY_BYTES = 6;

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
  readonly #table: Database<boolean, CellPlace>;
  /** Used again for each page. */
  readonly #packer = new CellPacker();
  #nowMs = 0;
  /** Of the entry that LMDB is handing over: it reads a key, then its value. */
  #column = 0;

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
      decode: (bytes: Uint8Array, length: number): boolean => this.#take(bytes, length),
    };
    // lmdb's types know `keyEncoder` only of root databases.
    const options = { name: table, keyEncoder, encoder };
    this.#table = root.openDB<boolean, CellPlace>(options);
  }

  /** At most `limit` cells of the row of this id that are not hidden at `nowMs`. The page stands until the next one. */
  read(
    id: number,
    { first, last, isDescending }: ColumnRange,
    limit: number,
    nowMs: number,
  ): ScannedPage {
    this.#packer.clear();
    this.#nowMs = nowMs;
    const low: CellPlace = [id, first];
    const high: CellPlace = [id, last];
    const run = isDescending
      ? { start: high, end: low, reverse: true, inclusiveEnd: true }
      : { start: low, end: high, inclusiveEnd: true };
    let lastColumn = 0;
    for (const { value: isTaken } of this.#table.getRange(run)) {
      if (!isTaken) continue;
      lastColumn = this.#column;
      if (this.#packer.count === limit) break;
    }
    const { bytes, count } = this.#packer.page;
    return { bytes, count, lastColumn };
  }

  /** False for a cell whose time is over. */
  #take(bytes: Uint8Array, length: number): boolean {
    const isMortal = bytes[0] === MORTAL;
    if (isMortal && uint32At(bytes, 1) * 65_536 + uint16At(bytes, 5) <= this.#nowMs) return false;
    this.#packer.add(this.#column, bytes, isMortal ? 1 + EXPIRY_BYTES : 1, length);
    return true;
  }
}

const uint16At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number);

const uint32At = (bytes: Uint8Array, at: number): number =>
  ((uint16At(bytes, at) << 16) | uint16At(bytes, at + 2)) >>> 0;
