/**
 * The unit that flows through a topology: many records as columns, with a selection of those still in play.
 * Operators narrow the selection or add columns; they never write into a column that they did not make.
 */

/**
 * The distinct texts of a column, numbered from 0 in order of first sight. Numbers are only meaningful within
 * one Dictionary object: a decoder starts a new one when the old has grown past its bound, so whoever caches
 * by code must drop the cache when `column.dictionary` is another object.
 */
export interface Dictionary {
  readonly size: number;
  text(code: number): string;
  /** -1 when the text was never seen. */
  codeOf(text: string): number;
}

/** Numbers; NaN = absent. */
export type NumberColumn = Float64Array;

/** Text as codes into a dictionary; -1 = absent. */
export interface TextColumn {
  readonly codes: Int32Array;
  readonly dictionary: Dictionary;
}

export type Column = NumberColumn | TextColumn;

export const isTextColumn = (column: Column): column is TextColumn => 'codes' in column;

/** Records that repeat an earlier one: kept beside the selection so that a window can count them in their place. */
export interface Duplicates {
  readonly count: number;
  /** Row numbers, ascending. */
  readonly rows: Int32Array;
  /** Event time of the first of each. */
  readonly firstTimestamps: Float64Array;
}

/**
 * Rows 0 … length-1 of one partition in offset order, of which `selected` (or all, when undefined) are in play.
 * `T` is the row's type: `row(i)` builds one, columns hold the same values.
 */
export interface Batch<T> {
  readonly topic: string;
  readonly partition: number;
  readonly length: number;
  readonly offsets: Float64Array;
  /** Event time, ms. */
  readonly timestamps: Float64Array;
  /** The partition's watermark after each row: the highest event time seen up to and including it. */
  readonly watermarks: Float64Array;
  /** The watermark after the whole batch; -Infinity before any valid record. */
  readonly watermark: number;
  /** Ascending row numbers in play; undefined = all. */
  readonly selected: Int32Array | undefined;
  readonly columns: Readonly<Record<string, Column>>;
  /** How a field that no row of this batch has reads; undefined where a schema fixes the fields. */
  readonly absent?: (() => Column) | undefined;
  readonly duplicates: Duplicates | undefined;
  /** A copy of the bytes of row i, for what must be passed on untouched (late topic, dead letter). */
  original(i: number): { readonly key: Buffer | null; readonly value: Buffer | null };
  /** A fresh plain object with the row's values; absent ones are left out. */
  row(i: number): T;
}

/** How many rows are in play. */
export const selectedCount = (batch: Batch<unknown>): number =>
  batch.selected === undefined ? batch.length : batch.selected.length;
