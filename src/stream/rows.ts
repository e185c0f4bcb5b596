/** Batches made of plain objects: what `map`, a window's close or a user's own operator gives. */
import type { Batch, Column, Duplicates } from './batch.ts';

/** The frame of a batch: everything but its rows. */
export interface BatchFrame {
  readonly topic: string;
  readonly partition: number;
  readonly watermark: number;
}

export interface RowsInit<T> extends BatchFrame {
  readonly rows: readonly T[];
  readonly offsets: Float64Array;
  readonly timestamps: Float64Array;
  readonly watermarks: Float64Array;
  readonly original?: Batch<T>['original'];
  readonly duplicates?: Duplicates;
}

const NOTHING = { key: null, value: null };
const nothing = () => NOTHING;

/** A batch over objects; a column is built from its field when an operator first asks for it. */
export function rowsBatch<T>(init: RowsInit<T>): Batch<T> {
  const { rows } = init;
  return {
    topic: init.topic,
    partition: init.partition,
    length: rows.length,
    offsets: init.offsets,
    timestamps: init.timestamps,
    watermarks: init.watermarks,
    watermark: init.watermark,
    selected: undefined,
    columns: columnsOf(rows),
    absent: () => new Float64Array(rows.length).fill(Number.NaN),
    duplicates: init.duplicates,
    original: init.original ?? nothing,
    row: (i) => rows[i] as T,
  };
}

/** New rows, each in the place of the row of `batch` that it was made from: `from[k]` made `rows[k]`. */
export function madeFrom<R>(
  batch: Batch<unknown>,
  rows: readonly R[],
  from: readonly number[],
): Batch<R> {
  const pick = (column: Float64Array) => Float64Array.from(from, (i) => column[i] as number);
  return rowsBatch({
    topic: batch.topic,
    partition: batch.partition,
    watermark: batch.watermark,
    rows,
    offsets: pick(batch.offsets),
    timestamps: pick(batch.timestamps),
    watermarks: pick(batch.watermarks),
    original: (k) => batch.original(from[k] as number),
  });
}

/** A batch that carries only time: how far the watermark came. */
export function progressBatch<T>(frame: BatchFrame): Batch<T> {
  const none = new Float64Array(0);
  return rowsBatch<T>({ ...frame, rows: [], offsets: none, timestamps: none, watermarks: none });
}

/** Getters by field of the rows, each building its column once. */
function columnsOf(rows: readonly unknown[]): Record<string, Column> {
  const columns: Record<string, Column> = {};
  for (const field of fieldsOf(rows)) {
    let built: Column | undefined;
    Object.defineProperty(columns, field, {
      enumerable: true,
      get: () => {
        built ??= columnOf(rows as readonly Record<string, unknown>[], field);
        return built;
      },
    });
  }
  return columns;
}

function fieldsOf(rows: readonly unknown[]): ReadonlySet<string> {
  const fields = new Set<string>();
  let known: readonly string[] = [];
  for (const row of rows) {
    if (typeof row !== 'object' || row === null) continue;
    const own = Object.keys(row);
    // Rows mostly look alike: then there is nothing to add.
    if (own.length === known.length && own.every((field, i) => field === known[i])) continue;
    known = own;
    for (const field of own) fields.add(field);
  }
  return fields;
}

function columnOf(rows: readonly Record<string, unknown>[], field: string): Column {
  const sample = rows.find((row) => row?.[field] !== undefined)?.[field];
  if (typeof sample === 'number') {
    return Float64Array.from(rows, (row) => {
      const value = row?.[field];
      return typeof value === 'number' ? value : Number.NaN;
    });
  }
  const texts: string[] = [];
  const codeByText = new Map<string, number>();
  const codes = Int32Array.from(rows, (row) => {
    const value = row?.[field];
    if (value === undefined || value === null) return -1;
    const text = String(value);
    let code = codeByText.get(text);
    if (code === undefined) {
      code = texts.length;
      texts.push(text);
      codeByText.set(text, code);
    }
    return code;
  });
  return {
    codes,
    dictionary: {
      size: texts.length,
      text: (code) => texts[code] as string,
      codeOf: (text) => codeByText.get(text) ?? -1,
    },
  };
}

/** The same batch with another selection (ascending row numbers). */
export function withSelection<T>(batch: Batch<T>, selected: Int32Array): Batch<T> {
  return { ...batch, selected, row: batch.row.bind(batch), original: batch.original.bind(batch) };
}
