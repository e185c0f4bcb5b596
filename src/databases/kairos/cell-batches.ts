/** Cuts the cells of a call into unlogged batches: one row each, bounded in cells and bytes. */
import type { Statement, Unit } from './cassandra-session.ts';
import { statements } from './statements.ts';
import type { Cell } from './wide-rows.ts';

/** Bounds of one batch; a row with more cells gets several. */
const BATCH_CELLS = 250;
const BATCH_BYTES = 128 * 1_024;

/** Of equal cells only the last is sent, because all of a call get one stamp. */
export function unitsOfCells(cells: readonly Cell[]): Unit[] {
  const rows = new Map<string, { readonly key: Buffer; readonly byColumn: Map<number, number> }>();
  let row: { readonly key: Buffer; readonly byColumn: Map<number, number> } | undefined;
  cells.forEach(({ key, column }, index) => {
    if (row?.key !== key) {
      const text = key.toString('latin1');
      row = rows.get(text) ?? { key, byColumn: new Map() };
      rows.set(text, row);
    }
    row.byColumn.set(column.readUInt32BE(0), index);
  });
  const units: Unit[] = [];
  for (const { key, byColumn } of rows.values()) {
    let indexes: number[] = [];
    let bytes = 0;
    for (const index of byColumn.values()) {
      const { length } = (cells[index] as Cell).value;
      if (indexes.length === BATCH_CELLS || (indexes.length > 0 && bytes + length > BATCH_BYTES)) {
        units.push(new CellUnit(cells, indexes, key));
        [indexes, bytes] = [[], 0];
      }
      indexes.push(index);
      bytes += length;
    }
    units.push(new CellUnit(cells, indexes, key));
  }
  return units;
}

/** Its statements are made when it is sent, so that those of one call never stand in memory together. */
class CellUnit implements Unit {
  readonly indexes: readonly number[];
  readonly routingKey: Buffer;
  readonly #cells: readonly Cell[];

  constructor(cells: readonly Cell[], indexes: readonly number[], routingKey: Buffer) {
    this.#cells = cells;
    this.indexes = indexes;
    this.routingKey = routingKey;
  }

  get statements(): readonly Statement[] {
    return this.indexes.map((index) => {
      const { column, value, ttlSeconds } = this.#cells[index] as Cell;
      return { query: statements.writeCell, params: [this.routingKey, column, value, ttlSeconds] };
    });
  }
}
