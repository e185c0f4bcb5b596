/**
 * What stands under a key of table `cells`: one cell, or a block of cells of a row that follow each other and end at the
 * same time. LMDB's own share of an entry, with the key, is 20 bytes and more, five times a point's value, and it
 * leaves half of each page empty where entries go in between: a cell by itself took some 46 bytes, in a block 10 (0061).
 *
 *   ┌────┬──────────────────┬───────┐
 *   │ 00 │                  │ value │                          one cell, for ever
 *   │ 01 │ expiry ms, u48   │ value │                          one that is hidden from then on
 *   └────┴──────────────────┴───────┘
 *   ┌────┬──────────────────┬────────────────┬────────┬───────┬──────┬────────┬───────┐
 *   │ 02 │                  │ last column, 4 │ length │ value │ step │ length │ value │ …    step: from the column
 *   │ 03 │ expiry ms, u48   │ last column, 4 │ length │ value │ step │ length │ value │ …    before; both are varints
 *   └────┴──────────────────┴────────────────┴────────┴───────┴──────┴────────┴───────┘
 *
 * The first column of a block stands in its key. No two entries of a row overlap.
 */
import { copyBytes } from '../kairos/cell-batch.ts';
import { uint32At, uint48At, writeUint32, writeUint48 } from './keys.ts';

const MORTAL = 1;
const BLOCK = 2;
const EXPIRY_BYTES = 6;
const LAST_BYTES = 4;
/** Of a block: room for the longest kind of head, before what the writer gathers. */
const HEAD_BYTES_MAX = 1 + EXPIRY_BYTES + LAST_BYTES;
const VARINT_BYTES_MAX = 5;
/** Eight to a page of LMDB's, which leaves one out when it splits; one that grows cell by cell is written anew each time. */
const BLOCK_BYTES_MAX = 500;
/** A value of more stands by itself. */
const SMALL_BYTES_MAX = 256;
/** What a writer of entries needs. */
export const ENTRY_ROOM_BYTES =
  BLOCK_BYTES_MAX + SMALL_BYTES_MAX + HEAD_BYTES_MAX + 2 * VARINT_BYTES_MAX;

/** An entry as it was read. */
export interface Entry {
  /** Of its first cell. */
  readonly column: number;
  readonly bytes: Uint8Array;
}

/** Goes through the cells of an entry without an object for each: `next` moves its fields. */
export class EntryReader {
  /** Of all its cells, ms; 0 = for ever. */
  expiryMs = 0;
  column = 0;
  /** Where the cell's value stands in `bytes`. */
  from = 0;
  to = 0;
  bytes: Uint8Array = new Uint8Array();
  #at = 0;
  #end = 0;
  #isBlock = false;
  #isFirst = true;

  /** The entry's first `length` bytes are it. */
  open(column: number, bytes: Uint8Array, length: number): this {
    const kind = bytes[0] as number;
    this.bytes = bytes;
    this.column = column;
    this.expiryMs = expiryOf(bytes);
    this.#isBlock = (kind & BLOCK) !== 0;
    this.#at = headBytesOf(kind) + (this.#isBlock ? LAST_BYTES : 0);
    this.#end = length;
    this.#isFirst = true;
    return this;
  }

