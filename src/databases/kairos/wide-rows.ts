/**
 * Where KairosDB's rows live: (row key bytes, column bytes) → value bytes, sliced in column order, and the index
 * tables beside them. Cassandra (KairosDB's own schema) and LMDB serve it with the same bytes in `data_points`
 * and are held to it by one test suite (`wide-rows.suite.ts`). The codec, the writer, discovery and reading stand
 * above it and know neither.
 *
 *   data_points           row key → column → value                 the points
 *   row_key_time_index    metric → row times                       which rows of time a metric has
 *   row_keys              metric, row time → type, tags            which series each of them has
 *   tag_indexed_row_keys  metric, row time, name=value → …         the same by one tag, where switched on
 *   string_index          metric names                             in UTF-8 order
 *   service_index         service, service key, key → text         metadata, hosts, rollup tasks
 *   spec                  name → text                              how rows and columns are encoded
 *
 * Every write is stamped with the time of writing, in ms; of two writes of one cell the later wins, and a write
 * after a delete is visible. Times to live are whole seconds, 0 = for ever. Names hold no lone surrogates. An aborted
 * signal makes a call reject with the signal's reason.
 */
import type { Rejection } from '../../delivery/index.ts';
import type { CellBatch } from './cell-batch.ts';
import type { KeptCells } from './cell-cache/kept-cells.ts';
import type { RowKey } from './row-key.ts';
import type { TagList } from './tag-string.ts';

export interface StoredCell {
  readonly column: Buffer;
  readonly value: Buffer;
}

/** Cells of one row, in the form of packed-cells.ts. Bytes may go on behind the last one. */
export interface CellPage {
  readonly bytes: Buffer;
  readonly count: number;
  /** Lets go of the bytes, when they are read: generators on the way hold the page until the next one is asked for. */
  release?(): void;
}

export interface CellRange {
  readonly key: Buffer;
  /** Columns compare as bytes. Both included; absent = from the start, to the end of the row. */
  readonly first?: Buffer | undefined;
  readonly last?: Buffer | undefined;
  /** Default `ascending`. */
  readonly order?: 'ascending' | 'descending';
  /** At most so many cells. */
  readonly limit?: number | undefined;
  /** Most cells of one page, default 5,000. */
  readonly pageCells?: number;
  /** A few are expected in all, so that several such reads may go together. Default false. */
  readonly isShort?: boolean;
  /** Cells that a cache keeps will do, as old as its settings let them be. Default false: what the store has. */
  readonly mayBeCached?: boolean;
  /** The row as `rowKeys` gave it, by which a store may know it again. */
  readonly row?: RowKey;
}

export interface RowKeyEntry {
  readonly row: RowKey;
  /** The tags of the row that also go into the tag index; usually none. */
  readonly indexedTags: TagList;
  readonly ttlSeconds: number;
}

export interface RowTimeEntry {
  readonly metric: string;
  readonly rowTimeMs: number;
  readonly ttlSeconds: number;
}

export interface ServiceValue {
  readonly value: string;
  readonly writtenAtMs: number;
}

/** Which row keys are wanted, for a store that can tell by their bytes and need not make the others. */
export interface RowKeyFilter {
  /** By tag name: what a row's value must pass. A row without the tag doesn't. */
  readonly tests: ReadonlyMap<string, (value: string) => boolean>;
  /** Told by a store that leaves rows out: how many of one row time came in a page at most, with them. */
  mostOfOneTime: number;
}

/** Range over pages; reading stops, and lets go of everything, when the loop is left. */
export type Pages<T> = AsyncIterable<readonly T[]>;

export interface WideRows {
  readonly kind: 'cassandra' | 'embedded';

