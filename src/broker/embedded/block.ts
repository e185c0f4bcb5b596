/**
 * The stored form of consecutive records of one partition: one LMDB value, read back as columns over its own
 * bytes. The layout is on disk in users' directories: change it only with a new magic.
 *
 *      0  u32 LE  magic "TMB1" (54 4d 42 31)
 *      4  u32 LE  crc32 of bytes 8 … end
 *      8  f64 LE  base: the first offset that the block covers
 *     16  f64 LE  next: the first offset after it (doubles are exact to 2^53)
 *     24  f64 LE  timestamp of all its records, ms (unused with flag 2)
 *     32  u32 LE  count of records
 *     36  u32 LE  flags: 1 = has an offset column (compacted), 2 = has a timestamp column
 *     40  u32 LE × count  key length + 1; 0 = null
 *      …  u32 LE × count  value length + 1; 0 = null
 *      …  u32 LE × count  offset − base     (flag 1 only; otherwise offsets are base, base + 1, …)
 *      …  f64 LE × count  timestamp         (flag 2 only)
 *      …  bytes           key 0, value 0, key 1, value 1, …
 *
 * One record, key "k", value "v1", offset 7, time 1000 ms:
 *   544d4231 679a77f3 0000000000001c40 0000000000002040 0000000000408f40 01000000 00000000 02000000 03000000 6b 7631
 */
import { crc32 } from 'node:zlib';

export const HEADER_BYTES = 40;
/**
 * Written blocks close at this size: large enough to be cheap, small enough to rewrite, to free early, and to be one
 * piece of a task: of 256 KiB of rollups, 350, one took 5 to 15 ms of the thread.
 */
export const BLOCK_BYTES_MAX = 128 * 1024;
export const BLOCK_RECORDS_MAX = 4096;

const MAGIC = 0x31424d54;
const HAS_OFFSETS = 1;
const HAS_TIMESTAMPS = 2;

export type Bytes = Buffer | string | null;

const lengthOf = (bytes: Bytes): number =>
  bytes === null ? 0 : typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length;

/** Bytes that a record adds to a block. */
export const recordBytes = (key: Bytes, value: Bytes): number =>
  8 + lengthOf(key) + lengthOf(value);

/** Collects records of one partition in offset order until they are enough for a block. */
export class BlockBuilder {
  readonly base: number;
  readonly #keys: Bytes[] = [];
  readonly #values: Bytes[] = [];
  readonly #offsets: number[] = [];
  readonly #timestamps: number[] = [];
  #dataBytes = 0;
  #sameTimestamp = true;
  #dense = true;
  timestampMax = Number.NEGATIVE_INFINITY;

  constructor(base: number) {
    this.base = base;
  }

  get count(): number {
    return this.#offsets.length;
  }

  get full(): boolean {
    return (
      this.#offsets.length >= BLOCK_RECORDS_MAX ||
      this.#dataBytes + 8 * this.#offsets.length >= BLOCK_BYTES_MAX
    );
  }

