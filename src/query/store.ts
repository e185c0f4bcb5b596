/** What a query reads from; KairosStore is one. */
import type { Columns } from './column-pool.ts';

export interface StoredRow {
  readonly row: {
    readonly metric: string;
    readonly rowTimeMs: number;
    /** `kairos_long`, `kairos_double`, `kairos_string`, `kairos_legacy` or a foreign one. */
    readonly type: string;
    /** Ascending by name. */
    readonly tags: readonly (readonly [name: string, value: string])[];
  };
}

/** Points of one row, in order, as columns of equal length. */
export interface PointPage {
  readonly times: Float64Array;
  /** Each value as a double; text is 0. */
  readonly numbers: Float64Array;
  /** What the values are: `numbers` as they stand, `numbers` as longs, or these. */
  readonly values: 'doubles' | 'longs' | readonly (bigint | number | string)[];
}

export interface TagFilter {
  readonly values?: ReadonlySet<string>;
  readonly matches?: (value: string) => boolean;
}

/** Half-open; ±Infinity leave a side open. */
export interface RowRange {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface RowQuery extends RowRange {
  readonly metric: string;
  readonly tags?: ReadonlyMap<string, TagFilter>;
}

export interface RowReadOptions extends RowRange {
  readonly order: 'ascending' | 'descending';
  readonly limit?: number | undefined;
  readonly pagePoints?: number;
  /** Few points are expected, so that a store may read several such rows together when they are asked for together. */
  readonly isShort?: boolean;
  /** Points that were read a while ago will do, where the store keeps them. */
  readonly mayBeCached?: boolean;
  /** Columns for a page of as many points. Whoever reads says when a page is behind it, and then they may come again. */
  readonly columns?: (points: number) => Columns;
}

export interface SeriesStore {
  readonly spec: {
    /** Every point of a row lies less than this behind the row's time. */
    readonly rowSpanMs: number;
  };
  findRows(query: RowQuery): AsyncIterable<readonly StoredRow[]>;
  /** In order of time; an AsyncGenerator, or anything else that can be left early. */
  readRow(row: StoredRow, options: RowReadOptions): AsyncIterable<PointPage>;
  /** The same of a row that is in this process, so that nobody waits for it; undefined for any other. */
  readRowAtHand?(row: StoredRow, options: RowReadOptions): Iterable<PointPage> | undefined;
}
