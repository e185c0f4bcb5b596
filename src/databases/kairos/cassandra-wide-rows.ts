/**
 * KairosDB's rows in Cassandra, in KairosDB's own schema, so that Java servers may share the keyspace. Statements
 * are prepared, idempotent and stamped in milliseconds; cells of one row go in unlogged batches, which only short rows
 * share, and only where there is one node.
 */
import type { Rejection } from '../../delivery/index.ts';
import { type Clock, systemClock } from '../../runtime/index.ts';
import { CassandraSession, unit } from './cassandra-session.ts';
import type { CellBatch } from './cell-batch.ts';
import { unitsOfCells } from './cell-batches.ts';
import { CellCache } from './cell-cache/cell-cache.ts';
import type { KeptCells } from './cell-cache/kept-cells.ts';
import type { CassandraConfig } from './config.ts';
import { JoinedReads } from './joined-reads.ts';
import { unpacked } from './packed-cells.ts';
import { installPackedResults, packedByRow, packedPage } from './packed-results.ts';
import { type RowKeysOf, rowKeysOf } from './packed-row-keys.ts';
import type { RowKey } from './row-key.ts';
import { unitsOfRowKeys } from './row-key-batches.ts';
import { rowKeyParams, taggedRowKeyParams } from './row-key-params.ts';
import { METRIC_NAMES_KEY, SPEC_TYPE, TABLE_NAME } from './schema.ts';
import { storedSpec } from './spec-rows.ts';
import { statements } from './statements.ts';
import { singleTagPair } from './tag-hash.ts';
import type { TagList } from './tag-string.ts';
import { behindText } from './text-order.ts';
import type {
  CellPage,
  CellRange,
  Pages,
  RowKeyEntry,
  RowKeyFilter,
  RowTimeEntry,
  ServiceValue,
  StoredCell,
  WideRows,
} from './wide-rows.ts';

const PAGE_CELLS = 5_000;
const PAGE_ENTRIES = 1_000;
/** Of those of which only some are wanted, and the others never made. */
const PAGE_FILTERED = 5_000;
const INT_MAX = 2 ** 31 - 1;
const FIRST_COLUMN = Buffer.alloc(4);
const LAST_COLUMN = Buffer.alloc(4, 0xff);

export interface CassandraWideRowsOptions {
  readonly config: CassandraConfig;
  readonly clock?: Clock;
}

export function cassandraWideRows(options: CassandraWideRowsOptions): WideRows {
  return new CassandraWideRows(options);
}

class CassandraWideRows implements WideRows {
  readonly kind = 'cassandra';
  readonly #session: CassandraSession;
  readonly #cache: CellCache | undefined;
  readonly #joined = new JoinedReads((...rows) => this.#cellsOfRows(...rows));

  constructor({ config, clock = systemClock }: CassandraWideRowsOptions) {
    installPackedResults();
    this.#session = new CassandraSession(config, clock);
    const { cellCache } = config;
    if (cellCache !== undefined && cellCache.bytesMax > 0) {
      this.#cache = new CellCache(cellCache, clock, async () => (await storedSpec(this)).unit);
    }
  }

  connect(signal?: AbortSignal): Promise<void> {
    return this.#session.connect(signal);
  }

  async check(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.#session.readForWrite(statements.readSpec, [SPEC_TYPE]);
  }

  close(): Promise<void> {
    this.#cache?.clear();
    return this.#session.close();
  }

  async writeCells(batch: CellBatch, signal?: AbortSignal): Promise<readonly Rejection[]> {
    try {
      const units = unitsOfCells(batch, this.#session.hasOneNode);
      return await this.#session.writeUnits(units, signal);
    } finally {
      this.#cache?.forgetCells(batch);
    }
  }

  readCells(range: CellRange): Pages<StoredCell> {
    return unpacked(this.readCellPages(range));
  }

  readCellPages(range: CellRange): AsyncGenerator<CellPage | KeptCells> {
    if (this.#cache === undefined || range.mayBeCached !== true) {
      const { isShort, order, limit } = range;
      const mayJoin = isShort === true && order !== 'descending' && limit === undefined;
      return mayJoin ? this.#joinedCells(range) : this.#sentCells(range);
    }
    return this.#cache.read(range, (each, isShort) =>
      isShort ? this.#joinedCells(each) : this.#sentCells(each),
    );
  }

