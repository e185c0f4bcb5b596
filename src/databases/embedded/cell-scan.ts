/**
 * Reads runs of cells without an object for each: what LMDB holds of a key and a value in its own buffers goes from
 * there into the page. It is a second view of the table `cells`, whose codecs pack instead of giving something back.
 */
import type { Database, RootDatabase } from 'lmdb';
import { CellPacker } from '../kairos/packed-cells.ts';
import type { CellPage } from '../kairos/wide-rows.ts';

/** Where the column stands in a key, and the first byte of a value that has an end; see cells.ts. */
const COLUMN_AT = 6;
const MORTAL = 1;
const EXPIRY_BYTES = 6;

export interface CellRun {
  readonly start: Buffer;
  readonly end: Buffer;
  readonly reverse?: boolean;
}

export interface ScannedPage extends CellPage {
  /** Of the last cell. */
  readonly lastColumn: number;
}

export class CellScan {
  readonly #table: Database<boolean, Buffer>;
  /** Used again for each page, which gets a copy. */
  readonly #packer = new CellPacker();
  #nowMs = 0;
  /** Of the entry that LMDB is handing over: it reads a key, then its value. */
  #column = 0;

  constructor(root: RootDatabase, table: string) {
    const keyEncoder = {
      writeKey(key: Buffer, target: Uint8Array, at: number): number {
        target.set(key, at);
        return at + key.length;
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
    this.#table = root.openDB<boolean, Buffer>(options);
  }

  /** At most `limit` cells that are not hidden at `nowMs`. */
  read(run: CellRun, limit: number, nowMs: number): ScannedPage {
    this.#packer.clear();
    this.#nowMs = nowMs;
    let lastColumn = 0;
    for (const { value: isTaken } of this.#table.getRange(run)) {
      if (!isTaken) continue;
      lastColumn = this.#column;
      if (this.#packer.count === limit) break;
    }
    const { bytes, count } = this.#packer.page;
    return { bytes: Buffer.from(bytes), count, lastColumn };
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
