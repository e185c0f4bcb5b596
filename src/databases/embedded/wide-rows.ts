/**
 * The embedded store: KairosDB's rows in LMDB, under `store/` of the data directory, so that nothing but a disk is
 * needed. A write is on the disk when it resolves. Keys, columns and values are byte for byte those of Cassandra's
 * `data_points`; the layout beneath is drawn in cells.ts and index-table.ts.
 */

import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { Rejection } from '../../delivery/index.ts';
import { FatalError, messageOf, minutes, RetriableError } from '../../model/index.ts';
import {
  type Clock,
  makeDirectory,
  mapBytes,
  systemClock,
  threadTurns,
} from '../../runtime/index.ts';
import type { CellBatch } from '../kairos/cell-batch.ts';
import { COLUMN_MAX } from '../kairos/column.ts';
import { Gate } from '../kairos/gate.ts';
import { unpacked } from '../kairos/packed-cells.ts';
import type { RowKey } from '../kairos/row-key.ts';
import { singleTagPair, tagCollectionHash } from '../kairos/tag-hash.ts';
import { formatTags, type TagList } from '../kairos/tag-string.ts';
import type {
  CellPage,
  CellRange,
  Pages,
  RowKeyEntry,
  RowTimeEntry,
  ServiceValue,
  StoredCell,
  WideRows,
} from '../kairos/wide-rows.ts';
import { CellTable } from './cells.ts';
import { IndexTable, indexKey } from './index-table.ts';
import { behind, prefixKey, textKey, timeKey } from './keys.ts';
import type { StoredRow } from './known-rows.ts';
import { RowKeyScan } from './row-key-scan.ts';

export interface EmbeddedWideRowsOptions {
  /** The data directory; the store makes and owns `store/` in it. */
  readonly dataDirectory: string;
  readonly clock?: Clock;
}

const SWEEP_INTERVAL_MS = minutes(1);
/** Entries removed in one transaction of a sweep, so that writers wait at most a few milliseconds. */
const SWEEP_ENTRIES = 2_000;
/** Row keys queued before the event loop gets its turn: some 2 ms. */
const QUEUE_ROW_KEYS = 100;
const PAGE_CELLS = 5_000;
const PAGE_ENTRIES = 1_000;

export function embeddedWideRows(options: EmbeddedWideRowsOptions): WideRows {
  return new EmbeddedWideRows(options);
}

interface Opened {
  readonly root: RootDatabase;
  readonly cells: CellTable;
  readonly index: IndexTable;
  readonly rowKeys: RowKeyScan;
  readonly stopSweeping: () => void;
}

class EmbeddedWideRows implements WideRows {
  readonly kind = 'embedded';
  readonly #directory: string;
  readonly #clock: Clock;
  #opened: Opened | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  /** Cells are written under ids of rows: no row goes meanwhile. */
  readonly #gate = new Gate();

  constructor({ dataDirectory, clock = systemClock }: EmbeddedWideRowsOptions) {
    this.#directory = join(dataDirectory, 'store');
    this.#clock = clock;
  }

