/** What a batch writes to one row. Most batches have one point of a series, so that only a second one costs a map. */
import type { RowNeed } from './row-index.ts';
import type { Cell } from './wide-rows.ts';

/** A cell, the point it is of, and its row. */
export interface PointCell extends Cell {
  readonly index: number;
  readonly identity: string;
}

export class RowGroup {
  readonly key: Buffer;
  need: RowNeed;
  #column = -1;
  #place = 0;
  /** Where in the batch's cells the one of a column stands. */
  #places: Map<number, number> | undefined;

  constructor(key: Buffer, need: RowNeed) {
    this.key = key;
    this.need = need;
  }

  /** The row must be found for so long: of all lives the longest. */
  live(ttlSeconds: number): void {
    const before = this.need.ttlSeconds;
    if (before !== 0 && (ttlSeconds === 0 || ttlSeconds > before))
      this.need = { ...this.need, ttlSeconds };
  }

  /** Of several points in one cell the last: a batch has one write time, so Cassandra could not tell them apart. */
  put(column: number, cell: PointCell, cells: PointCell[]): void {
    const earlier = this.#places === undefined ? this.#first(column) : this.#places.get(column);
    if (earlier !== undefined) {
      cells[earlier] = cell;
      return;
    }
    if (this.#column === -1) {
      this.#column = column;
      this.#place = cells.length;
    } else {
      this.#places ??= new Map([[this.#column, this.#place]]);
      this.#places.set(column, cells.length);
    }
    cells.push(cell);
  }

  #first(column: number): number | undefined {
    return column === this.#column ? this.#place : undefined;
  }
}
