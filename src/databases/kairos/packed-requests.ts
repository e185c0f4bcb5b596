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
import { COLUMN_BYTES } from './column.ts';

const HEADER_BYTES = 9;
const LENGTH_AT = 5;
const COUNT_AT = HEADER_BYTES + 1;
const CELLS_AT = HEADER_BYTES + 3;
/** Of a cell beside the statement's id, its key and its value. */
const CELL_BYTES = 5 + 4 + 8 + 4 + 8;
/** Of a cell. */
const STATEMENT_AT = 3;
/** Among the parameters. */
const VALUE_AT = 2;
const NOTHING = Buffer.alloc(0);

/** The parameters of the first cell, for the driver; it writes all of them. */
export class PackedCells extends Array<unknown> {
  readonly #key: Buffer;
  readonly #count: number;
  /** Where they stand until they are written for the first time; whoever filled the batch may clear it behind that. */
  #source: { readonly batch: CellBatch; readonly cells: Uint32Array } | undefined;
  /** As they were written, for a request that is sent again. */
  #written: Buffer = NOTHING;

  /** What anyone makes of the parameters is a plain array. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** Some cells of one row, at least one. */
  constructor(batch: CellBatch, key: Buffer, cells: Uint32Array) {
    super();
    this.#key = key;
    this.#count = cells.length;
    this.#source = { batch, cells };
    const first = cells[0] as number;
    const column = Buffer.allocUnsafe(COLUMN_BYTES);
    column.writeUInt32BE(batch.columns[first] as number);
    const value = Buffer.from(batch.bytes.subarray(batch.startOf(first), batch.ends[first]));
    this.push(key, column, value, batch.lives[first]);
  }

  /** `frame`: the driver's, of the first cell alone. */
  frameOf(frame: Buffer, statement: Buffer): Buffer {
    const source = this.#source;
    const each = CELL_BYTES + statement.length + this.#key.length;
    const firstEnd = CELLS_AT + each + (this[VALUE_AT] as Buffer).length;
    const tail = frame.length - firstEnd;
    const length =
      source === undefined
        ? this.#written.length
        : source.cells.length * each + valueBytes(source.batch, source.cells);
    const whole = Buffer.allocUnsafe(CELLS_AT + length + tail);
    frame.copy(whole, 0, 0, CELLS_AT);
    whole.writeInt32BE(whole.length - HEADER_BYTES, LENGTH_AT);
    whole.writeUInt16BE(this.#count, COUNT_AT);
    if (source === undefined) this.#writeAgain(whole, statement);
    else this.#write(whole, statement, source.batch, source.cells);
    if (tail < 0 || frame.compare(whole, CELLS_AT, firstEnd, CELLS_AT, firstEnd) !== 0)
      throw new Error('BUG: this release of the driver writes batches in other bytes');
    frame.copy(whole, CELLS_AT + length, firstEnd);
    this.#written = whole.subarray(CELLS_AT, CELLS_AT + length);
    this.#source = undefined;
    return whole;
  }

  /** All begin as the first does, up to their columns. */
  #write(whole: Buffer, statement: Buffer, batch: CellBatch, cells: Uint32Array): void {
    const { columns, lives, ends, bytes } = batch;
    const head = this.#writeHead(whole, statement);
    let at = CELLS_AT;
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i] as number;
      if (i > 0) whole.copyWithin(at, CELLS_AT, CELLS_AT + head);
      at = writeInt32(whole, at + head, columns[cell] as number);
      const [from, to] = [batch.startOf(cell), ends[cell] as number];
      at = writeInt32(whole, at, to - from);
      copyBytes(bytes, from, to, whole, at);
      at = writeInt32(whole, at + to - from, 4);
      at = writeInt32(whole, at, lives[cell] as number);
    }
  }

  #writeHead(whole: Buffer, statement: Buffer): number {
    let at = CELLS_AT;
    whole[at] = 1;
    at = whole.writeUInt16BE(statement.length, at + 1);
    at += statement.copy(whole, at);
    at = whole.writeUInt16BE(4, at);
    at = whole.writeInt32BE(this.#key.length, at);
    at += this.#key.copy(whole, at);
    return whole.writeInt32BE(COLUMN_BYTES, at) - CELLS_AT;
  }

  /** Another node may know the statement by another id, of as many bytes. */
  #writeAgain(whole: Buffer, statement: Buffer): void {
    this.#written.copy(whole, CELLS_AT);
    const valueLengthAt = CELL_BYTES - 12 + statement.length + this.#key.length;
    let at = CELLS_AT;
    for (let i = 0; i < this.#count; i++) {
      statement.copy(whole, at + STATEMENT_AT);
      at += valueLengthAt + whole.readInt32BE(at + valueLengthAt) + 12;
    }
  }
}

function valueBytes(batch: CellBatch, cells: Uint32Array): number {
  let bytes = 0;
  for (const cell of cells) bytes += (batch.ends[cell] as number) - batch.startOf(cell);
  return bytes;
}

/** Gives where it ends. Faster than the buffer's own, which looks whether the number fits. */
function writeInt32(target: Buffer, at: number, value: number): number {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
  return at + 4;
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