  async *#joinedCells(range: CellRange): AsyncGenerator<CellPage> {
    const { key, first = FIRST_COLUMN, last = LAST_COLUMN } = range;
    const page = await this.#joined.read(key, first, last);
    if (page === undefined || page.count > (range.pageCells ?? PAGE_CELLS)) {
      yield* this.#sentCells(range);
    } else if (page.count > 0) yield page;
  }

  async #cellsOfRows(
    keys: readonly Buffer[],
    first: Buffer,
    last: Buffer,
  ): Promise<ReadonlyMap<string, CellPage> | undefined> {
    const params = [keys, first, last];
    const options = { fetchSize: PAGE_CELLS };
    const page = await this.#session.read(statements.readCellsOfRows, params, options);
    if (page.pageState !== null && page.pageState !== undefined) return undefined;
    return packedByRow(page.rows);
  }

  async *#sentCells(range: CellRange): AsyncGenerator<CellPage> {
    const pageCells = Math.min(range.pageCells ?? PAGE_CELLS, range.limit ?? PAGE_CELLS);
    if (pageCells < 1) return;
    const query =
      range.order === 'descending' ? statements.readCellsBackwards : statements.readCells;
    const params = [
      range.key,
      range.first ?? FIRST_COLUMN,
      range.last ?? LAST_COLUMN,
      Math.min(range.limit ?? INT_MAX, INT_MAX),
    ];
    for await (const page of this.#session.pages(query, params, pageCells)) {
      yield packedPage(page);
    }
  }

  async deleteCells({
    key,
    first,
    last,
  }: Pick<CellRange, 'key' | 'first' | 'last'>): Promise<void> {
    try {
      const bounds = [first ?? FIRST_COLUMN, last ?? LAST_COLUMN];
      await this.#session.write(statements.deleteCells, [key, ...bounds]);
    } finally {
      this.#cache?.forget(key, first, last);
    }
  }

  async deleteRow(key: Buffer): Promise<void> {
    try {
      await this.#session.write(statements.deleteRow, [key]);
    } finally {
      this.#cache?.forget(key);
    }
  }

  writeRowKeys(
    entries: readonly RowKeyEntry[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    return this.#session.writeUnits(unitsOfRowKeys(entries), signal);
  }

  async hasRowKey(row: RowKey): Promise<boolean> {
    const found = await this.#session.readForWrite(statements.readRowKey, rowKeyParams(row));
    return found.rows.length > 0;
  }

  rowKeys(metric: string, rowTimeMs: number, wanted?: RowKeyFilter): Pages<RowKey> {
    const params = [metric, TABLE_NAME, rowTimeMs];
    return this.#rowKeysOf(statements.readRowKeys, params, { metric, rowTimeMs, wanted });
  }

  rowKeysOfTimes(
    metric: string,
    rowTimesMs: readonly number[],
    wanted?: RowKeyFilter,
  ): Pages<RowKey> {
    const params = [metric, TABLE_NAME, rowTimesMs];
    const of = { metric, rowTimeMs: undefined, wanted };
    return this.#rowKeysOf(statements.readRowKeysOfTimes, params, of);
  }

  rowKeysWithTag(
    metric: string,
    rowTimeMs: number,
    tag: readonly [name: string, value: string],
    wanted?: RowKeyFilter,
  ): Pages<RowKey> {
    const params = [metric, TABLE_NAME, rowTimeMs, singleTagPair(tag)];
    return this.#rowKeysOf(statements.readTaggedRowKeys, params, { metric, rowTimeMs, wanted });
  }

  async *#rowKeysOf(
    query: string,
    params: readonly unknown[],
    of: RowKeysOf,
  ): AsyncGenerator<readonly RowKey[]> {
    const fetchSize = of.wanted === undefined ? PAGE_ENTRIES : PAGE_FILTERED;
    for await (const page of this.#session.pages(query, params, fetchSize)) {
      const keys = rowKeysOf(page, of);
      if (keys.length > 0) yield keys;
    }
  }

  async deleteRowKey(row: RowKey, indexedTags: TagList): Promise<void> {
    await this.#session.write(statements.deleteRowKey, rowKeyParams(row));
    for (const params of taggedRowKeyParams(row, indexedTags))
      await this.#session.write(statements.deleteTaggedRowKey, params);
  }

  writeRowTimes(
    entries: readonly RowTimeEntry[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const units = entries.map(({ metric, rowTimeMs, ttlSeconds }, index) =>
      unit(index, statements.writeRowTime, [metric, TABLE_NAME, rowTimeMs, ttlSeconds]),
    );
    return this.#session.writeUnits(units, signal);
  }

  async hasRowTime(metric: string, rowTimeMs: number): Promise<boolean> {
    const params = [metric, TABLE_NAME, rowTimeMs];
    const found = await this.#session.readForWrite(statements.readRowTime, params);
    return found.rows.length > 0;
  }

  async *rowTimes(
    metric: string,
    firstMs: number,
    lastMs: number,
  ): AsyncGenerator<readonly number[]> {
    const params = [metric, TABLE_NAME, firstMs, lastMs];
    for await (const page of this.#session.pages(statements.readRowTimes, params, PAGE_ENTRIES)) {
      yield page.map((row) => Number(row.row_time));
    }
  }

  deleteRowTime(metric: string, rowTimeMs: number): Promise<void> {
    return this.#session.write(statements.deleteRowTime, [metric, TABLE_NAME, rowTimeMs]);
  }

  async *legacyRowKeys(
    metric: string,
    first: Buffer,
    end: Buffer,
  ): AsyncGenerator<readonly Buffer[]> {
    const params = [Buffer.from(metric), first, end];
    for await (const page of this.#session.pages(
      statements.readLegacyRowKeys,
      params,
      PAGE_ENTRIES,
    )) {
      yield page.map((row) => row.column1 as Buffer);
    }
  }

  deleteLegacyRowKey(metric: string, key: Buffer): Promise<void> {
    return this.#session.write(statements.deleteLegacyRowKey, [Buffer.from(metric), key]);
  }

  deleteLegacyRowKeys(metric: string): Promise<void> {
    return this.#session.write(statements.deleteLegacyRowKeys, [Buffer.from(metric)]);
  }

  writeMetricNames(
    metrics: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const units = metrics.map((metric, index) =>
      unit(index, statements.writeName, [METRIC_NAMES_KEY, metric]),
    );
    return this.#session.writeUnits(units, signal);
  }

  async *metricNames(prefix = ''): AsyncGenerator<readonly string[]> {
    const end = behindText(prefix);
    const pages =
      end === undefined
        ? this.#session.pages(statements.readNames, [METRIC_NAMES_KEY, prefix], PAGE_CELLS)
        : this.#session.pages(
            statements.readNamesBefore,
            [METRIC_NAMES_KEY, prefix, end],
            PAGE_CELLS,
          );
    for await (const page of pages) yield page.map((row) => row.column1 as string);
  }

  deleteMetricName(metric: string): Promise<void> {
    return this.#session.write(statements.deleteName, [METRIC_NAMES_KEY, metric]);
  }

  async readSpec(): Promise<ReadonlyMap<string, string>> {
    const { rows } = await this.#session.readForWrite(statements.readSpec, [SPEC_TYPE]);
    return new Map(rows.map((row) => [row.name as string, row.value as string]));
  }

  writeSpec(name: string, value: string): Promise<void> {
    return this.#session.write(statements.writeSpec, [SPEC_TYPE, name, value]);
  }

  writeServiceValue(
    service: string,
    serviceKey: string,
    key: string,
    value: string,
  ): Promise<void> {
    return this.#session.write(statements.writeService, [service, serviceKey, key, value]);
  }

  async readServiceValue(
    service: string,
    serviceKey: string,
    key: string,
  ): Promise<ServiceValue | undefined> {
    const { rows } = await this.#session.read(statements.readService, [service, serviceKey, key]);
    const [row] = rows;
    if (row === undefined || row.value === null) return undefined;
    return { value: row.value as string, writtenAtMs: Number(row.written) };
  }

  async replaceServiceValue(
    service: string,
    serviceKey: string,
    key: string,
    {
      expected,
      value,
    }: { readonly expected: string | undefined; readonly value: string | undefined },
  ): Promise<boolean> {
    const place = [service, serviceKey, key];
    const { rows } = await (expected === undefined
      ? value === undefined
        ? this.#session.readForWrite(statements.readService, place)
        : this.#session.readForWrite(statements.createService, [...place, value])
      : value === undefined
        ? this.#session.readForWrite(statements.removeService, [...place, expected])
        : this.#session.readForWrite(statements.replaceService, [value, ...place, expected]));
    if (expected === undefined && value === undefined) return rows.length === 0;
    return rows[0]?.['[applied]'] === true;
  }

  async deleteServiceValue(service: string, serviceKey: string, key: string): Promise<void> {
    await this.#session.write(statements.deleteService, [service, serviceKey, key]);
    await this.#session.write(statements.touchService, [service, serviceKey]);
  }

  async serviceKeys(service: string): Promise<readonly string[]> {
    const keys: string[] = [];
    for await (const page of this.#session.pages(
      statements.readServiceKeys,
      [service],
      PAGE_ENTRIES,
    )) {
      for (const row of page) keys.push(row.service_key as string);
    }
    return keys;
  }

  async keysOfService(
    service: string,
    serviceKey: string,
    prefix = '',
  ): Promise<readonly string[]> {
    const end = behindText(prefix);
    const params = [service, serviceKey, prefix];
    const pages =
      end === undefined
        ? this.#session.pages(statements.readKeysOfService, params, PAGE_ENTRIES)
        : this.#session.pages(statements.readKeysOfServiceBefore, [...params, end], PAGE_ENTRIES);
    const keys: string[] = [];
    for await (const page of pages) {
      for (const row of page) if (row.key !== null) keys.push(row.key as string);
    }
    return keys;
  }
}
