/**
 * Sends the cells of a row, or of several, as one statement: a prepared batch of INSERTs (cell-inserts.ts), of which the
 * driver writes the values of the first cell, and the others are put behind it, in the bytes that it would have written
 * (0048). Its own way, a dozen small buffers a cell, took most of our processor time of a write, and a batch of statements
 * takes Cassandra longer (0058).
 *
 *   request  header, 9: … body length, int32 at 5 │ statement's id … │ values, u16 │ cell │ cell │ … │ what the driver puts behind
 *   cell     i32 + key │ 00000004 + column │ i32 + value │ 00000004 + ttl
 */
import { createRequire } from 'node:module';
import { type CellBatch, copyBytes } from './cell-batch.ts';
import { insertsFor } from './cell-inserts.ts';
import { COLUMN_BYTES } from './column.ts';

const HEADER_BYTES = 9;
const LENGTH_AT = 5;
const COUNT_BYTES = 2;
const VALUES_OF_CELL = 4;
/** Of a cell beside its key and its value. */
const CELL_BYTES = 4 + 8 + 4 + 8;
/** Among the parameters. */
const VALUE_AT = 2;
const UNKNOWN_BYTES = 'BUG: this release of the driver writes requests in other bytes';
const NOTHING = Buffer.alloc(0);

interface Source {
  readonly batch: CellBatch;
  readonly cells: Uint32Array;
}

/** The parameters of the first cell, for the driver; it writes all of them. */
export class PackedCells extends Array<unknown> {
  /** Of the first cell. */
  readonly #key: Buffer;
  readonly #count: number;
  /** Where they stand until they are written for the first time; whoever filled the batch may clear it behind that. */
  #source: Source | undefined;
  /** As they were written, for a request that is sent again. */
  #written: Buffer = NOTHING;

  /** What anyone makes of the parameters is a plain array. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** At least one cell; those of a row stand together. */
  constructor(batch: CellBatch, cells: Uint32Array) {
    super();
    const first = cells[0] as number;
    this.#key = batch.keyOf(first);
    this.#count = cells.length;
    this.#source = { batch, cells };
    const column = Buffer.allocUnsafe(COLUMN_BYTES);
    column.writeUInt32BE(batch.columns[first] as number);
    const value = Buffer.from(batch.bytes.subarray(batch.startOf(first), batch.ends[first]));
    this.push(this.#key, column, value, batch.lives[first]);
  }

  /** How many INSERTs the statement has: the last cell stands there again where there are more than cells. */
  get inserts(): number {
    return insertsFor(this.#count);
  }

  /** `frame`: the driver's, of the first cell alone. */
  frameOf(frame: Buffer): Buffer {
    const countAt = frame.indexOf(this.#start());
    if (countAt < 0) throw new Error(UNKNOWN_BYTES);
    const valuesAt = countAt + COUNT_BYTES;
    const firstEnd = valuesAt + CELL_BYTES + this.#key.length + (this[VALUE_AT] as Buffer).length;
    const source = this.#source;
    const length = source === undefined ? this.#written.length : this.#bytesOf(source);
    const whole = Buffer.allocUnsafe(valuesAt + length + frame.length - firstEnd);
    frame.copy(whole, 0, 0, countAt);
    whole.writeInt32BE(whole.length - HEADER_BYTES, LENGTH_AT);
    whole.writeUInt16BE(this.inserts * VALUES_OF_CELL, countAt);
    if (source === undefined) this.#written.copy(whole, valuesAt);
    else this.#write(whole, valuesAt, source);
    if (frame.compare(whole, valuesAt, firstEnd, valuesAt, firstEnd) !== 0)
      throw new Error(UNKNOWN_BYTES);
    frame.copy(whole, valuesAt + length, firstEnd);
    this.#written = whole.subarray(valuesAt, valuesAt + length);
    this.#source = undefined;
    return whole;
  }

  /** How the values of the first cell begin in a request. */
  #start(): Buffer {
    const start = Buffer.allocUnsafe(COUNT_BYTES + 4 + this.#key.length);
    start.writeInt32BE(this.#key.length, start.writeUInt16BE(VALUES_OF_CELL));
    this.#key.copy(start, COUNT_BYTES + 4);
    return start;
  }

  #bytesOf({ batch, cells }: Source): number {
    const bytesOf = (cell: number) => CELL_BYTES + batch.keyOf(cell).length + batch.lengthOf(cell);
    let bytes = (this.inserts - cells.length) * bytesOf(cells.at(-1) as number);
    for (const cell of cells) bytes += bytesOf(cell);
    return bytes;
  }

  #write(whole: Buffer, valuesAt: number, { batch, cells }: Source): void {
    const { rowAt, columns, lives, ends, bytes } = batch;
    const { inserts } = this;
    let at = valuesAt;
    let row: number | undefined;
    // Where the first cell of the row begins, and how all of its cells do, up to their columns.
    let [headAt, head] = [at, 0];
    for (let i = 0; i < inserts; i++) {
      const cell = cells[Math.min(i, cells.length - 1)] as number;
      if (rowAt[cell] === row) whole.copyWithin(at, headAt, headAt + head);
      else {
        row = rowAt[cell];
        headAt = at;
        head = writeHead(whole, at, batch.keyOf(cell)) - at;
      }
      at = writeInt32(whole, at + head, columns[cell] as number);
      const [from, to] = [batch.startOf(cell), ends[cell] as number];
      at = writeInt32(whole, at, to - from);
      copyBytes(bytes, from, to, whole, at);
      at = writeInt32(whole, at + to - from, 4);
      at = writeInt32(whole, at, lives[cell] as number);
    }
  }
}

/** Gives where it ends. */
function writeHead(target: Buffer, at: number, key: Buffer): number {
  const keyAt = writeInt32(target, at, key.length);
  return writeInt32(target, keyAt + key.copy(target, keyAt), COLUMN_BYTES);
}

/** Gives where it ends. Faster than the buffer's own, which looks whether the number fits. */
function writeInt32(target: Buffer, at: number, value: number): number {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
  return at + 4;
}

interface ExecutePrototype {
  write?: (this: ExecuteRequest, encoder: unknown, streamId: number) => Buffer;
}

interface ExecuteRequest {
  readonly params?: unknown;
  length: number;
}

let isInstalled: boolean | undefined;

/** Once per process. False when another release of the driver has no such place: then cells go one by one. */
export function installPackedRequests(): boolean {
  isInstalled ??= install();
  return isInstalled;
}

function install(): boolean {
  const require = createRequire(import.meta.url);
  let prototype: ExecutePrototype | undefined;
  try {
    prototype = require('cassandra-driver/lib/requests.js').ExecuteRequest?.prototype;
  } catch {
    return false;
  }
  const original = prototype?.write;
  if (prototype === undefined || typeof original !== 'function') return false;
  prototype.write = function write(encoder, streamId) {
    const frame = original.call(this, encoder, streamId);
    if (!(this.params instanceof PackedCells)) return frame;
    const whole = this.params.frameOf(frame);
    this.length = whole.length - HEADER_BYTES;
    return whole;
  };
  return true;
}
