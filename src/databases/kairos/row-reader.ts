/** Reads the points of one row, a page at a time (spec §10). */
import { type KeptCells, keptDoubles, keptLongs } from './cell-cache/kept-cells.ts';
import { columnOf, encodeColumn, isLegacyFloat, timestampOf } from './column.ts';
import { CELL_HEAD_BYTES, eachCell } from './packed-cells.ts';
import type { RowKey } from './row-key.ts';
import { type FoundRow, type RowQuery, timeBounds } from './row-query.ts';
import type { RowSpec } from './row-spec.ts';
import { DOUBLE_TYPE, decodeValue, type KairosValue, LONG_TYPE, smallLongAt } from './value.ts';
import type { CellPage, CellRange, WideRows } from './wide-rows.ts';

/** Points of one row as columns of equal length. */
export interface PointPage {
  readonly times: Float64Array;
  /** Each value as a double; text is 0. */
  readonly numbers: Float64Array;
  /** What the values are: `numbers` as they stand, `numbers` as longs, or these. */
  readonly values: 'doubles' | 'longs' | readonly KairosValue[];
}

/** The value at an index of a page. */
export function valueAt({ numbers, values }: PointPage, index: number): KairosValue {
  if (values === 'doubles') return numbers[index] as number;
  return values === 'longs' ? BigInt(numbers[index] as number) : (values[index] as KairosValue);
}

export interface RowReadOptions extends Pick<RowQuery, 'fromMs' | 'toMs'> {
  readonly order?: 'ascending' | 'descending';
  /** Of this row. */
  readonly limit?: number | undefined;
  readonly pagePoints?: number;
  /** As of a range of cells. */
  readonly mayBeCached?: boolean;
  readonly isShort?: boolean;
  /** Makes the columns of a page of as many points; they may hold anything. Default: new ones. */
  readonly columns?: (points: number) => PageColumns;
}

type PageColumns = Pick<PointPage, 'times' | 'numbers'>;

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
  found: FoundRow,
  options: RowReadOptions,
): AsyncGenerator<PointPage> {
  const range = cellRange(spec, found, options);
  if (range === undefined) return;
  for await (const page of rows.readCellPages(range)) {
    const points = decodePage(spec, found.row, page, options.columns);
    if ('release' in page) page.release?.();
    yield points;
  }
}

/** The same without waiting; undefined where the store has no such way. */
export function readRowAtHand(
  rows: WideRows,
  spec: RowSpec,
  found: FoundRow,
  options: RowReadOptions,
): Generator<PointPage> | undefined {
  if (rows.cellPagesAtHand === undefined) return undefined;
  const range = cellRange(spec, found, options);
  const pages = range === undefined ? [] : rows.cellPagesAtHand(range);
  return decodePages(spec, found.row, pages, options.columns);
}

function* decodePages(
  spec: RowSpec,
  row: RowKey,
  pages: Iterable<CellPage>,
  columns: RowReadOptions['columns'],
): Generator<PointPage> {
  for (const page of pages) yield decodePage(spec, row, page, columns);
}

function cellRange(
  spec: RowSpec,
  { row, key }: FoundRow,
  options: RowReadOptions,
): CellRange | undefined {
  const columns = columnsWithin(spec, row.rowTimeMs, options);
  if (columns === undefined) return undefined;
  const { order = 'ascending', limit, pagePoints, mayBeCached = false, isShort = false } = options;
  const range = { key, row, ...columns, order, limit, mayBeCached, isShort };
  return pagePoints === undefined ? range : { ...range, pageCells: pagePoints };
}

/** Doubles that columns of small pages are cut from: 64 KiB, which go when the last of their pages goes. */
const STRETCH_DOUBLES = 8_192;
let stretch = new Float64Array(0);
let stretchUsed = 0;

/** A column of its own costs the collector more than a small page's points are worth (0054). */
function columnOfDoubles(count: number): Float64Array {
  if (count > STRETCH_DOUBLES / 8) return new Float64Array(count);
  if (stretchUsed + count > stretch.length) {
    stretch = new Float64Array(STRETCH_DOUBLES);
    stretchUsed = 0;
  }
  const from = stretchUsed;
  stretchUsed += count;
  return stretch.subarray(from, stretchUsed);
}

const newColumns = (points: number): PageColumns => ({
  times: columnOfDoubles(points),
  numbers: columnOfDoubles(points),
});

function decodePage(
  spec: RowSpec,
  { type, rowTimeMs }: RowKey,
  page: CellPage | KeptCells,
  columns = newColumns,
): PointPage {
  const { count } = page;
  const { times, numbers } = columns(count);
  /** Where columns stand in their place. */
  const makeTimes = (): void => {
    for (let i = 0; i < count; i++) times[i] = timestampOf(spec, rowTimeMs, times[i] as number);
  };
  if (type === DOUBLE_TYPE) {
    if ('runs' in page) {
      keptDoubles(page, times, numbers, doubleAt);
      makeTimes();
    } else decodeSentDoubles(spec, rowTimeMs, page, { times, numbers });
    return { times, numbers, values: 'doubles' };
  }
  if (type === LONG_TYPE && 'runs' in page && keptLongs(page, times, numbers)) {
    makeTimes();
    return { times, numbers, values: 'longs' };
  }
  /** From the first value on that a double can't stand for. */
  let values: KairosValue[] | undefined;
  eachCell(page, (i, column, bytes, from, to) => {
    times[i] = timestampOf(spec, rowTimeMs, column);
    const small = type === LONG_TYPE ? smallLongAt(bytes, from, to) : undefined;
    if (small !== undefined) {
      numbers[i] = small;
      if (values !== undefined) values[i] = BigInt(small);
      return;
    }
    const value = decodeValue(type, bytes.subarray(from, to), isLegacyFloat(spec, column));
    values ??= Array.from({ length: i }, (_, before) => BigInt(numbers[before] as number));
    values[i] = value;
    numbers[i] = typeof value === 'string' ? 0 : Number(value);
  });
  return { times, numbers, values: values ?? 'longs' };
}

/** Most cells there are. */
function decodeSentDoubles(
  spec: RowSpec,
  rowTimeMs: number,
  { bytes, count }: CellPage,
  { times, numbers }: PageColumns,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (let i = 0; i < count; i++) {
    times[i] = timestampOf(spec, rowTimeMs, view.getUint32(at + 4));
    const from = at + CELL_HEAD_BYTES;
    const length = view.getInt32(at + 8);
    at = from + Math.max(0, length);
    numbers[i] = length >= 8 ? view.getFloat64(from) : doubleAt(bytes, from, at);
  }
}

const doubleAt = (bytes: Buffer, from: number, to: number): number =>
  to - from >= 8
    ? bytes.readDoubleBE(from)
    : (decodeValue(DOUBLE_TYPE, bytes.subarray(from, to)) as number);
