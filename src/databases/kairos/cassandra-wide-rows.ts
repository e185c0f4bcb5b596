/**
 * KairosDB's rows in Cassandra, in KairosDB's own schema, so that Java servers may share the keyspace. Statements
 * are prepared, idempotent and stamped in milliseconds; cells of one row go in unlogged batches, rows never share one.
 */
import type cassandra from 'cassandra-driver';
import type { Rejection } from '../../delivery/contract.ts';
import { messageOf } from '../../model/index.ts';
import { type Clock, systemClock } from '../../runtime/index.ts';
import { consistencyCode, createClient } from './client.ts';
import type { CassandraConfig } from './config.ts';
import { cassandraError, isRefusal } from './errors.ts';
import { InFlight } from './in-flight.ts';
import type { RowKey } from './row-key.ts';
import { METRIC_NAMES_KEY, SPEC_TYPE, TABLE_NAME } from './schema.ts';
import { statements } from './statements.ts';
import { singleTagPair, tagCollectionHash } from './tag-hash.ts';
import { sortTags, type TagList } from './tag-string.ts';
import { behindText } from './text-order.ts';
import type {
  Cell,
  CellRange,
  Pages,
  RowKeyEntry,
  RowTimeEntry,
  ServiceValue,
  StoredCell,
  WideRows,
} from './wide-rows.ts';
import { WriteStamps } from './write-stamps.ts';

/** Bounds of one batch; a row with more cells gets several. */
const BATCH_CELLS = 250;
const BATCH_BYTES = 128 * 1_024;
const PAGE_CELLS = 5_000;
const PAGE_ENTRIES = 1_000;
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

interface Statement {
  readonly query: string;
  readonly params: readonly unknown[];
}

/** One request: the statements of one partition, and which items of the call they carry. */
interface Unit {
  readonly statements: readonly Statement[];
  readonly indexes: readonly number[];
  /** Partition key, when it is one blob; else the driver derives the owner itself. */
  readonly routingKey?: Buffer;
}

class CassandraWideRows implements WideRows {
  readonly kind = 'cassandra';
  readonly #config: CassandraConfig;
  readonly #clock: Clock;
  readonly #stamps: WriteStamps;
  readonly #inFlight: InFlight;
  readonly #writeConsistency: number;
  readonly #readConsistency: number;
  #client: cassandra.Client | undefined;
  #connecting: Promise<void> | undefined;

  constructor({ config, clock = systemClock }: CassandraWideRowsOptions) {
    this.#config = config;
    this.#clock = clock;
    this.#stamps = new WriteStamps(clock);
    this.#inFlight = new InFlight(config.requestsInFlightMax ?? 64);
    this.#writeConsistency = consistencyCode(config.writeConsistency ?? 'quorum');
    this.#readConsistency = consistencyCode(config.readConsistency ?? 'one');
  }

  async connect(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#client !== undefined) return;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    await this.#connecting;
  }

  async #connect(): Promise<void> {
    const client = createClient(this.#config, this.#clock, this.#config.keyspace);
    try {
      await client.connect();
      this.#client = client;
    } catch (error) {
      await client.shutdown().catch(() => {});
      throw cassandraError(error, `connecting to Cassandra at ${this.#config.hosts.join(', ')}`);
    }
  }

  async check(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.#read(statements.readSpec, [SPEC_TYPE], { consistency: this.#writeConsistency });
  }

  async close(): Promise<void> {
    await this.#connecting?.catch(() => {});
    const client = this.#client;
    this.#client = undefined;
    await client?.shutdown();
  }

  writeCells(cells: readonly Cell[], signal?: AbortSignal): Promise<readonly Rejection[]> {
    return this.#writeUnits(unitsOfCells(cells), signal);
  }

  async *readCells(range: CellRange): AsyncGenerator<readonly StoredCell[]> {
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
    for await (const page of this.#pages(query, params, pageCells)) {
      yield page.map((row) => ({ column: row.column1 as Buffer, value: row.value as Buffer }));
    }
  }

