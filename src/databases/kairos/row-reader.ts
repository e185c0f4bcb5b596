/** Reads the points of one row, a page at a time (spec §10). */
import { columnOf, decodeColumn, encodeColumn, isLegacyFloat, timestampOf } from './column.ts';
import { type FoundRow, type RowQuery, timeBounds } from './row-query.ts';
import type { RowSpec } from './row-spec.ts';
import { decodeValue, type KairosValue } from './value.ts';
import type { CellRange, WideRows } from './wide-rows.ts';

export interface RowPoint {
  readonly timestampMs: number;
  readonly value: KairosValue;
}

export interface RowReadOptions extends Pick<RowQuery, 'fromMs' | 'toMs'> {
  readonly order?: 'ascending' | 'descending';
  /** Of this row. */
  readonly limit?: number | undefined;
  readonly pagePoints?: number;
}

/** The columns of a row that lie in a time range, both included; undefined when none can. */
export function columnsWithin(
  spec: RowSpec,
  rowTimeMs: number,
  range: Pick<RowQuery, 'fromMs' | 'toMs'>,
): Pick<CellRange, 'first' | 'last'> | undefined {
  const bounds = timeBounds(range);
  const rowEndMs = rowTimeMs + spec.rowSpanMs;
  if (bounds === undefined || bounds.lastMs < rowTimeMs || bounds.firstMs >= rowEndMs) {
    return undefined;
  }
  const column = (ms: number) => encodeColumn(columnOf(spec, rowTimeMs, ms));
  return {
    ...(bounds.firstMs <= rowTimeMs ? {} : { first: column(bounds.firstMs) }),
    ...(bounds.lastMs >= rowEndMs ? {} : { last: column(bounds.lastMs) }),
  };
}

/** Throws PoisonError when a stored value can't be understood. */
export async function* readRow(
  rows: WideRows,
  spec: RowSpec,
  { row, key }: FoundRow,
  options: RowReadOptions,
): AsyncGenerator<readonly RowPoint[]> {
  const columns = columnsWithin(spec, row.rowTimeMs, options);
  if (columns === undefined) return;
  const { order = 'ascending', limit, pagePoints } = options;
  const range = { key, ...columns, order, limit };
  const pages = rows.readCells(
    pagePoints === undefined ? range : { ...range, pageCells: pagePoints },
  );
  for await (const page of pages) {
    yield page.map((cell) => {
      const column = decodeColumn(cell.column);
      return {
        timestampMs: timestampOf(spec, row.rowTimeMs, column),
        value: decodeValue(row.type, cell.value, isLegacyFloat(spec, column)),
      };
    });
  }
}
