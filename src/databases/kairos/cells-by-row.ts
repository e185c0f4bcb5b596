/** The cells of a batch row by row, as both stores write them. */
import type { CellBatch } from './cell-batch.ts';

/** Cells of one row: places in the batch, in order of their columns; of equal columns only the last one's. */
export interface RowCells {
  /** Place among the batch's rows. */
  readonly row: number;
  readonly cells: Uint32Array;
}

export function* cellsByRow(batch: CellBatch): Generator<RowCells> {
  const { ends, byRow } = rowByRow(batch);
  for (let row = 0; row < batch.rows.length; row++) {
    const cells = byRow.subarray(row === 0 ? 0 : ends[row - 1], ends[row]);
    if (cells.length === 0) continue;
    yield { row, cells: isRising(batch, cells) ? cells : sorted(batch, cells) };
  }
}

/** The cells of the first row, then those of the second …; of each row in their order. */
function rowByRow({ rows, rowAt, count }: CellBatch): {
  readonly ends: Uint32Array;
  readonly byRow: Uint32Array;
} {
  const ends = new Uint32Array(rows.length + 1);
  for (let cell = 0; cell < count; cell++) (ends[(rowAt[cell] as number) + 1] as number)++;
  for (let row = 1; row < ends.length; row++)
    ends[row] = (ends[row] as number) + (ends[row - 1] as number);
  const byRow = new Uint32Array(count);
  // Where each row's next cell goes; in the end, where the row's cells end.
  for (let cell = 0; cell < count; cell++) {
    const row = rowAt[cell] as number;
    byRow[ends[row] as number] = cell;
    (ends[row] as number)++;
  }
  return { ends, byRow };
}

function isRising({ columns }: CellBatch, cells: Uint32Array): boolean {
  let last = -1;
  for (const cell of cells) {
    const column = columns[cell] as number;
    if (column <= last) return false;
    last = column;
  }
  return true;
}

function sorted({ columns }: CellBatch, cells: Uint32Array): Uint32Array {
  const last = new Map<number, number>();
  for (const cell of cells) last.set(columns[cell] as number, cell);
  return Uint32Array.from(last.values()).sort(
    (a, b) => (columns[a] as number) - (columns[b] as number),
  );
}