  deleteCells({ key, first, last }: Pick<CellRange, 'key' | 'first' | 'last'>): Promise<void> {
    return this.#write(statements.deleteCells, [key, first ?? FIRST_COLUMN, last ?? LAST_COLUMN]);
  }

  deleteRow(key: Buffer): Promise<void> {
    return this.#write(statements.deleteRow, [key]);
  }

  writeRowKeys(
    entries: readonly RowKeyEntry[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const units = entries.flatMap(({ row, indexedTags, ttlSeconds }, index): Unit[] => {
      const { params, tagged } = rowKeyParams(row, indexedTags);
      return [
        unit(index, statements.writeRowKey, [...params, ttlSeconds]),
        ...tagged.map((each) => unit(index, statements.writeTaggedRowKey, [...each, ttlSeconds])),
      ];
    });
    return this.#writeUnits(units, signal);
  }

  async hasRowKey(row: RowKey): Promise<boolean> {
    const { params } = rowKeyParams(row, []);
    // At write consistency: whoever asks is about to write.
    const consistency = this.#writeConsistency;
    const found = await this.#read(statements.readRowKey, params, { consistency });
    return found.rows.length > 0;
  }

  rowKeys(metric: string, rowTimeMs: number): Pages<RowKey> {
    const params = [metric, TABLE_NAME, rowTimeMs];
    return this.#rowKeysOf(metric, rowTimeMs, statements.readRowKeys, params);
  }

  rowKeysWithTag(
    metric: string,
    rowTimeMs: number,
    tag: readonly [name: string, value: string],
  ): Pages<RowKey> {
    const params = [metric, TABLE_NAME, rowTimeMs, singleTagPair(tag)];
    return this.#rowKeysOf(metric, rowTimeMs, statements.readTaggedRowKeys, params);
  }

  async *#rowKeysOf(
    metric: string,
    rowTimeMs: number,
    query: string,
    params: readonly unknown[],
  ): AsyncGenerator<readonly RowKey[]> {
    for await (const page of this.#pages(query, params, PAGE_ENTRIES)) {
      yield page
        // A partition whose rows are gone still has its static column.
        .filter((row) => row.data_type !== null)
        .map((row) => ({
          metric,
          rowTimeMs,
          type: row.data_type as string,
          // Cassandra orders a map by bytes, KairosDB's keys by UTF-16 units. An empty map reads as null.
          tags: sortTags((row.tags as Map<string, string> | null) ?? []),
        }));
    }
  }

  async deleteRowKey(row: RowKey, indexedTags: TagList): Promise<void> {
    const { params, tagged } = rowKeyParams(row, indexedTags);
    await this.#write(statements.deleteRowKey, params);
    for (const each of tagged) await this.#write(statements.deleteTaggedRowKey, each);
  }

