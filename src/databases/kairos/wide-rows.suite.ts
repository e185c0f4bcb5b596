/**
 * What every WideRows owes, as tests: Cassandra and LMDB run this one suite. Names are fresh per test, so it may
 * run against a store that holds other things.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { batchOf } from './cell-batch.ts';
import { cellsOf } from './packed-cells.ts';
import { tagListOf } from './tag-string.ts';
import type { CellRange, Pages, StoredCell, WideRows } from './wide-rows.ts';

export interface WideRowsUnderTest {
  readonly rows: WideRows;
  /** Lets time to live run out. */
  passSeconds(seconds: number): Promise<void>;
  close(): Promise<void>;
}

export async function collect<T>(pages: Pages<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(...page);
  return all;
}

const column = (n: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
};
const cell = (key: Buffer, at: number, value: string, ttlSeconds = 0) => ({
  key,
  column: column(at),
  value: Buffer.from(value),
  ttlSeconds,
});
const plain = (cells: readonly StoredCell[]) =>
  cells.map(({ column, value }) => [column.readUInt32BE(0), value.toString()]);
const fresh = (name: string) => `${name} ${randomUUID()}`;
const T0 = 1_609_372_800_000;

export function wideRowsSuite(name: string, open: () => Promise<WideRowsUnderTest>): void {
  describe(`${name} keeps wide rows`, () => {
    let store: WideRowsUnderTest;
    let rows: WideRows;
    beforeAll(async () => {
      store = await open();
      rows = store.rows;
    });
    afterAll(() => store?.close());

    const read = async (key: Buffer, range: Omit<CellRange, 'key'> = {}) => {
      const cells = plain(await collect(rows.readCells({ key, ...range })));
      if (rows.cellPagesAtHand !== undefined) {
        const atHand: StoredCell[] = [];
        for (const page of rows.cellPagesAtHand({ key, ...range })) atHand.push(...cellsOf(page));
        expect(plain(atHand)).toEqual(cells);
      }
      return cells;
    };

    describe('cells', () => {
      test('come back in unsigned byte order, whatever order they were written in', async () => {
        const key = Buffer.from(fresh('order'));
        const columns = [0xffffffff, 3, 0, 0x80000000, 0x7fffffff];
        expect(await rows.writeCells(batchOf(columns.map((n) => cell(key, n, `${n}`))))).toEqual(
          [],
        );
        const sorted = [0, 3, 0x7fffffff, 0x80000000, 0xffffffff].map((n) => [n, `${n}`]);
        expect(await read(key)).toEqual(sorted);
        expect(await read(key, { order: 'descending' })).toEqual(sorted.reverse());
      });

      test('are sliced by bounds that both count', async () => {
        const key = Buffer.from(fresh('slice'));
        await rows.writeCells(batchOf([1, 2, 3, 4, 5].map((n) => cell(key, n, `${n}`))));
        const columnsOf = async (range: Omit<CellRange, 'key'>) =>
          (await read(key, range)).map(([n]) => n);
        expect(await columnsOf({ first: column(2), last: column(4) })).toEqual([2, 3, 4]);
        expect(await columnsOf({ first: column(4) })).toEqual([4, 5]);
        expect(await columnsOf({ last: column(2) })).toEqual([1, 2]);
        expect(await columnsOf({ first: column(6) })).toEqual([]);
        expect(await columnsOf({ first: column(3), last: column(2) })).toEqual([]);
        expect(await columnsOf({ first: column(2), last: column(4), order: 'descending' })).toEqual(
          [4, 3, 2],
        );
      });

      test('are limited from the end one reads from', async () => {
        const key = Buffer.from(fresh('limit'));
        await rows.writeCells(batchOf([1, 2, 3, 4, 5].map((n) => cell(key, n, `${n}`))));
        expect(await read(key, { limit: 2 })).toEqual([
          [1, '1'],
          [2, '2'],
        ]);
        expect(await read(key, { limit: 2, order: 'descending', last: column(4) })).toEqual([
          [4, '4'],
          [3, '3'],
        ]);
      });

      test.each(['ascending', 'descending'] as const)(
        'stream in pages, %s, without a gap or a repeat',
        async (order) => {
          const key = Buffer.from(fresh('pages'));
          const count = 1_003;
          await rows.writeCells(
            batchOf(Array.from({ length: count }, (_, n) => cell(key, n, `v${n}`))),
          );
          const pages: number[] = [];
          const seen: unknown[] = [];
          for await (const page of rows.readCells({ key, order, pageCells: 100 })) {
            pages.push(page.length);
            seen.push(...plain(page));
          }
          const expected = Array.from({ length: count }, (_, n) => [n, `v${n}`]);
          expect(seen).toEqual(order === 'ascending' ? expected : expected.reverse());
          expect(pages.length).toBeGreaterThanOrEqual(11);
          expect(Math.max(...pages)).toBeLessThanOrEqual(100);
        },
      );

      test('of a limit beyond one page are all there', async () => {
        const key = Buffer.from(fresh('limited pages'));
        await rows.writeCells(batchOf(Array.from({ length: 30 }, (_, n) => cell(key, n, `${n}`))));
        expect(await read(key, { limit: 25, pageCells: 10 })).toHaveLength(25);
      });

      test('may be left in the middle of reading', async () => {
        const key = Buffer.from(fresh('leave'));
        await rows.writeCells(batchOf(Array.from({ length: 30 }, (_, n) => cell(key, n, `${n}`))));
        for await (const page of rows.readCells({ key, pageCells: 10 })) {
          expect(page).toHaveLength(10);
          break;
        }
        expect(await read(key)).toHaveLength(30);
      });

      test('are overwritten by the later write, also within one call', async () => {
        const key = Buffer.from(fresh('overwrite'));
        await rows.writeCells(batchOf([cell(key, 1, 'zz first'), cell(key, 1, 'second')]));
        expect(await read(key)).toEqual([[1, 'second']]);
        // Cassandra decides between equal stamps by value, so a smaller value must come with a later one.
        for (const value of ['z', 'y', 'x', 'w', 'a'])
          await rows.writeCells(batchOf([cell(key, 1, value)]));
        expect(await read(key)).toEqual([[1, 'a']]);
      });

      test('may be empty, and may be 60,000 bytes', async () => {
        const key = Buffer.from(fresh('sizes'));
        const large = 'x'.repeat(60_000);
        await rows.writeCells(batchOf([cell(key, 1, ''), cell(key, 2, large)]));
        expect(await read(key)).toEqual([
          [1, ''],
          [2, large],
        ]);
      });

      test('of a row key of 65,535 bytes are kept apart from those of its neighbour', async () => {
        const stem = `${fresh('long')}${'k'.repeat(65_000)}`.padEnd(65_534, 'k');
        const [a, b] = [Buffer.from(`${stem}a`), Buffer.from(`${stem}b`)];
        await rows.writeCells(batchOf([cell(a, 1, 'a'), cell(b, 1, 'b')]));
        expect(await read(a)).toEqual([[1, 'a']]);
        expect(await read(b)).toEqual([[1, 'b']]);
        await rows.deleteRow(a);
        expect(await read(a)).toEqual([]);
        expect(await read(b)).toEqual([[1, 'b']]);
      });

      test('of a row key that begins another are kept apart', async () => {
        const stem = fresh('prefix');
        await rows.writeCells(
          batchOf([
            cell(Buffer.from(stem), 1, 'short'),
            cell(Buffer.from(`${stem}\0\0\0\u0001`), 2, 'long'),
          ]),
        );
        expect(await read(Buffer.from(stem))).toEqual([[1, 'short']]);
      });

      test('of many rows go in one call', async () => {
        const keys = Array.from({ length: 500 }, (_, n) => Buffer.from(fresh(`many ${n}`)));
        await rows.writeCells(
          batchOf(keys.flatMap((key, n) => [cell(key, n, `${n}`), cell(key, n + 1, `${n}`)])),
        );
        for (const n of [0, 250, 499]) {
          expect(await read(keys[n] as Buffer)).toEqual([
            [n, `${n}`],
            [n + 1, `${n}`],
          ]);
        }
      });

      test('live as long as they were given, and an overwrite decides anew', async () => {
        const key = Buffer.from(fresh('ttl'));
        await rows.writeCells(
          batchOf([
            cell(key, 1, 'short', 2),
            cell(key, 2, 'for ever'),
            cell(key, 3, 'short', 2),
            cell(key, 4, 'for ever'),
            cell(key, 5, 'long', 3_600),
          ]),
        );
        await rows.writeCells(batchOf([cell(key, 3, 'renewed'), cell(key, 4, 'now short', 2)]));
        expect(await read(key)).toHaveLength(5);
        await store.passSeconds(3);
        const left = [
          [2, 'for ever'],
          [3, 'renewed'],
          [5, 'long'],
        ];
        expect(await read(key)).toEqual(left);
        expect(await read(key, { order: 'descending' })).toEqual([...left].reverse());
        expect(await read(key, { limit: 2 })).toEqual(left.slice(0, 2));
      });

      test('are deleted by range, both bounds included, and can be written again at once', async () => {
        const key = Buffer.from(fresh('delete'));
        await rows.writeCells(batchOf([1, 2, 3, 4, 5].map((n) => cell(key, n, `${n}`))));
        await rows.deleteCells({ key, first: column(2), last: column(4) });
        expect(await read(key)).toEqual([
          [1, '1'],
          [5, '5'],
        ]);
        await rows.writeCells(batchOf([cell(key, 3, 'again')]));
        expect(await read(key)).toContainEqual([3, 'again']);
        await rows.deleteCells({ key, last: column(1) });
        await rows.deleteCells({ key, first: column(5) });
        expect(await read(key)).toEqual([[3, 'again']]);
      });

      test('are deleted with their row, and can be written again at once', async () => {
        const key = Buffer.from(fresh('delete row'));
        for (let round = 0; round < 5; round++) {
          await rows.writeCells(batchOf([cell(key, 1, `${round}`), cell(key, 2, `${round}`)]));
          expect(await read(key)).toHaveLength(2);
          await rows.deleteRow(key);
          expect(await read(key)).toEqual([]);
        }
        await rows.writeCells(batchOf([cell(key, 7, 'anew')]));
        expect(await read(key)).toEqual([[7, 'anew']]);
      });

      test('of a row that is not there are none', async () => {
        const key = Buffer.from(fresh('absent'));
        expect(await read(key)).toEqual([]);
        await rows.deleteRow(key);
        await rows.deleteCells({ key, first: column(1) });
      });

      test('are not written once the signal is aborted', async () => {
        const key = Buffer.from(fresh('abort'));
        await expect(
          rows.writeCells(batchOf([cell(key, 1, 'x')]), AbortSignal.abort()),
        ).rejects.toThrow();
        expect(await read(key)).toEqual([]);
      });
    });

    describe('row keys', () => {
      const rowOf = (metric: string, tags: Record<string, string>, type = 'kairos_long') => ({
        metric,
        rowTimeMs: T0,
        type,
        tags: tagListOf(tags),
      });
      const write = (row: ReturnType<typeof rowOf>, ttlSeconds = 0) =>
        rows.writeRowKeys([{ row, indexedTags: [], ttlSeconds }]);

      test('are found by metric and row time, with their type and tags', async () => {
        const metric = fresh('metric');
        const written = [
          rowOf(metric, { host: 'a', dc: 'eu' }),
          rowOf(metric, { host: 'a', dc: 'eu' }, 'kairos_double'),
          rowOf(metric, { host: 'b' }),
          rowOf(metric, {}),
          rowOf(metric, { 'k:1=x': 'v=1:y', 10: 'ten', 9: 'nine', '～': '1', '😀': '' }),
          rowOf(metric, { nul: 'a\0b', long: 'x'.repeat(5_000) }),
          rowOf(metric, { long: `${'x'.repeat(5_000)}y` }),
        ];
        expect(
          await rows.writeRowKeys(written.map((row) => ({ row, indexedTags: [], ttlSeconds: 0 }))),
        ).toEqual([]);
        const found = await collect(rows.rowKeys(metric, T0));
        expect(found).toHaveLength(written.length);
        expect(found).toEqual(expect.arrayContaining(written));
        expect(await collect(rows.rowKeys(metric, T0 + 1))).toEqual([]);
        expect(await collect(rows.rowKeys(`${metric}x`, T0))).toEqual([]);
        for (const row of written) expect(await rows.hasRowKey(row)).toBe(true);
        expect(await rows.hasRowKey(rowOf(metric, { host: 'c' }))).toBe(false);
      });

      test('are written twice without harm, and deleted alone', async () => {
        const metric = fresh('twice');
        const [a, b] = [rowOf(metric, { host: 'a' }), rowOf(metric, { host: 'b' })];
        for (const row of [a, b, a]) await write(row);
        expect(await collect(rows.rowKeys(metric, T0))).toHaveLength(2);
        await rows.deleteRowKey(a, []);
        expect(await collect(rows.rowKeys(metric, T0))).toEqual([b]);
        expect(await rows.hasRowKey(a)).toBe(false);
        await rows.deleteRowKey(b, []);
        expect(await collect(rows.rowKeys(metric, T0))).toEqual([]);
        await write(a);
        expect(await collect(rows.rowKeys(metric, T0))).toEqual([a]);
      });

      test('are there for negative and for far row times', async () => {
        const metric = fresh('far');
        for (const rowTimeMs of [-2, -62_135_596_800_000, 253_401_004_800_000]) {
          const row = { ...rowOf(metric, { h: 'a' }), rowTimeMs };
          await write(row);
          expect(await collect(rows.rowKeys(metric, rowTimeMs))).toEqual([row]);
        }
      });

      test('live as long as they were given, and a refresh decides anew', async () => {
        const metric = fresh('ttl');
        const [a, b] = [rowOf(metric, { host: 'a' }), rowOf(metric, { host: 'b' })];
        await write(a, 2);
        await write(b, 2);
        await write(b);
        expect(await collect(rows.rowKeys(metric, T0))).toHaveLength(2);
        await store.passSeconds(3);
        expect(await collect(rows.rowKeys(metric, T0))).toEqual([b]);
        expect(await rows.hasRowKey(a)).toBe(false);
      });

      test('are found by an indexed tag, and by no other', async () => {
        const metric = fresh('tagged');
        const a = rowOf(metric, { host: 'a', dc: 'eu', owner: 'me' });
        const b = rowOf(metric, { host: 'b', dc: 'eu', owner: 'me' });
        const indexed = (row: typeof a) => row.tags.filter(([name]) => name !== 'owner');
        await rows.writeRowKeys(
          [a, b].map((row) => ({ row, indexedTags: indexed(row), ttlSeconds: 0 })),
        );
        const withTag = (tag: [string, string]) => collect(rows.rowKeysWithTag(metric, T0, tag));
        const both = await withTag(['dc', 'eu']);
        expect(both).toHaveLength(2);
        expect(both).toEqual(expect.arrayContaining([a, b]));
        expect(await withTag(['host', 'b'])).toEqual([b]);
        expect(await withTag(['owner', 'me'])).toEqual([]);
        expect(await withTag(['host', 'c'])).toEqual([]);
        await rows.deleteRowKey(a, indexed(a));
        expect(await withTag(['dc', 'eu'])).toEqual([b]);
        expect(await collect(rows.rowKeys(metric, T0))).toEqual([b]);
      });
    });

    describe('row times', () => {
      test('are listed ascending, both bounds included, negative ones first', async () => {
        const metric = fresh('times');
        const times = [T0, 0, -2, -1_814_400_000, 1_814_400_000];
        await rows.writeRowTimes(times.map((rowTimeMs) => ({ metric, rowTimeMs, ttlSeconds: 0 })));
        const list = (first: number, last: number) => collect(rows.rowTimes(metric, first, last));
        expect(await list(-2e12, 2e12)).toEqual([-1_814_400_000, -2, 0, 1_814_400_000, T0]);
        expect(await list(-2, 0)).toEqual([-2, 0]);
        expect(await list(1, 2)).toEqual([]);
        expect(await collect(rows.rowTimes(fresh('none'), -2e12, 2e12))).toEqual([]);
        expect(await rows.hasRowTime(metric, -2)).toBe(true);
        await rows.deleteRowTime(metric, -2);
        expect(await rows.hasRowTime(metric, -2)).toBe(false);
        expect(await list(-2, 0)).toEqual([0]);
      });

      test('live as long as they were given', async () => {
        const metric = fresh('times ttl');
        await rows.writeRowTimes([
          { metric, rowTimeMs: 0, ttlSeconds: 2 },
          { metric, rowTimeMs: T0, ttlSeconds: 0 },
        ]);
        expect(await rows.hasRowTime(metric, 0)).toBe(true);
        await store.passSeconds(3);
        expect(await rows.hasRowTime(metric, 0)).toBe(false);
        expect(await collect(rows.rowTimes(metric, 0, T0))).toEqual([T0]);
      });
    });

    describe('metric names', () => {
      test('are listed in UTF-8 order, by prefix', async () => {
        const stem = fresh('names');
        const long = 'n'.repeat(3_000);
        const names = ['.b', '.a', '', '.é', '.～', '.😀', `.${long}2`, `.${long}1`].map(
          (end) => stem + end,
        );
        await rows.writeMetricNames([...names, `${stem.slice(0, -1)}\u{10ffff}`]);
        const list = (prefix?: string) => collect(rows.metricNames(prefix));
        const inOrder = ['', '.a', '.b', `.${long}1`, `.${long}2`, '.é', '.～', '.😀'].map(
          (end) => stem + end,
        );
        const listed = await list(stem);
        expect([...listed].sort()).toEqual([...inOrder].sort());
        expect(listed.filter((name) => name.length < 1_000)).toEqual(
          inOrder.filter((name) => name.length < 1_000),
        );
        expect(await list(`${stem}.a`)).toEqual([`${stem}.a`]);
        expect(await list(`${stem}.${long}1`)).toEqual([`${stem}.${long}1`]);
        expect(await list(`${stem}.zz`)).toEqual([]);
        expect(await list()).toEqual(expect.arrayContaining(inOrder));
        expect(await list('')).toEqual(expect.arrayContaining(inOrder));
        await rows.deleteMetricName(`${stem}.a`);
        expect(await list(`${stem}.a`)).toEqual([]);
        await rows.writeMetricNames([`${stem}.a`]);
        expect(await list(`${stem}.a`)).toEqual([`${stem}.a`]);
      });
    });

    test('legacy row keys of a metric that never had any are none', async () => {
      const metric = fresh('legacy');
      await rows.deleteLegacyRowKey(metric, Buffer.from('key'));
      await rows.deleteLegacyRowKeys(metric);
      const found = rows.legacyRowKeys(metric, Buffer.alloc(1), Buffer.from([0xff]));
      expect(await collect(found)).toEqual([]);
    });

    test('the spec keeps names and values', async () => {
      const name = fresh('setting');
      expect((await rows.readSpec()).has(name)).toBe(false);
      await rows.writeSpec(name, '1');
      await rows.writeSpec(name, '0');
      expect((await rows.readSpec()).get(name)).toBe('0');
    });

    describe('service values', () => {
      test('are written, read with their time, overwritten and deleted', async () => {
        const service = fresh('service');
        expect(await rows.readServiceValue(service, 'sk', 'a')).toBeUndefined();
        await rows.writeServiceValue(service, 'sk', 'a', 'z first');
        const first = await rows.readServiceValue(service, 'sk', 'a');
        expect(first?.value).toBe('z first');
        await rows.writeServiceValue(service, 'sk', 'a', 'second');
        const second = await rows.readServiceValue(service, 'sk', 'a');
        expect(second?.value).toBe('second');
        expect(second?.writtenAtMs).toBeGreaterThanOrEqual(first?.writtenAtMs as number);
        await rows.deleteServiceValue(service, 'sk', 'a');
        expect(await rows.readServiceValue(service, 'sk', 'a')).toBeUndefined();
        await rows.writeServiceValue(service, 'sk', 'a', 'third');
        expect((await rows.readServiceValue(service, 'sk', 'a'))?.value).toBe('third');
      });

      test('are replaced only when they are what was expected, by one of many', async () => {
        const service = fresh('swap');
        const swap = (expected: string | undefined, value: string | undefined) =>
          rows.replaceServiceValue(service, 'sk', 'a', { expected, value });
        expect(await swap('other', 'x')).toBe(false);
        expect(await swap(undefined, 'first')).toBe(true);
        expect(await swap(undefined, 'second')).toBe(false);
        const raced = await Promise.all([1, 2, 3, 4].map((i) => swap('first', `winner ${i}`)));
        expect(raced.filter((won) => won)).toHaveLength(1);
        const winner = `winner ${raced.indexOf(true) + 1}`;
        expect((await rows.readServiceValue(service, 'sk', 'a'))?.value).toBe(winner);
        expect(await swap('first', undefined)).toBe(false);
        expect(await swap(winner, undefined)).toBe(true);
        expect(await rows.readServiceValue(service, 'sk', 'a')).toBeUndefined();
        expect(await swap(undefined, undefined)).toBe(true);
        expect(await swap(undefined, 'again')).toBe(true);
      });

      test('are listed by key and prefix, and a service key outlives its last key', async () => {
        const service = fresh('list');
        for (const key of ['b', 'a1', 'a2', 'é'])
          await rows.writeServiceValue(service, 'sk', key, '');
        await rows.writeServiceValue(service, 'sk2', 'x', '1');
        expect(await rows.keysOfService(service, 'sk')).toEqual(['a1', 'a2', 'b', 'é']);
        expect(await rows.keysOfService(service, 'sk', 'a')).toEqual(['a1', 'a2']);
        expect(await rows.keysOfService(service, 'none')).toEqual([]);
        expect([...(await rows.serviceKeys(service))].sort()).toEqual([
          'sk',
          'sk',
          'sk',
          'sk',
          'sk2',
        ]);
        await rows.deleteServiceValue(service, 'sk2', 'x');
        expect(await rows.keysOfService(service, 'sk2')).toEqual([]);
        expect([...(await rows.serviceKeys(service))].sort()).toEqual([
          'sk',
          'sk',
          'sk',
          'sk',
          'sk2',
        ]);
        expect(await rows.serviceKeys(fresh('none'))).toEqual([]);
      });
    });

    test('connecting again and checking change nothing', async () => {
      await rows.connect();
      await rows.check();
    });
  });
}
