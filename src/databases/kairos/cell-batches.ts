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
    let batch: Statement[] = [];
    let indexes: number[] = [];
    let bytes = 0;
    for (const index of byColumn.values()) {
      const { column, value, ttlSeconds } = cells[index] as Cell;
      if (
        batch.length === BATCH_CELLS ||
        (batch.length > 0 && bytes + value.length > BATCH_BYTES)
      ) {
        units.push({ statements: batch, indexes, routingKey: key });
        [batch, indexes, bytes] = [[], [], 0];
      }
      batch.push({ query: statements.writeCell, params: [key, column, value, ttlSeconds] });
      indexes.push(index);
      bytes += value.length;
    }
    units.push({ statements: batch, indexes, routingKey: key });
  }
  return units;
}
