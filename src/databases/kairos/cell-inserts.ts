/**
 * Cells in the bytes of a prepared batch of INSERTs.
 *
 *   cell  i32 + key │ 00000004 + column │ i32 + value │ 00000004 + ttl
 */
import { type CellBatch, copyBytes } from './cell-batch.ts';
import { COLUMN_BYTES } from './column.ts';
import { insertsFor } from './inserts.ts';
import { PackedInserts, writeInt32 } from './packed-requests.ts';

/** Of a cell beside its key and its value. */
const CELL_BYTES = 4 + 8 + 4 + 8;
/** Among the parameters. */
const VALUE_AT = 2;

interface Source {
  readonly batch: CellBatch;
  readonly cells: Uint32Array;
}

export class PackedCells extends PackedInserts {
  readonly inserts: number;
  protected readonly firstValue: Buffer;
  /** Where they stand until they are written for the first time; whoever filled the batch may clear it behind that. */
  #from: Source | Buffer;

  /** At least one cell; those of a row stand together. */
  constructor(batch: CellBatch, cells: Uint32Array) {
    super();
    const first = cells[0] as number;
    this.inserts = insertsFor(cells.length);
    this.firstValue = batch.keyOf(first);
    this.#from = { batch, cells };
    const column = Buffer.allocUnsafe(COLUMN_BYTES);
    column.writeUInt32BE(batch.columns[first] as number);
    const value = Buffer.from(batch.bytes.subarray(batch.startOf(first), batch.ends[first]));
    this.push(this.firstValue, column, value, batch.lives[first]);
  }

  protected get firstBytes(): number {
    return CELL_BYTES + this.firstValue.length + (this[VALUE_AT] as Buffer).length;
  }

  protected get allBytes(): number {
    if (Buffer.isBuffer(this.#from)) return this.#from.length;
    const { batch, cells } = this.#from;
    const bytesOf = (cell: number) => CELL_BYTES + batch.keyOf(cell).length + batch.lengthOf(cell);
    let bytes = (this.inserts - cells.length) * bytesOf(cells.at(-1) as number);
    for (const cell of cells) bytes += bytesOf(cell);
    return bytes;
  }

  protected writeAll(request: Buffer, from: number): void {
    if (Buffer.isBuffer(this.#from)) this.#from.copy(request, from);
    // For a request that is sent again.
    else this.#from = request.subarray(from, this.#write(request, from, this.#from));
  }

  /** Gives where they end. */
  #write(request: Buffer, from: number, { batch, cells }: Source): number {
    const { rowAt, columns, lives, ends, bytes } = batch;
    const { inserts } = this;
    let at = from;
    let row: number | undefined;
    // Where the first cell of the row begins, and how all of its cells do, up to their columns.
    let [headAt, head] = [at, 0];
    for (let i = 0; i < inserts; i++) {
      const cell = cells[Math.min(i, cells.length - 1)] as number;
      if (rowAt[cell] === row) request.copyWithin(at, headAt, headAt + head);
      else {
        row = rowAt[cell];
        headAt = at;
        head = writeHead(request, at, batch.keyOf(cell)) - at;
      }
      at = writeInt32(request, at + head, columns[cell] as number);
      const [start, end] = [batch.startOf(cell), ends[cell] as number];
      at = writeInt32(request, at, end - start);
      copyBytes(bytes, start, end, request, at);
      at = writeInt32(request, at + end - start, 4);
      at = writeInt32(request, at, lives[cell] as number);
    }
    return at;
  }
}

/** Gives where it ends. */
function writeHead(target: Buffer, at: number, key: Buffer): number {
  const keyAt = writeInt32(target, at, key.length);
  return writeInt32(target, keyAt + key.copy(target, keyAt), COLUMN_BYTES);
}
