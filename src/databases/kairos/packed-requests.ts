/**
 * Sends the cells of one row as one statement in the driver's eyes: its own way, a dozen small buffers a cell and a
 * look for the prepared statement each time, took most of our processor time of a write. The driver writes the batch of
 * the first cell, and the others are put behind it, in the bytes that it would have written (0048).
 *
 *   batch    header, 9: … body length, int32 at 5 │ type │ cells, u16 │ cell │ cell │ … │ what the driver puts behind
 *   cell     01 │ u16 + statement's id │ 00 04 │ i32 + key │ 00000004 + column │ i32 + value │ 00000004 + ttl
 */
import { createRequire } from 'node:module';
import { type CellBatch, copyBytes } from './cell-batch.ts';

const HEADER_BYTES = 9;
const LENGTH_AT = 5;
const COUNT_AT = HEADER_BYTES + 1;
const CELLS_AT = HEADER_BYTES + 3;
/** Of a cell beside the statement's id, its key and its value. */
const CELL_BYTES = 5 + 4 + 8 + 4 + 8;

/** The parameters of the first cell, for the driver, and all cells in a copy of their own. */
export class PackedCells extends Array<unknown> {
  readonly #key: Buffer;
  readonly #columns: Uint32Array;
  readonly #lives: Int32Array;
  readonly #ends: Uint32Array;
  readonly #values: Buffer;

  /** What anyone makes of the parameters is a plain array. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** Some cells of one row, at least one. */
  constructor(batch: CellBatch, key: Buffer, cells: Uint32Array) {
    super();
    this.#key = key;
    this.#columns = cells.map((cell) => batch.columns[cell] as number);
    this.#lives = Int32Array.from(cells, (cell) => batch.lives[cell] as number);
    let length = 0;
    this.#ends = cells.map((cell) => {
      length += (batch.ends[cell] as number) - batch.startOf(cell);
      return length;
    });
    this.#values = Buffer.allocUnsafe(length);
    for (const [i, cell] of cells.entries())
      copyBytes(
        batch.bytes,
        batch.startOf(cell),
        batch.ends[cell] as number,
        this.#values,
        this.#startOf(i),
      );
    const column = Buffer.allocUnsafe(4);
    column.writeUInt32BE(this.#columns[0] as number);
    this.push(key, column, this.#values.subarray(0, this.#ends[0]), this.#lives[0]);
  }

  /** `frame`: the driver's, of the first cell alone. */
  frameOf(frame: Buffer, statement: Buffer): Buffer {
    const count = this.#columns.length;
    const each = CELL_BYTES + statement.length + this.#key.length;
    const firstEnd = CELLS_AT + each + (this.#ends[0] as number);
    const tail = frame.length - firstEnd;
    const whole = Buffer.allocUnsafe(CELLS_AT + count * each + this.#values.length + tail);
    frame.copy(whole, 0, 0, CELLS_AT);
    whole.writeInt32BE(whole.length - HEADER_BYTES, LENGTH_AT);
    whole.writeUInt16BE(count, COUNT_AT);
    let at = CELLS_AT;
    for (let i = 0; i < count; i++) at = this.#write(i, whole, at, statement);
    if (tail < 0 || frame.compare(whole, CELLS_AT, firstEnd, CELLS_AT, firstEnd) !== 0)
      throw new Error('BUG: this release of the driver writes batches in other bytes');
    frame.copy(whole, at, firstEnd);
    return whole;
  }

  #startOf(i: number): number {
    return i === 0 ? 0 : (this.#ends[i - 1] as number);
  }

  #write(i: number, whole: Buffer, start: number, statement: Buffer): number {
    const [from, to] = [this.#startOf(i), this.#ends[i] as number];
    let at = start;
    whole[at] = 1;
    at = whole.writeUInt16BE(statement.length, at + 1);
    at += statement.copy(whole, at);
    at = whole.writeUInt16BE(4, at);
    at = whole.writeInt32BE(this.#key.length, at);
    at += this.#key.copy(whole, at);
    at = whole.writeInt32BE(4, at);
    at = whole.writeUInt32BE(this.#columns[i] as number, at);
    at = whole.writeInt32BE(to - from, at);
    copyBytes(this.#values, from, to, whole, at);
    at = whole.writeInt32BE(4, at + to - from);
    return whole.writeInt32BE(this.#lives[i] as number, at);
  }
}

interface BatchPrototype {
  write?: (this: BatchRequest, encoder: unknown, streamId: number) => Buffer;
}

interface BatchRequest {
  readonly queries: readonly { readonly params?: unknown; readonly queryId?: Buffer }[];
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
  let prototype: BatchPrototype | undefined;
  try {
    prototype = require('cassandra-driver/lib/requests.js').BatchRequest?.prototype;
  } catch {
    return false;
  }
  const original = prototype?.write;
  if (prototype === undefined || typeof original !== 'function') return false;
  prototype.write = function write(encoder, streamId) {
    const frame = original.call(this, encoder, streamId);
    const [only] = this.queries;
    if (this.queries.length !== 1 || !(only?.params instanceof PackedCells)) return frame;
    const whole = only.params.frameOf(frame, only.queryId as Buffer);
    this.length = whole.length - HEADER_BYTES;
    return whole;
  };
  return true;
}
