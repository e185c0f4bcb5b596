/** The cell cache on a real Cassandra: the answers that a KairosDB recorded, and what is written and deleted meanwhile. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  batchOf,
  type CassandraConfig,
  cassandraWideRows,
  encodeColumn,
  encodeRowKey,
  KairosStore,
  type RowTimeUnit,
  setupKairos,
  tagListOf,
  valueAt,
} from '../../src/databases/kairos/index.ts';
import { systemClock } from '../../src/runtime/index.ts';
import { kairosQuerySuite } from '../golden/kairos-query/suite.ts';
import { dropKeyspace } from '../support/cassandra.ts';
import { needs } from '../support/require.ts';

const here = needs(['CASSANDRA_HOSTS', 'CASSANDRA_DC']);
const keyspaceOf = (name: string): CassandraConfig => ({
  hosts: (process.env.CASSANDRA_HOSTS ?? '').split(','),
  datacenter: process.env.CASSANDRA_DC ?? '',
  keyspace: `tidemark_test_${Date.now().toString(36)}_${name}`,
});
const MAX_AGE_MS = 3_600_000;
const cellCache = { bytesMax: 8 * 1_024 ** 2, maxAgeMs: MAX_AGE_MS, settledMs: 60_000 };
const BEGIN = Date.UTC(2026, 0, 5);
const MINUTE_MS = 60_000;

describe.skipIf(!here)('with a cell cache on Cassandra', () => {
  describe('recorded requests', () => {
    kairosQuerySuite(
      async () => {
        const config = keyspaceOf('cached_query');
        await setupKairos(config);
        const rows = cassandraWideRows({ config: { ...config, cellCache } });
        return {
          rows,
          async close() {
            await rows.close();
            await dropKeyspace(config);
          },
        };
      },
      (topic) => topic === 'group-by' || topic === 'selection',
    );
  });

  describe('a store', () => {
    const config = keyspaceOf('cached');
    /** How far the readers' clock is ahead. */
    let aheadMs = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
    const opened: KairosStore[] = [];
    const open = async (isCached: boolean) => {
      const rows = cassandraWideRows({
        config: isCached ? { ...config, cellCache } : config,
        clock,
      });
      const store = new KairosStore({ rows });
      opened.push(store);
      await store.connect();
      return store;
    };
    beforeAll(() => setupKairos(config));
    afterAll(async () => {
      for (const store of opened) await store.close();
      await dropKeyspace(config);
    });

    /** Of the stores that are opened from now on. */
    async function encodeIn(unit: RowTimeUnit): Promise<void> {
      const rows = cassandraWideRows({ config });
      await rows.connect();
      await rows.writeSpec('row_time_unit', unit);
      await rows.writeSpec('row_width', unit === 'SECONDS' ? '1814400' : '1814400000');
      await rows.close();
    }

    const rangesOf = (minutes: number) => [
      { fromMs: BEGIN, toMs: BEGIN + minutes * MINUTE_MS },
      { fromMs: BEGIN + 70 * MINUTE_MS, toMs: BEGIN + 110 * MINUTE_MS, pagePoints: 7 },
      { fromMs: BEGIN + 90.5 * MINUTE_MS, toMs: BEGIN + 2 * minutes * MINUTE_MS, pagePoints: 50 },
      { fromMs: BEGIN, toMs: Number.POSITIVE_INFINITY, limit: 33 },
      { fromMs: BEGIN, toMs: Number.POSITIVE_INFINITY, order: 'descending' as const, limit: 33 },
      { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY },
    ];
    async function everything(store: KairosStore, metric: string): Promise<unknown[]> {
      const seen: unknown[] = [];
      const all = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
      for await (const page of store.findRows({ metric, ...all })) {
        for (const found of page) {
          for (const range of rangesOf(100)) {
            const points: unknown[] = [];
            for await (const each of store.readRow(found, { ...range, mayBeCached: true })) {
              for (const [i, time] of each.times.entries())
                points.push([time, each.numbers[i], valueAt(each, i)]);
            }
            seen.push([found.row.type, found.row.rowTimeMs, range, points]);
          }
        }
      }
      return seen.sort((a, b) => (String(a) < String(b) ? -1 : 1));
    }

    test.each<[RowTimeUnit, number]>([
      ['MILLISECONDS', 1],
      ['LEGACY', 2],
      ['SECONDS', 0.001],
    ])('in %s reads every type of value alike', async (unit, columnsPerMs) => {
      await encodeIn(unit);
      const [plain, cached] = [await open(false), await open(true)];
      const metric = `types.${unit.toLowerCase()}`;
      const values = (i: number) => [
        BigInt(i * i) - 50n,
        2n ** 62n + BigInt(i),
        i / 8,
        `${'text '.repeat(i % 5)}é${i}`,
      ];
      const points = Array.from({ length: 400 }, (_, i) =>
        values(i).map((value, kind) => ({
          metric,
          tags: { kind: String(kind) },
          timestampMs: BEGIN + i * MINUTE_MS + ((i * 7_919) % 20_000),
          value,
        })),
      ).flat();
      expect(await plain.write(points)).toEqual([]);
      // As a KairosDB before 0.9.4 left them: longs without leading zeros, and floats where the low bit says so.
      const row = {
        metric,
        rowTimeMs: BEGIN - (BEGIN % plain.spec.rowModulusMs),
        type: 'kairos_legacy',
        tags: tagListOf({ kind: 'legacy' }),
      };
      const key = encodeRowKey(row);
      const offset = (i: number) => BEGIN + i * 1_000 - row.rowTimeMs;
      await plain.rows.writeRowKeys([{ row, indexedTags: [], ttlSeconds: 0 }]);
      const isFloat = (i: number) => unit === 'LEGACY' && i % 3 === 0;
      const cells = Array.from({ length: 100 }, (_, i) => ({
        key,
        column: encodeColumn(Math.trunc(offset(i) * columnsPerMs) + (isFloat(i) ? 1 : 0)),
        value: Buffer.from(isFloat(i) ? '01412c0000' : i % 2 === 0 ? '' : '0123', 'hex'),
        ttlSeconds: 0,
      }));
      expect(await plain.rows.writeCells(batchOf(cells))).toEqual([]);
      const expected = await everything(plain, metric);
      expect(expected.length).toBeGreaterThanOrEqual(5 * rangesOf(0).length);
      for (let i = 0; i < 2; i++) expect(await everything(cached, metric)).toEqual(expected);
    });

    test('reads what is new of many series together', async () => {
      await encodeIn('MILLISECONDS');
      const [plain, cached] = [await open(false), await open(true)];
      const metric = 'many';
      const minutes = (from: number, to: number) =>
        Array.from({ length: 60 * (to - from) }, (_, n) => ({
          metric,
          tags: { host: `host-${n % 60}` },
          timestampMs: BEGIN + (from + Math.floor(n / 60)) * MINUTE_MS + (n % 60),
          value: n / 8,
        }));
      expect(await plain.write(minutes(0, 40))).toEqual([]);
      const read = async (store: KairosStore, toMs: number) => {
        const found = [];
        for await (const page of store.findRows({ metric, fromMs: BEGIN, toMs }))
          found.push(...page);
        return Promise.all(
          found.map(async (each) => {
            const seen: unknown[] = [];
            const range = { fromMs: BEGIN, toMs, mayBeCached: true };
            for await (const { times, numbers } of store.readRow(each, range))
              seen.push(...times, ...numbers);
            return [each.row.tags, seen.length, seen.sort()];
          }),
        );
      };
      // The last one is a burst, where few were expected.
      for (const [from, to] of [
        [0, 40],
        [40, 43],
        [43, 44],
        [44, 300],
      ] as const) {
        if (from > 0) expect(await plain.write(minutes(from, to))).toEqual([]);
        const toMs = BEGIN + to * MINUTE_MS;
        const rows = await read(cached, toMs);
        expect(rows).toHaveLength(60);
        expect(rows).toEqual(await read(plain, toMs));
      }
    });

    test('shows its own writes and deletes at once, those of others when cells are too old', async () => {
      await encodeIn('MILLISECONDS');
      const [other, cached] = [await open(false), await open(true)];
      const point = (minute: number, value: number) => ({
        metric: 'changes',
        tags: { host: 'a' },
        timestampMs: BEGIN + minute * MINUTE_MS,
        value,
      });
      const both = async () => [
        await everything(cached, 'changes'),
        await everything(other, 'changes'),
      ];
      await cached.write(Array.from({ length: 300 }, (_, i) => point(i, i)));
      const [before, same] = await both();
      expect(before).toEqual(same);

      await cached.write([point(80, -1), point(80.5, -2)]);
      await cached.deletePoints({
        metric: 'changes',
        fromMs: BEGIN + 10 * MINUTE_MS,
        toMs: BEGIN + 20 * MINUTE_MS,
      });
      const [own, theirs] = await both();
      expect(own).toEqual(theirs);
      expect(own).not.toEqual(before);

      await other.write([point(81, -3)]);
      // What goes past the cache, as verification does, sees it; a query does not yet.
      expect(await everything(cached, 'changes')).toEqual(own);
      let found: unknown;
      const asked = {
        metric: 'changes',
        fromMs: BEGIN + 81 * MINUTE_MS,
        toMs: BEGIN + 82 * MINUTE_MS,
      };
      for await (const page of cached.readSeries(asked)) found = page[0]?.value;
      expect(found).toBe(-3);
      aheadMs += MAX_AGE_MS;
      const [late, stored] = await both();
      expect(late).toEqual(stored);
      expect(late).not.toEqual(own);

      await cached.deleteMetric('changes');
      expect(await both()).toEqual([[], []]);
    });
  });
});
