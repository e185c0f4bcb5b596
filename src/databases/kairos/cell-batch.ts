/**
 * What one call writes to `data_points`: cells as columns of numbers over one stretch of bytes, because an object and
 * two small buffers for each cell were most of what writing cost (0048). Who filled a batch may clear and fill it
 * again once `writeCells` has resolved, so a store keeps nothing of it; after a rejection it is left alone.
 *
 *   i        rowAt[i] → rows      columns[i]      lives[i]      value = bytes from ends[i − 1] to ends[i]
 */
import { encodeModifiedUtf8 } from './modified-utf8.ts';
import { encodeLongInto, type KairosValue, LONG_BYTES_MAX } from './value.ts';

/** A cell by itself; a call writes a `CellBatch`. */
export interface Cell {
  /** The row's key. At most 65,535 bytes, not empty. */
  readonly key: Buffer;
  /** Four bytes. */
  readonly column: Buffer;
  readonly value: Buffer;
  readonly ttlSeconds: number;
}

/** A row that cells go to; the same object in each batch, for as long as its writer remembers the series. */
export class CellRow {
  /** At most 65,535 bytes, not empty. */
  readonly key: Buffer;
  /** What a store remembers of the row, for the store alone. */
  place: unknown = undefined;

  constructor(key: Buffer) {
    this.key = key;
  }
}

const FIRST_CELLS = 64;
/** A value is copied byte by byte up to here: a view of its bytes would cost more. */
const SMALL_VALUE = 32;

export class CellBatch {
  count = 0;
  /** Each once. */
  readonly rows: CellRow[] = [];
  /** Which of `rows` a cell is of. */
  rowAt = new Uint32Array(FIRST_CELLS);
  columns = new Uint32Array(FIRST_CELLS);
  /** Seconds; 0 = for ever. */
  lives = new Int32Array(FIRST_CELLS);
  /** Where a value ends in `bytes`; it begins where the one before ends. */
  ends = new Uint32Array(FIRST_CELLS);
  bytes = Buffer.allocUnsafeSlow(FIRST_CELLS * 8);

  /** What it holds of memory, empty or not. */
  get roomBytes(): number {
    const { rowAt, columns, lives, ends, bytes } = this;
    return [rowAt, columns, lives, ends, bytes].reduce(
      (sum, { byteLength }) => sum + byteLength,
      0,
    );
  }

  startOf(cell: number): number {
    return cell === 0 ? 0 : (this.ends[cell - 1] as number);
  }

  /** Bytes of the cell's value. */
  lengthOf(cell: number): number {
    return (this.ends[cell] as number) - this.startOf(cell);
  }

  /** Of the cell's row. */
  keyOf(cell: number): Buffer {
    return (this.rows[this.rowAt[cell] as number] as CellRow).key;
  }

  /** The row's place among `rows`. It must not be in the batch yet. */
  addRow(row: CellRow): number {
    return this.rows.push(row) - 1;
  }

  /** The value must fit its type, as for `encodeValue`. */
  addValue(row: number, column: number, ttlSeconds: number, value: KairosValue): void {
    if (typeof value === 'string') {
      const text = encodeModifiedUtf8(value);
      this.addBytes(row, column, ttlSeconds, text, 0, text.length);
      return;
    }
    const at = this.#begin(LONG_BYTES_MAX);
    const end =
      typeof value === 'bigint'
        ? encodeLongInto(this.bytes, at, value)
        : this.bytes.writeDoubleBE(value, at);
    this.#end(row, column, ttlSeconds, end);
  }

  /** The value stands in `source` from `from` to `to`. */
  addBytes(
    row: number,
    column: number,
    ttlSeconds: number,
    source: Uint8Array,
    from: number,
    to: number,
  ): void {
    const at = this.#begin(to - from);
    copyBytes(source, from, to, this.bytes, at);
    this.#end(row, column, ttlSeconds, at + to - from);
  }

  /** Empty again, with the room it has. */
  clear(): void {
    this.count = 0;
    this.rows.length = 0;
  }

  /** Those cells that `isKept`, in a batch of their own. */
  filter(isKept: (cell: number) => boolean): CellBatch {
    const kept = new CellBatch();
    const places = new Map<number, number>();
    for (let i = 0; i < this.count; i++) {
      if (!isKept(i)) continue;
      const row = this.rowAt[i] as number;
      let place = places.get(row);
      if (place === undefined) {
        place = kept.addRow(this.rows[row] as CellRow);
        places.set(row, place);
      }
      const [column, life] = [this.columns[i] as number, this.lives[i] as number];
      kept.addBytes(place, column, life, this.bytes, this.startOf(i), this.ends[i] as number);
    }
    return kept;
  }

  /** Where the next value begins, with room for so many bytes. */
  #begin(bytes: number): number {
    if (this.count === this.columns.length) {
      this.rowAt = twice(this.rowAt);
      this.columns = twice(this.columns);
      this.lives = twice(this.lives);
      this.ends = twice(this.ends);
    }
    const at = this.startOf(this.count);
    if (at + bytes > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(at + bytes, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, at);
      this.bytes = grown;
    }
    return at;
  }

  #end(row: number, column: number, ttlSeconds: number, end: number): void {
    const { count } = this;
    this.rowAt[count] = row;
    this.columns[count] = column;
    this.lives[count] = ttlSeconds;
    this.ends[count] = end;
    this.count = count + 1;
  }
}

/** For whoever has a few cells at hand. */
export function batchOf(cells: readonly Cell[]): CellBatch {
  const batch = new CellBatch();
  const rows = new Map<string, number>();
  for (const { key, column, value, ttlSeconds } of cells) {
    const name = key.toString('latin1');
    const row = rows.get(name) ?? batch.addRow(new CellRow(key));
    rows.set(name, row);
    batch.addBytes(row, column.readUInt32BE(0), ttlSeconds, value, 0, value.length);
  }
  return batch;
}

export function copyBytes(
  source: Uint8Array,
  from: number,
  to: number,
  target: Uint8Array,
  at: number,
): void {
  if (to - from > SMALL_VALUE) target.set(source.subarray(from, to), at);
  else for (let i = from; i < to; i++) target[at + i - from] = source[i] as number;
}

function twice(column: Uint32Array): Uint32Array<ArrayBuffer>;
function twice(column: Int32Array): Int32Array<ArrayBuffer>;
function twice(column: Uint32Array | Int32Array): Uint32Array | Int32Array {
  const grown = new (column instanceof Int32Array ? Int32Array : Uint32Array)(column.length * 2);
  grown.set(column);
  return grown;
}
