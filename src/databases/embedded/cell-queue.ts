/**
 * Queues the cells of a batch for LMDB's own thread without an object or a buffer for each: its keys and values go from
 * the batch's columns straight to where LMDB takes them from. These are second views of the tables `cells` and
 * `cell-expiries` (cells.ts), whose keys and values are places in the batch that is being queued.
 */
import type { Database, RootDatabase } from 'lmdb';
import { threadTurns } from '../../runtime/index.ts';
import { type CellBatch, copyBytes } from '../kairos/cell-batch.ts';
import { writeUint32, writeUint48 } from './keys.ts';

/** Cells queued before the event loop gets its turn: some 1 ms. */
const QUEUE_CELLS = 500;
const MORTAL = 1;
const EXPIRY_BYTES = 6;
const NOTHING = Buffer.alloc(0);
/** Kept for the next write; anything larger is made anew. */
const SPARE_BYTES = 64 * 1_024;

/** Bytes as lmdb takes them from an encoder: it keeps hold of this object until they are written. */
interface Values {
  readonly buffer: ArrayBufferLike;
  /** Where that stands, once lmdb has asked. */
  address: number;
  readonly bytes: Buffer;
  /** Of the value that was put last. */
  start: number;
  end: number;
}

export class CellQueue {
  readonly #root: RootDatabase;
  readonly #cells: Database<number, number>;
  readonly #expiries: Database<Buffer, number>;
  #batch: CellBatch | undefined;
  #ids: Float64Array = new Float64Array();
  #nowMs = 0;
  #values = valuesOf(0);
  readonly #spares: Values[] = [];

  constructor(root: RootDatabase, tables: { readonly cells: string; readonly expiries: string }) {
    this.#root = root;
    const cellEncoder = {
      writeKey: (cell: number, target: Uint8Array, at: number): number =>
        this.#writeCellKey(cell, target, at),
      readKey: writeOnly,
    };
    const expiryEncoder = {
      writeKey: (cell: number, target: Uint8Array, at: number): number => {
        writeUint48(this.#expiryOf(cell), target, at);
        return this.#writeCellKey(cell, target, at + EXPIRY_BYTES);
      },
      readKey: writeOnly,
    };
    const encoder = { encode: (cell: number): Values => this.#encode(cell), decode: writeOnly };
    // lmdb's types know `keyEncoder` only of root databases.
    const cells = { name: tables.cells, keyEncoder: cellEncoder, encoder };
    this.#cells = root.openDB<number, number>(cells);
    const expiries = {
      name: tables.expiries,
      keyEncoder: expiryEncoder,
      encoding: 'binary' as const,
    };
    this.#expiries = root.openDB<Buffer, number>(expiries);
  }

  /** In the order given. `ids`: of the batch's rows. On the disk when it resolves. */
  async write(batch: CellBatch, ids: Float64Array, nowMs: number): Promise<void> {
    const values = this.#roomFor(batch);
    const written: Promise<unknown>[] = [];
    for (let from = 0; from < batch.count; from += QUEUE_CELLS) {
      if (from > 0) await threadTurns.next();
      const end = Math.min(batch.count, from + QUEUE_CELLS);
      const queued = this.#root.batch(() => {
        this.#batch = batch;
        this.#ids = ids;
        this.#nowMs = nowMs;
        this.#values = values;
        for (let cell = from; cell < end; cell++) {
          void this.#cells.put(cell, cell);
          if (batch.lives[cell] !== 0) void this.#expiries.put(cell, NOTHING);
        }
        this.#batch = undefined;
      });
      queued.catch(() => {});
      written.push(queued);
    }
    await Promise.all(written);
    // After a failure LMDB may still look at them.
    if (values.bytes.length <= SPARE_BYTES) this.#spares.push(values);
  }

  #roomFor({ count, bytes, ends }: CellBatch): Values {
    const needed = count * (1 + EXPIRY_BYTES) + (count === 0 ? 0 : (ends[count - 1] as number));
    const spare = this.#spares.pop();
    const values =
      spare !== undefined && spare.bytes.length >= needed
        ? spare
        : valuesOf(Math.max(needed, Math.min(SPARE_BYTES, bytes.length)));
    values.end = 0;
    return values;
  }

  #expiryOf(cell: number): number {
    return this.#nowMs + (this.#batch?.lives[cell] as number) * 1_000;
  }

  #writeCellKey(cell: number, target: Uint8Array, at: number): number {
    const batch = this.#batch as CellBatch;
    writeUint48(this.#ids[batch.rowAt[cell] as number] as number, target, at);
    writeUint32(batch.columns[cell] as number, target, at + 6);
    return at + 10;
  }

  #encode(cell: number): Values {
    const batch = this.#batch as CellBatch;
    const values = this.#values;
    const { bytes } = values;
    let at = values.end;
    values.start = at;
    if (batch.lives[cell] === 0) bytes[at++] = 0;
    else {
      bytes[at++] = MORTAL;
      writeUint48(this.#expiryOf(cell), bytes, at);
      at += EXPIRY_BYTES;
    }
    const [from, to] = [batch.startOf(cell), batch.ends[cell] as number];
    copyBytes(batch.bytes, from, to, bytes, at);
    values.end = at + to - from;
    return values;
  }
}

function valuesOf(length: number): Values {
  const bytes = Buffer.allocUnsafeSlow(length);
  return { buffer: bytes.buffer, address: 0, bytes, start: 0, end: 0 };
}

const writeOnly = (): never => {
  throw new Error('BUG: the view of cells for writing was read');
};