  add(offset: number, timestamp: number, key: Bytes, value: Bytes): void {
    if (offset !== this.base + this.#offsets.length) this.#dense = false;
    if (this.#timestamps.length > 0 && timestamp !== this.#timestamps[0])
      this.#sameTimestamp = false;
    if (timestamp > this.timestampMax) this.timestampMax = timestamp;
    this.#offsets.push(offset);
    this.#timestamps.push(timestamp);
    this.#keys.push(key);
    this.#values.push(value);
    this.#dataBytes += lengthOf(key) + lengthOf(value);
  }

  /** The block's bytes, covering `base` … `next` (exclusive). */
  finish(next: number): Buffer {
    const block = this.unplaced();
    place(block, { base: this.base, next, timestampMs: this.#timestamps[0] ?? 0 });
    return block;
  }

  /** The block's bytes but for where it lies: `place` adds that. */
  unplaced(): Buffer {
    const count = this.#offsets.length;
    const flags = (this.#dense ? 0 : HAS_OFFSETS) | (this.#sameTimestamp ? 0 : HAS_TIMESTAMPS);
    const tableBytes = count * (8 + (this.#dense ? 0 : 4) + (this.#sameTimestamp ? 0 : 8));
    const block = Buffer.allocUnsafeSlow(HEADER_BYTES + tableBytes + this.#dataBytes);
    block.writeUInt32LE(MAGIC, 0);
    block.writeUInt32LE(count, 32);
    block.writeUInt32LE(flags, 36);
    let table = HEADER_BYTES + 8 * count;
    if (!this.#dense)
      for (const offset of this.#offsets) table = block.writeUInt32LE(offset - this.base, table);
    if (!this.#sameTimestamp)
      for (const timestamp of this.#timestamps) table = block.writeDoubleLE(timestamp, table);
    let keyLengths = HEADER_BYTES;
    let valueLengths = HEADER_BYTES + 4 * count;
    let at = table;
    const put = (bytes: Bytes, lengths: number): number => {
      if (bytes === null) return block.writeUInt32LE(0, lengths);
      const length =
        typeof bytes === 'string' ? block.write(bytes, at, 'utf8') : copyInto(block, bytes, at);
      at += length;
      return block.writeUInt32LE(length + 1, lengths);
    };
    for (let i = 0; i < count; i++) {
      keyLengths = put(this.#keys[i] as Bytes, keyLengths);
      valueLengths = put(this.#values[i] as Bytes, valueLengths);
    }
    return block;
  }
}

/** `timestampMs`: of all its records; has no meaning for a block with a timestamp column. */
export function place(
  block: Buffer,
  { base, next, timestampMs }: { base: number; next: number; timestampMs: number },
): void {
  block.writeDoubleLE(base, 8);
  block.writeDoubleLE(next, 16);
  block.writeDoubleLE(timestampMs, 24);
  block.writeUInt32LE(crc32(block.subarray(8)), 4);
}

function copyInto(target: Buffer, bytes: Buffer, at: number): number {
  target.set(bytes, at);
  return bytes.length;
}

/** What a block says of itself, without its records. */
export interface BlockHeader {
  readonly base: number;
  readonly next: number;
  readonly count: number;
}

/** A verified block. */
export interface Block {
  readonly bytes: Buffer;
  readonly header: BlockHeader;
  /** All its rows, once somebody has asked for all of them. */
  columns?: Columns;
}

/** Reads and verifies a block's header; undefined when the bytes are not a whole, unharmed block. */
export function openBlock(block: Buffer): BlockHeader | undefined {
  if (block.length < HEADER_BYTES || block.readUInt32LE(0) !== MAGIC) return undefined;
  if (crc32(block.subarray(8)) !== block.readUInt32LE(4)) return undefined;
  return {
    base: block.readDoubleLE(8),
    next: block.readDoubleLE(16),
    count: block.readUInt32LE(32),
  };
}

/** The columns of all of a block's rows, worked out once. */
export function columnsOfBlock(block: Block): Columns {
  if (block.columns) return block.columns;
  const { count } = block.header;
  const columns = columnsOf(count);
  decodeRows(block.bytes, 0, 0, count, columns, 0);
  block.columns = columns;
  return columns;
}

/** Columns that `decodeRows` fills, as in RecordBatch. */
export interface Columns {
  readonly offsets: Float64Array;
  readonly timestamps: Float64Array;
  readonly keyStart: Int32Array;
  readonly keyEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
}

export const columnsOf = (count: number): Columns => ({
  offsets: new Float64Array(count),
  timestamps: new Float64Array(count),
  keyStart: new Int32Array(count),
  keyEnd: new Int32Array(count),
  valueStart: new Int32Array(count),
  valueEnd: new Int32Array(count),
});

/** Bytes that one row of columns takes in memory. */
export const COLUMN_BYTES = 32;

/** The first row of a verified block whose offset is at or after `from`; `count` when there is none. */
export function rowAt(block: Buffer, header: BlockHeader, from: number): number {
  if (from <= header.base) return 0;
  if ((block.readUInt32LE(36) & HAS_OFFSETS) === 0)
    return Math.min(from - header.base, header.count);
  const table = HEADER_BYTES + 8 * header.count;
  let low = 0;
  let high = header.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (header.base + block.readUInt32LE(table + 4 * middle) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Decodes rows `first` … `first + rows` of a verified block that lies at `start` of `bytes`, into `columns` from
 * row `to` on. Positions are those in `bytes`. O(count) of the block, for lengths before `first` are summed.
 */
export function decodeRows(
  bytes: Buffer,
  start: number,
  first: number,
  rows: number,
  columns: Columns,
  to: number,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start);
  const base = view.getFloat64(8, true);
  const oneTimestamp = view.getFloat64(24, true);
  const count = view.getUint32(32, true);
  const flags = view.getUint32(36, true);
  let table = HEADER_BYTES + 8 * count;
  const offsetTable = flags & HAS_OFFSETS ? table : 0;
  if (offsetTable) table += 4 * count;
  const timestampTable = flags & HAS_TIMESTAMPS ? table : 0;
  if (timestampTable) table += 8 * count;
  const { offsets, timestamps, keyStart, keyEnd, valueStart, valueEnd } = columns;
  const values = HEADER_BYTES + 4 * count;
  let at = start + table;
  for (let row = 0; row < first; row++) {
    const key = view.getUint32(HEADER_BYTES + 4 * row, true);
    const value = view.getUint32(values + 4 * row, true);
    at += (key === 0 ? 0 : key - 1) + (value === 0 ? 0 : value - 1);
  }
  for (let row = first, i = to; row < first + rows; row++, i++) {
    const key = view.getUint32(HEADER_BYTES + 4 * row, true);
    const value = view.getUint32(values + 4 * row, true);
    if (key === 0) {
      keyStart[i] = -1;
      keyEnd[i] = -1;
    } else {
      keyStart[i] = at;
      at += key - 1;
      keyEnd[i] = at;
    }
    if (value === 0) {
      valueStart[i] = -1;
      valueEnd[i] = -1;
    } else {
      valueStart[i] = at;
      at += value - 1;
      valueEnd[i] = at;
    }
    offsets[i] = offsetTable ? base + view.getUint32(offsetTable + 4 * row, true) : base + row;
    timestamps[i] = timestampTable ? view.getFloat64(timestampTable + 8 * row, true) : oneTimestamp;
  }
}

/** How many rows from `first` on fit into `bytesMax` bytes of keys and values: at least one, if there is one. */
export function rowsWithin(
  block: Buffer,
  header: BlockHeader,
  first: number,
  bytesMax: number,
): number {
  let total = 0;
  let rows = 0;
  for (let row = first; row < header.count; row++) {
    const key = block.readUInt32LE(HEADER_BYTES + 4 * row);
    const value = block.readUInt32LE(HEADER_BYTES + 4 * (header.count + row));
    total += (key === 0 ? 0 : key - 1) + (value === 0 ? 0 : value - 1) + 8;
    if (rows > 0 && total > bytesMax) break;
    rows++;
  }
  return rows;
}
