/**
 * Cells of one row in the bytes that Cassandra sends them in, one behind the other, so that a page of thousands is
 * one object and is decoded straight into columns of numbers.
 *
 *   ┌─────────────┬────────────┬────────────────┬───────┐
 *   │ 00 00 00 04 │ column, 4  │ length, int32  │ value │ …     both lengths big-endian; -1 = no value
 *   └─────────────┴────────────┴────────────────┴───────┘
 */
import { eachKeptCell, type KeptCells } from './cell-cache/kept-cells.ts';
import { encodeColumn } from './column.ts';
import type { CellPage, Pages, StoredCell } from './wide-rows.ts';

/** Bytes of a cell beside its value. */
export const CELL_HEAD_BYTES = 12;
const SMALL_VALUE = 32;

/** Calls `each` with where a value begins and ends. */
export function eachCell(
  page: CellPage | KeptCells,
  each: (index: number, column: number, bytes: Buffer, from: number, to: number) => void,
): void {
  if ('runs' in page) {
    eachKeptCell(page.runs, each);
    return;
  }
  const { bytes, count } = page;
  let at = 0;
  for (let i = 0; i < count; i++) {
    const column = bytes.readUInt32BE(at + 4);
    const from = at + CELL_HEAD_BYTES;
    at = from + Math.max(0, bytes.readInt32BE(at + 8));
    each(i, column, bytes, from, at);
  }
}

/** The same cells as objects, for what reads few of them. */
export async function* unpacked(pages: AsyncIterable<CellPage | KeptCells>): Pages<StoredCell> {
  for await (const page of pages) yield cellsOf(page);
}

export function cellsOf(page: CellPage | KeptCells): StoredCell[] {
  const cells: StoredCell[] = [];
  eachCell(page, (_index, column, bytes, from, to) => {
    cells.push({
      column: encodeColumn(column),
      value: Buffer.from(bytes.subarray(from, to)),
    });
  });
  return cells;
}

/** Packs cells one after the other. */
export class CellPacker {
  #bytes: Buffer;
  #at = 0;
  count = 0;

  constructor(bytes = 4_096) {
    this.#bytes = Buffer.allocUnsafe(bytes);
  }

  /** The value stands in `source` from `from` to `to`. */
  add(column: number, source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    const needed = this.#at + CELL_HEAD_BYTES + length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#at);
      this.#bytes = grown;
    }
    const bytes = this.#bytes;
    bytes.writeInt32BE(4, this.#at);
    bytes.writeUInt32BE(column, this.#at + 4);
    bytes.writeInt32BE(length, this.#at + 8);
    const at = this.#at + CELL_HEAD_BYTES;
    // A number's bytes are copied sooner than a view of them is made.
    if (length > SMALL_VALUE) bytes.set(source.subarray(from, to), at);
    else for (let i = 0; i < length; i++) bytes[at + i] = source[from + i] as number;
    this.#at = needed;
    this.count++;
  }

  /** The page before it is written over. */
  clear(): void {
    this.#at = 0;
    this.count = 0;
  }

  get page(): CellPage {
    return { bytes: this.#bytes.subarray(0, this.#at), count: this.count };
  }
}