  async connect(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#opened !== undefined) return;
    let root: RootDatabase;
    try {
      makeDirectory(this.#directory);
      root = open({
        path: this.#directory,
        noSubdir: false,
        maxDbs: 8,
        mapSize: mapBytes,
        // A commit then resolves once it is on the disk, not before.
        overlappingSync: false,
      });
    } catch (error) {
      throw new FatalError(
        `can't open the store in ${this.#directory}: ${messageOf(error)}; the directory must be writable`,
        { code: 'STORE_UNUSABLE', cause: error },
      );
    }
    this.#opened = {
      root,
      cells: new CellTable(root),
      index: new IndexTable(root),
      rowKeys: new RowKeyScan(root),
      stopSweeping: this.#clock.every(SWEEP_INTERVAL_MS, () => {
        this.#sweeping = this.#sweeping.then(() => this.#sweep()).catch(() => {});
      }),
    };
  }

  async check(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { root } = this.#open();
    await this.#write(() => root.getStats());
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    opened.stopSweeping();
    this.#opened = undefined;
    await this.#sweeping;
    await opened.root.close();
  }

  async writeCells(batch: CellBatch, signal?: AbortSignal): Promise<readonly Rejection[]> {
    signal?.throwIfAborted();
    if (batch.count === 0) return [];
    const opened = this.#open();
    await this.#gate.write(() => this.#stored(() => opened.cells.write(batch, this.#clock.now())));
    return [];
  }

  readCells(range: CellRange): Pages<StoredCell> {
    return unpacked(this.readCellPages(range));
  }

  async *readCellPages(range: CellRange): AsyncGenerator<CellPage> {
    for (const { bytes, count } of this.cellPagesAtHand(range))
      yield { bytes: Buffer.from(bytes), count };
  }

  *cellPagesAtHand(range: CellRange): Generator<CellPage> {
    const { pageCells = PAGE_CELLS, order } = range;
    const isDescending = order === 'descending';
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    let first = range.first?.readUInt32BE(0) ?? 0;
    let last = range.last?.readUInt32BE(0) ?? COLUMN_MAX;
    while (left > 0 && first <= last) {
      const wanted = Math.min(left, pageCells);
      const columns = { first, last, isDescending };
      const page = this.#open().cells.readPage(range, columns, wanted, this.#clock.now());
      const { count, lastColumn } = page;
      if (count > 0) yield page;
      if (count < wanted) return;
      left -= count;
      if (isDescending) last = lastColumn - 1;
      else first = lastColumn + 1;
    }
  }

  deleteCells(range: Pick<CellRange, 'key' | 'first' | 'last'>): Promise<void> {
    return this.#gate.delete(() => this.#write(({ cells }) => cells.delete(range)));
  }

  deleteRow(key: Buffer): Promise<void> {
    return this.deleteCells({ key });
  }

  async writeRowKeys(
    entries: readonly RowKeyEntry[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const written: Promise<void>[] = [];
    for (let from = 0; from < entries.length; from += QUEUE_ROW_KEYS) {
      if (from > 0) await threadTurns.next();
      signal?.throwIfAborted();
      const part = entries.slice(from, from + QUEUE_ROW_KEYS);
      const queued = this.#queue(({ root, index }) => {
        const nowMs = this.#clock.now();
        // Another process may have taken entries away that this one still sees.
        root.resetReadTxn();
        for (const { row, indexedTags, ttlSeconds } of part) {
          const stored: StoredRow = [row.metric, row.rowTimeMs, row.type, row.tags];
          for (const key of [keyOfRow(row), ...tagKeysOf(row, indexedTags)]) {
            // Written again every few minutes (row-index.ts), most are there; looking costs half of writing, and no disk.
            if (ttlSeconds === 0 && index.isForEver(key)) continue;
            index.put(key, stored, ttlSeconds, nowMs);
          }
        }
      });
      written.push(queued);
      queued.catch(() => {});
    }
    await Promise.all(written);
    return [];
  }

  async hasRowKey(row: RowKey): Promise<boolean> {
    return this.#open().index.get(keyOfRow(row), this.#clock.now()) !== undefined;
  }

  rowKeys(metric: string, rowTimeMs: number): Pages<RowKey> {
    return this.#rowKeysFrom(indexKey('K', textKey(metric), timeKey(rowTimeMs)));
  }

  rowKeysWithTag(
    metric: string,
    rowTimeMs: number,
    tag: readonly [name: string, value: string],
  ): Pages<RowKey> {
    const pair = textKey(singleTagPair(tag));
    return this.#rowKeysFrom(indexKey('G', textKey(metric), timeKey(rowTimeMs), pair));
  }

  async *#rowKeysFrom(stem: Buffer): AsyncGenerator<readonly RowKey[]> {
    const { rowKeys } = this.#open();
    yield* rowKeys.pagesOf(stem, PAGE_ENTRIES, () => this.#clock.now());
  }

  deleteRowKey(row: RowKey, indexedTags: TagList): Promise<void> {
    return this.#write(({ index }) => {
      index.remove(keyOfRow(row));
      for (const key of tagKeysOf(row, indexedTags)) index.remove(key);
    });
  }

  async writeRowTimes(
    entries: readonly RowTimeEntry[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    signal?.throwIfAborted();
    await this.#queue(({ index }) => {
      const nowMs = this.#clock.now();
      for (const { metric, rowTimeMs, ttlSeconds } of entries) {
        index.put(keyOfRowTime(metric, rowTimeMs), rowTimeMs, ttlSeconds, nowMs);
      }
    });
    return [];
  }

  async hasRowTime(metric: string, rowTimeMs: number): Promise<boolean> {
    const key = keyOfRowTime(metric, rowTimeMs);
    return this.#open().index.get(key, this.#clock.now()) !== undefined;
  }

  async *rowTimes(
    metric: string,
    firstMs: number,
    lastMs: number,
  ): AsyncGenerator<readonly number[]> {
    const end = keyOfRowTime(metric, lastMs + 1);
    let next = firstMs;
    while (next <= lastMs) {
      const start = keyOfRowTime(metric, next);
      const page = this.#open().index.page(start, end, PAGE_ENTRIES, this.#clock.now());
      const times = page.map(([, time]) => time as number);
      if (times.length > 0) yield times;
      if (times.length < PAGE_ENTRIES) return;
      next = (times.at(-1) as number) + 1;
    }
  }

  deleteRowTime(metric: string, rowTimeMs: number): Promise<void> {
    return this.#write(({ index }) => index.remove(keyOfRowTime(metric, rowTimeMs)));
  }

  async *legacyRowKeys(): AsyncGenerator<readonly Buffer[]> {}

  async deleteLegacyRowKey(): Promise<void> {}

  async deleteLegacyRowKeys(): Promise<void> {}

  async writeMetricNames(
    metrics: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    signal?.throwIfAborted();
    await this.#queue(({ index }) => {
      for (const metric of metrics) index.put(indexKey('N', textKey(metric)), metric, 0, 0);
    });
    return [];
  }

  async *metricNames(prefix = ''): AsyncGenerator<readonly string[]> {
    const stem = indexKey('N', prefixKey(prefix));
    const { index } = this.#open();
    for (const page of index.pagesOf(stem, PAGE_ENTRIES, () => this.#clock.now())) {
      const names = (page as string[]).filter((name) => name.startsWith(prefix));
      if (names.length > 0) yield names;
    }
  }

  deleteMetricName(metric: string): Promise<void> {
    return this.#write(({ index }) => index.remove(indexKey('N', textKey(metric))));
  }

  async readSpec(): Promise<ReadonlyMap<string, string>> {
    const { index } = this.#open();
    const stem = Buffer.from('S');
    const page = index.page(stem, behind(stem), PAGE_ENTRIES, this.#clock.now());
    return new Map(page.map(([, entry]) => entry as [string, string]));
  }

  writeSpec(name: string, value: string): Promise<void> {
    return this.#write(({ index }) => index.put(indexKey('S', textKey(name)), [name, value], 0, 0));
  }

  writeServiceValue(
    service: string,
    serviceKey: string,
    key: string,
    value: string,
  ): Promise<void> {
    return this.#write(({ index }) => {
      const entry = [key, value, this.#clock.now()];
      index.put(keyOfService('V', service, serviceKey, key), entry, 0, 0);
      index.put(keyOfService('P', service, serviceKey), serviceKey, 0, 0);
    });
  }

  async readServiceValue(
    service: string,
    serviceKey: string,
    key: string,
  ): Promise<ServiceValue | undefined> {
    const found = this.#open().index.get(keyOfService('V', service, serviceKey, key), 0);
    if (found === undefined) return undefined;
    const [, value, writtenAtMs] = found as [string, string, number];
    return { value, writtenAtMs };
  }

  replaceServiceValue(
    service: string,
    serviceKey: string,
    key: string,
    {
      expected,
      value,
    }: { readonly expected: string | undefined; readonly value: string | undefined },
  ): Promise<boolean> {
    return this.#write(({ index }) => {
      const place = keyOfService('V', service, serviceKey, key);
      const [, found] = (index.get(place, 0) ?? []) as [string?, string?];
      if (found !== expected) return false;
      if (value === undefined) index.remove(place);
      else index.put(place, [key, value, this.#clock.now()], 0, 0);
      return true;
    });
  }

  deleteServiceValue(service: string, serviceKey: string, key: string): Promise<void> {
    return this.#write(({ index }) => {
      index.remove(keyOfService('V', service, serviceKey, key));
      index.put(keyOfService('P', service, serviceKey), serviceKey, 0, 0);
    });
  }

  async serviceKeys(service: string): Promise<readonly string[]> {
    const listed: string[] = [];
    const { index } = this.#open();
    for (const page of index.pagesOf(keyOfService('P', service), PAGE_ENTRIES, () => 0)) {
      for (const serviceKey of page as string[]) {
        const keys = await this.keysOfService(service, serviceKey);
        for (let i = 0; i < Math.max(1, keys.length); i++) listed.push(serviceKey);
      }
    }
    return listed;
  }

  async keysOfService(
    service: string,
    serviceKey: string,
    prefix = '',
  ): Promise<readonly string[]> {
    const keys: string[] = [];
    const stem = Buffer.concat([keyOfService('V', service, serviceKey), prefixKey(prefix)]);
    for (const page of this.#open().index.pagesOf(stem, PAGE_ENTRIES, () => 0)) {
      for (const [key] of page as [string][]) if (key.startsWith(prefix)) keys.push(key);
    }
    return keys;
  }

  async #sweep(): Promise<void> {
    for (;;) {
      const nowMs = this.#clock.now();
      const { cells, index } = this.#opened ?? {};
      if (!(cells?.hasExpired(nowMs) || index?.hasExpired(nowMs))) return;
      await this.#gate.delete(() =>
        this.#write((opened) => {
          opened.cells.sweep(nowMs, SWEEP_ENTRIES);
          opened.index.sweep(nowMs, SWEEP_ENTRIES);
        }),
      );
    }
  }

  #open(): Opened {
    if (this.#opened === undefined) {
      throw new RetriableError('the embedded store is not open: connect first', {
        code: 'SINK_UNREACHABLE',
      });
    }
    return this.#opened;
  }

  /**
   * One transaction, in which `action` may read; it holds the event loop. On the disk when it resolves. A child of
   * LMDB's: of a plain one what was done before something threw would stay.
   */
  #write<T>(action: (opened: Opened) => T): Promise<T> {
    const opened = this.#open();
    return this.#stored(() => opened.root.childTransaction(() => action(opened)));
  }

  /** One transaction of the writes that `action` queues; LMDB's own thread does them. On the disk when it resolves. */
  async #queue(action: (opened: Opened) => void): Promise<void> {
    const opened = this.#open();
    await this.#stored(() => opened.root.batch(() => action(opened)));
  }

  async #stored<T>(write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      throw new RetriableError(
        `the store in ${this.#directory} took no write: ${messageOf(error)}; is the disk full?`,
        { code: 'STORE_WRITE_FAILED', cause: error },
      );
    }
  }
}

const keyOfRow = (row: RowKey): Buffer =>
  indexKey(
    'K',
    textKey(row.metric),
    timeKey(row.rowTimeMs),
    textKey(row.type),
    textKey(formatTags(row.tags)),
  );

const keyOfRowTime = (metric: string, rowTimeMs: number): Buffer =>
  indexKey('T', textKey(metric), timeKey(rowTimeMs));

const keyOfService = (letter: 'V' | 'P', ...parts: readonly string[]): Buffer =>
  indexKey(letter, ...parts.map(textKey));

/** One key per indexed tag, ordered as the table's clustering: type, hash, tags. */
function tagKeysOf(row: RowKey, indexedTags: TagList): Buffer[] {
  const hash = Buffer.allocUnsafe(4);
  hash.writeUInt32BE((tagCollectionHash(indexedTags) ^ 0x80000000) >>> 0);
  return indexedTags.map((tag) =>
    indexKey(
      'G',
      textKey(row.metric),
      timeKey(row.rowTimeMs),
      textKey(singleTagPair(tag)),
      textKey(row.type),
      hash,
      textKey(formatTags(row.tags)),
    ),
  );
}