  /** Safe to call again. Rejects with RetriableError (not reachable) or FatalError (keyspace missing, not let in). */
  connect(signal?: AbortSignal): Promise<void>;
  /** A cheap round trip that fails when writes would. */
  check(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;

  /**
   * Durable when it resolves, but for the rejections: cells that the store refuses for what they are, by index.
   * Of two equal cells in one call the later wins. Rejects with RetriableError when anything else went wrong:
   * some cells may then be stored, and the same call may come again. The batch stays as it is until it settles.
   */
  writeCells(batch: CellBatch, signal?: AbortSignal): Promise<readonly Rejection[]>;
  readCells(range: CellRange): Pages<StoredCell>;
  /** The same as bytes, for what reads many; `eachCell` reads either form. No page is empty. */
  readCellPages(range: CellRange): AsyncIterable<CellPage | KeptCells>;
  /**
   * The same where cells are in this process and nothing has to be waited for; a store that must wait has no such way.
   * A page stands until another is read, of any row.
   */
  cellPagesAtHand?(range: CellRange): Iterable<CellPage>;
  /** Both bounds included; absent = open. */
  deleteCells(range: Pick<CellRange, 'key' | 'first' | 'last'>): Promise<void>;
  deleteRow(key: Buffer): Promise<void>;

  /** Inserts or refreshes; the life of an entry becomes exactly `ttlSeconds`. Rejections as for cells. */
  writeRowKeys(
    entries: readonly RowKeyEntry[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]>;
  hasRowKey(row: RowKey): Promise<boolean>;
  /** Rows that are not wanted may be among them. */
  rowKeys(metric: string, rowTimeMs: number, wanted?: RowKeyFilter): Pages<RowKey>;
  /** Those of several row times, ascending, in one request; a store that has them at hand has no such way. */
  rowKeysOfTimes?(
    metric: string,
    rowTimesMs: readonly number[],
    wanted?: RowKeyFilter,
  ): Pages<RowKey>;
  /** From the tag index: only rows that were written with this tag among their `indexedTags`. */
  rowKeysWithTag(
    metric: string,
    rowTimeMs: number,
    tag: readonly [name: string, value: string],
    wanted?: RowKeyFilter,
  ): Pages<RowKey>;
  /** `indexedTags` as they were given on writing. */
  deleteRowKey(row: RowKey, indexedTags: TagList): Promise<void>;

  writeRowTimes(
    entries: readonly RowTimeEntry[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]>;
  hasRowTime(metric: string, rowTimeMs: number): Promise<boolean>;
  /** Ascending; both bounds included. */
  rowTimes(metric: string, firstMs: number, lastMs: number): Pages<number>;
  deleteRowTime(metric: string, rowTimeMs: number): Promise<void>;

  /** Row keys that KairosDB before 1.2 indexed: `first` included, `end` not. The embedded store has none. */
  legacyRowKeys(metric: string, first: Buffer, end: Buffer): Pages<Buffer>;
  deleteLegacyRowKey(metric: string, key: Buffer): Promise<void>;
  /** All of a metric's. */
  deleteLegacyRowKeys(metric: string): Promise<void>;

  writeMetricNames(metrics: readonly string[], signal?: AbortSignal): Promise<readonly Rejection[]>;
  /** Ascending in UTF-8 order. An empty or absent prefix gives all. */
  metricNames(prefix?: string): Pages<string>;
  deleteMetricName(metric: string): Promise<void>;

  /** The row `cluster_config` of table `spec`, by name. */
  readSpec(): Promise<ReadonlyMap<string, string>>;
  writeSpec(name: string, value: string): Promise<void>;

  writeServiceValue(service: string, serviceKey: string, key: string, value: string): Promise<void>;
  readServiceValue(
    service: string,
    serviceKey: string,
    key: string,
  ): Promise<ServiceValue | undefined>;
  /**
   * Compare-and-set across processes: writes `value` (undefined: deletes) only when the value is `expected` (undefined:
   * absent), and says whether it was. When it rejects, the outcome is unknown. What it has touched, `writeServiceValue`
   * must not: Cassandra stamps such writes by a clock of its own.
   */
  replaceServiceValue(
    service: string,
    serviceKey: string,
    key: string,
    change: { readonly expected: string | undefined; readonly value: string | undefined },
  ): Promise<boolean>;
  /** The service key stays known without it, as in KairosDB (spec §12). */
  deleteServiceValue(service: string, serviceKey: string, key: string): Promise<void>;
  /** One entry per key that a service key has, and one for a service key without any: duplicates, as KairosDB lists them. */
  serviceKeys(service: string): Promise<readonly string[]>;
  /** Those that begin with `prefix`, ascending in UTF-8 order. */
  keysOfService(service: string, serviceKey: string, prefix?: string): Promise<readonly string[]>;
}