  writeRowTimes(
    entries: readonly RowTimeEntry[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const units = entries.map(({ metric, rowTimeMs, ttlSeconds }, index) =>
      unit(index, statements.writeRowTime, [metric, TABLE_NAME, rowTimeMs, ttlSeconds]),
    );
    return this.#writeUnits(units, signal);
  }

  async hasRowTime(metric: string, rowTimeMs: number): Promise<boolean> {
    const params = [metric, TABLE_NAME, rowTimeMs];
    const consistency = this.#writeConsistency;
    const found = await this.#read(statements.readRowTime, params, { consistency });
    return found.rows.length > 0;
  }

  async *rowTimes(
    metric: string,
    firstMs: number,
    lastMs: number,
  ): AsyncGenerator<readonly number[]> {
    const params = [metric, TABLE_NAME, firstMs, lastMs];
    for await (const page of this.#pages(statements.readRowTimes, params, PAGE_ENTRIES)) {
      yield page.map((row) => Number(row.row_time));
    }
  }

  deleteRowTime(metric: string, rowTimeMs: number): Promise<void> {
    return this.#write(statements.deleteRowTime, [metric, TABLE_NAME, rowTimeMs]);
  }

  async *legacyRowKeys(
    metric: string,
    first: Buffer,
    end: Buffer,
  ): AsyncGenerator<readonly Buffer[]> {
    const params = [Buffer.from(metric), first, end];
    for await (const page of this.#pages(statements.readLegacyRowKeys, params, PAGE_ENTRIES)) {
      yield page.map((row) => row.column1 as Buffer);
    }
  }

  deleteLegacyRowKey(metric: string, key: Buffer): Promise<void> {
    return this.#write(statements.deleteLegacyRowKey, [Buffer.from(metric), key]);
  }

  deleteLegacyRowKeys(metric: string): Promise<void> {
    return this.#write(statements.deleteLegacyRowKeys, [Buffer.from(metric)]);
  }

  writeMetricNames(
    metrics: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const units = metrics.map((metric, index) =>
      unit(index, statements.writeName, [METRIC_NAMES_KEY, metric]),
    );
    return this.#writeUnits(units, signal);
  }

  async *metricNames(prefix = ''): AsyncGenerator<readonly string[]> {
    const end = behindText(prefix);
    const pages =
      end === undefined
        ? this.#pages(statements.readNames, [METRIC_NAMES_KEY, prefix], PAGE_CELLS)
        : this.#pages(statements.readNamesBefore, [METRIC_NAMES_KEY, prefix, end], PAGE_CELLS);
    for await (const page of pages) yield page.map((row) => row.column1 as string);
  }

  deleteMetricName(metric: string): Promise<void> {
    return this.#write(statements.deleteName, [METRIC_NAMES_KEY, metric]);
  }

  async readSpec(): Promise<ReadonlyMap<string, string>> {
    const consistency = this.#writeConsistency;
    const { rows } = await this.#read(statements.readSpec, [SPEC_TYPE], { consistency });
    return new Map(rows.map((row) => [row.name as string, row.value as string]));
  }

  writeSpec(name: string, value: string): Promise<void> {
    return this.#write(statements.writeSpec, [SPEC_TYPE, name, value]);
  }

  writeServiceValue(
    service: string,
    serviceKey: string,
    key: string,
    value: string,
  ): Promise<void> {
    return this.#write(statements.writeService, [service, serviceKey, key, value]);
  }

  async readServiceValue(
    service: string,
    serviceKey: string,
    key: string,
  ): Promise<ServiceValue | undefined> {
    const { rows } = await this.#read(statements.readService, [service, serviceKey, key]);
    const [row] = rows;
    if (row === undefined || row.value === null) return undefined;
    return { value: row.value as string, writtenAtMs: Number(row.written) };
  }

  async deleteServiceValue(service: string, serviceKey: string, key: string): Promise<void> {
    await this.#write(statements.deleteService, [service, serviceKey, key]);
    await this.#write(statements.touchService, [service, serviceKey]);
  }

  async serviceKeys(service: string): Promise<readonly string[]> {
    const keys: string[] = [];
    for await (const page of this.#pages(statements.readServiceKeys, [service], PAGE_ENTRIES)) {
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
        ? this.#pages(statements.readKeysOfService, params, PAGE_ENTRIES)
        : this.#pages(statements.readKeysOfServiceBefore, [...params, end], PAGE_ENTRIES);
    const keys: string[] = [];
    for await (const page of pages) {
      for (const row of page) if (row.key !== null) keys.push(row.key as string);
    }
    return keys;
  }

  async *#pages(
    query: string,
    params: readonly unknown[],
    fetchSize: number,
  ): AsyncGenerator<cassandra.types.Row[]> {
    let pageState: string | undefined;
    do {
      const page: cassandra.types.ResultSet = await this.#read(query, params, {
        fetchSize,
        ...(pageState === undefined ? {} : { pageState }),
      });
      if (page.rows.length > 0) yield page.rows;
      pageState = page.pageState ?? undefined;
    } while (pageState !== undefined);
  }

  async #read(
    query: string,
    params: readonly unknown[],
    options: cassandra.QueryOptions = {},
  ): Promise<cassandra.types.ResultSet> {
    try {
      return await this.#inFlight.run(() =>
        this.#open().execute(query, [...params], {
          prepare: true,
          consistency: this.#readConsistency,
          ...options,
        }),
      );
    } catch (error) {
      throw cassandraError(error, 'reading from Cassandra');
    }
  }

  async #write(query: string, params: readonly unknown[]): Promise<void> {
    try {
      await this.#inFlight.run(() => this.#send([{ query, params }], this.#stamps.nextMs()));
    } catch (error) {
      throw cassandraError(error, 'writing to Cassandra');
    }
  }

  /** One stamp for the whole call. What the server refuses for its values is narrowed down to single items. */
  async #writeUnits(units: readonly Unit[], signal?: AbortSignal): Promise<readonly Rejection[]> {
    signal?.throwIfAborted();
    const stampMs = this.#stamps.nextMs();
    const rejections = new Map<number, string>();
    const send = async (unit: Unit): Promise<void> => {
      try {
        await this.#send(unit.statements, stampMs, unit.routingKey);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        if (unit.statements.length === 1) {
          rejections.set(unit.indexes[0] as number, messageOf(error));
          return;
        }
        for (const half of halvesOf(unit)) await send(half);
      }
    };
    try {
      await this.#inFlight.forEach(units, send, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw cassandraError(error, 'writing to Cassandra');
    }
    return [...rejections].map(([index, message]) => ({ index, message }));
  }

  async #send(
    statements: readonly Statement[],
    timestamp: number,
    routingKey?: Buffer,
  ): Promise<void> {
    const client = this.#open();
    const options: cassandra.QueryOptions = {
      prepare: true,
      isIdempotent: true,
      timestamp,
      consistency: this.#writeConsistency,
      ...(routingKey === undefined ? {} : { routingKey }),
    };
    const [only] = statements;
    if (statements.length === 1 && only !== undefined) {
      await client.execute(only.query, [...only.params], options);
    } else {
      await client.batch(statements as { query: string; params: unknown[] }[], {
        ...options,
        logged: false,
      });
    }
  }

  #open(): cassandra.Client {
    if (this.#client === undefined) {
      throw cassandraError(new Error('not connected'), 'using Cassandra');
    }
    return this.#client;
  }
}

const unit = (index: number, query: string, params: readonly unknown[]): Unit => ({
  statements: [{ query, params }],
  indexes: [index],
});

/** Batches per row; of equal cells only the last is sent, because all get one stamp. */
function unitsOfCells(cells: readonly Cell[]): Unit[] {
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

function halvesOf(unit: Unit): Unit[] {
  const middle = unit.statements.length >> 1;
  const part = (from: number, to?: number): Unit => ({
    ...unit,
    statements: unit.statements.slice(from, to),
    indexes: unit.indexes.slice(from, to),
  });
  return [part(0, middle), part(middle)];
}

/** Parameters of the row's entry in `row_keys`, and of one entry per indexed tag in `tag_indexed_row_keys`. */
function rowKeyParams(
  { metric, rowTimeMs, type, tags }: RowKey,
  indexedTags: TagList,
): { readonly params: unknown[]; readonly tagged: unknown[][] } {
  const map = new Map(tags);
  const hash = tagCollectionHash(indexedTags);
  const row = [metric, TABLE_NAME, rowTimeMs];
  return {
    params: [...row, type, map],
    tagged: indexedTags.map((tag) => [...row, singleTagPair(tag), type, hash, map]),
  };
}