  next(): boolean {
    if (this.#isBlock) {
      if (this.#at >= this.#end) return false;
      if (!this.#isFirst) this.column += this.#varint();
      const length = this.#varint();
      this.from = this.#at;
      this.to = this.#at + length;
      this.#at = this.to;
    } else {
      if (!this.#isFirst) return false;
      this.from = this.#at;
      this.to = this.#end;
    }
    this.#isFirst = false;
    return true;
  }

  #varint(): number {
    const { bytes } = this;
    let byte = bytes[this.#at++] as number;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let factor = 0x80; ; factor *= 0x80) {
      byte = bytes[this.#at++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }
}

/** Of its last cell. */
export function lastColumnOf({ column, bytes }: Entry): number {
  const kind = bytes[0] as number;
  if ((kind & BLOCK) === 0) return column;
  return uint32At(bytes, headBytesOf(kind));
}

/** Whether a cell that follows and ends at that time may go into it. */
export function canGrow({ bytes }: Entry, expiryMs: number): boolean {
  const kind = bytes[0] as number;
  const bound = (kind & BLOCK) === 0 ? SMALL_BYTES_MAX : BLOCK_BYTES_MAX - 2 * VARINT_BYTES_MAX;
  return bytes.length <= bound && expiryOf(bytes) === expiryMs;
}

/** Takes an entry; its bytes stand in the writer's `bytes` from `start` to `end`, or alone, until it returns. */
export type PutEntry = (
  column: number,
  bytes: Buffer,
  start: number,
  end: number,
  expiryMs: number,
) => void;

/** Cells of one row, in order of their columns, into as few entries as may be. */
export class EntryWriter {
  /** Of the entry that was put last. */
  lastPut = 0;
  readonly #put: PutEntry;
  /** Used again for each entry: what follows its head begins at HEAD_BYTES_MAX. */
  readonly #bytes: Buffer;
  #at = HEAD_BYTES_MAX;
  #count = 0;
  #first = 0;
  #last = 0;
  #expiryMs = 0;
  /** Of the first value. */
  #valueAt = 0;

  /** `bytes`: room for ENTRY_ROOM_BYTES. */
  constructor(bytes: Buffer, put: PutEntry) {
    this.#bytes = bytes;
    this.#put = put;
  }

  /** What comes next follows the cells of this entry, which can grow, and is put with them in its place. */
  resume({ column, bytes }: Entry): void {
    const kind = bytes[0] as number;
    const headBytes = headBytesOf(kind);
    this.#expiryMs = expiryOf(bytes);
    this.#first = column;
    if ((kind & BLOCK) === 0) {
      this.#last = column;
      this.#count = 1;
      this.#varint(bytes.length - headBytes);
      this.#valueAt = this.#at;
      this.#append(bytes, headBytes, bytes.length);
    } else {
      this.#last = uint32At(bytes, headBytes);
      // Of a block only that it is more than one matters.
      this.#count = 2;
      this.#append(bytes, headBytes + LAST_BYTES, bytes.length);
    }
  }

  add(column: number, expiryMs: number, source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (length > SMALL_BYTES_MAX) {
      this.end();
      const bytes = Buffer.allocUnsafeSlow(1 + EXPIRY_BYTES + length);
      bytes.set(source.subarray(from, to), 1 + EXPIRY_BYTES);
      this.#putSingle(column, expiryMs, bytes, 1 + EXPIRY_BYTES, bytes.length);
      return;
    }
    const isFull = this.#at + length > BLOCK_BYTES_MAX + HEAD_BYTES_MAX - 2 * VARINT_BYTES_MAX;
    if (isFull || expiryMs !== this.#expiryMs) this.end();
    if (this.#count === 0) {
      this.#first = column;
      this.#expiryMs = expiryMs;
    } else this.#varint(column - this.#last);
    this.#varint(length);
    if (this.#count === 0) this.#valueAt = this.#at;
    this.#append(source, from, to);
    this.#last = column;
    this.#count++;
  }

  /** Puts what is left. */
  end(): void {
    if (this.#count === 1)
      this.#putSingle(this.#first, this.#expiryMs, this.#bytes, this.#valueAt, this.#at);
    else if (this.#count > 1) {
      const bytes = this.#bytes;
      writeUint32(this.#last, bytes, HEAD_BYTES_MAX - LAST_BYTES);
      const start = headOf(BLOCK, this.#expiryMs, bytes, HEAD_BYTES_MAX - LAST_BYTES);
      this.lastPut = this.#first;
      this.#put(this.#first, bytes, start, this.#at, this.#expiryMs);
    }
    this.clear();
  }

  /** Forgets what was not put. */
  clear(): void {
    this.#count = 0;
    this.#at = HEAD_BYTES_MAX;
  }

  #putSingle(column: number, expiryMs: number, bytes: Buffer, from: number, to: number): void {
    this.lastPut = column;
    this.#put(column, bytes, headOf(0, expiryMs, bytes, from), to, expiryMs);
  }

  #append(source: Uint8Array, from: number, to: number): void {
    copyBytes(source, from, to, this.#bytes, this.#at);
    this.#at += to - from;
  }

  #varint(value: number): void {
    let left = value;
    for (; left >= 0x80; left = Math.floor(left / 0x80))
      this.#bytes[this.#at++] = (left % 0x80) | 0x80;
    this.#bytes[this.#at++] = left;
  }
}

/** Writes kind and expiry before `at`; where they begin. */
function headOf(kind: number, expiryMs: number, bytes: Uint8Array, at: number): number {
  if (expiryMs === 0) {
    bytes[at - 1] = kind;
    return at - 1;
  }
  writeUint48(expiryMs, bytes, at - EXPIRY_BYTES);
  bytes[at - EXPIRY_BYTES - 1] = kind | MORTAL;
  return at - EXPIRY_BYTES - 1;
}

/** When an entry's cells are hidden, ms; 0 = never. */
export const expiryOf = (bytes: Uint8Array): number =>
  ((bytes[0] as number) & MORTAL) === 0 ? 0 : uint48At(bytes, 1);

/** Of kind and expiry. */
const headBytesOf = (kind: number): number => ((kind & MORTAL) === 0 ? 1 : 1 + EXPIRY_BYTES);
