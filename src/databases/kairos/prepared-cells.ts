/** A batch of cells on its way to be written, with what the store beneath need not know: which point each is of. */
import type { Rejection } from '../../delivery/index.ts';
import type { CellBatch } from './cell-batch.ts';
import type { SeriesRow } from './series.ts';

let batches = 0;

export class PreparedCells {
  readonly batch: CellBatch;
  /** Of each cell: the point or record that it is of. */
  readonly origins: number[] = [];
  /** Those of the batch, in its order. */
  readonly rows: SeriesRow[] = [];
  /** Of each row: the longest life among its cells, in seconds; 0 = for ever. */
  readonly lives: number[] = [];
  readonly rejections: Rejection[] = [];
  readonly #number = ++batches;

  constructor(batch: CellBatch) {
    this.batch = batch;
  }

  /** The place of a row in the batch, where it then must be found for so long. */
  place(row: SeriesRow, ttlSeconds: number): number {
    if (row.batch === this.#number) {
      const { at } = row;
      const life = this.lives[at] as number;
      if (life !== 0 && (ttlSeconds === 0 || ttlSeconds > life)) this.lives[at] = ttlSeconds;
      return at;
    }
    row.batch = this.#number;
    row.at = this.batch.addRow(row);
    this.rows.push(row);
    this.lives.push(ttlSeconds);
    return row.at;
  }

  /** What is left to be written without these rows, whose points are rejected. */
  without(refused: ReadonlyMap<SeriesRow, string>): {
    readonly batch: CellBatch;
    readonly origins: readonly number[];
  } {
    const messageOf = (cell: number) =>
      refused.get(this.rows[this.batch.rowAt[cell] as number] as SeriesRow);
    for (const [cell, index] of this.origins.entries()) {
      const message = messageOf(cell);
      if (message !== undefined) this.rejections.push({ index, message });
    }
    return {
      batch: this.batch.filter((cell) => messageOf(cell) === undefined),
      origins: this.origins.filter((_, cell) => messageOf(cell) === undefined),
    };
  }
}
