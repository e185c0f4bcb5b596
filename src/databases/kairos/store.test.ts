/** The store on the embedded rows: the same code runs on Cassandra (test/integration/kairos-*). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { DataPoint } from '../../model/index.ts';
import { ManualClock } from '../../runtime/index.ts';
import { embeddedWideRows } from '../embedded/index.ts';
import type { CellBatch } from './cell-batch.ts';
import { encodeRowKey } from './row-key.ts';
import type { RowQuery } from './row-query.ts';
import type { SeriesQuery } from './series-reader.ts';
import { kairosSink } from './sink.ts';
import { KairosStore, type KairosStoreOptions } from './store.ts';
import { collect } from './wide-rows.suite.ts';
import type { WideRows } from './wide-rows.ts';

const NOW = 1_700_000_000_000;
const WEEKS3 = 1_814_400_000;
const ALWAYS = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };

let directory: string;
let clock: ManualClock;
let rows: WideRows;
let store: KairosStore;

const openStore = async (options: Partial<KairosStoreOptions> = {}) => {
  const opened = new KairosStore({ rows, clock, ...options });
  await opened.connect();
  return opened;
};
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-kairos-'));
  clock = new ManualClock(NOW);
  rows = embeddedWideRows({ dataDirectory: directory, clock });
  store = await openStore();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rows.close();
  rmSync(directory, { recursive: true });
});

const point = (
  timestampMs: number,
  value: DataPoint['value'] = 1n,
  tags: Record<string, string> = { host: 'a' },
  metric = 'm',
): DataPoint => ({ metric, tags, timestampMs, value });
const read = (query: Partial<SeriesQuery> = {}, from = store) =>
  collect(from.readSeries({ metric: 'm', ...ALWAYS, ...query }));
const times = async (query: Partial<SeriesQuery> = {}, from = store) =>
  (await read(query, from)).map(({ timestampMs }) => timestampMs);

describe('writing and reading', () => {
  test('all kinds of values come back as they were, in time order', async () => {
    const points = [point(NOW, 5n), point(NOW + 1, -0.5), point(NOW + 2, 'text é'), point(-7, 0n)];
    expect(await store.write(points)).toEqual([]);
    expect(await read()).toEqual([points[3], ...points.slice(0, 3)]);
    expect(await collect(rows.metricNames())).toEqual(['m']);
  });

  test('a range is half-open, and a limit counts from the end one reads from', async () => {
    await store.write([1, 2, 3, 4].map((n) => point(NOW + n)));
    expect(await times({ fromMs: NOW + 2, toMs: NOW + 4 })).toEqual([NOW + 2, NOW + 3]);
    expect(await times({ fromMs: NOW + 2, toMs: NOW + 2 })).toEqual([]);
    expect(await times({ limit: 2 })).toEqual([NOW + 1, NOW + 2]);
    expect(await times({ limit: 2, order: 'descending' })).toEqual([NOW + 4, NOW + 3]);
  });

  test('tags choose series: each must be there, with one of the values', async () => {
    const tagged = (n: number, tags: Record<string, string>) => point(NOW + n, 1n, tags);
    await store.write([
      tagged(1, { host: 'a', dc: 'eu' }),
      tagged(2, { host: 'b', dc: 'eu' }),
      tagged(3, { host: 'c', dc: 'us' }),
      tagged(4, { host: 'a' }),
      tagged(5, {}),
    ]);
    expect(await times()).toHaveLength(5);
    expect(await times({ tags: { host: 'a' } })).toEqual([NOW + 1, NOW + 4]);
    expect(await times({ tags: { host: ['a', 'b'], dc: 'eu' } })).toEqual([NOW + 1, NOW + 2]);
    expect(await times({ tags: { host: [] } })).toEqual([]);
    expect(await times({ tags: { rack: '1' } })).toEqual([]);
  });

  test('a point written again overwrites, also within one batch', async () => {
    await store.write([point(NOW, 9n), point(NOW, 1n)]);
    expect(await read()).toEqual([point(NOW, 1n)]);
    await store.write([point(NOW, 5n)]);
    expect(await read()).toEqual([point(NOW, 5n)]);
  });

  test('what is written is found and ordered, whatever the times, series and batches', {
    tags: 'heavy',
  }, async () => {
    const time = fc.oneof(
      fc.integer({ min: -5 * WEEKS3, max: 5 * WEEKS3 }),
      fc.integer({ min: -20, max: 20 }),
      fc.constantFrom(-WEEKS3, -WEEKS3 + 1, -WEEKS3 - 1, WEEKS3 - 1, WEEKS3, 2 * WEEKS3),
    );
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(time, fc.constantFrom('a', 'b', 'c')), { maxLength: 60 }),
        time,
        time,
        fc.boolean(),
        fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
        async (written, one, two, descending, limit) => {
          const metric = `run ${run++}`;
          const points = written.map(([t, host]) => point(t, BigInt(t), { host }, metric));
          await store.write(points.slice(0, points.length >> 1));
          await store.write(points.slice(points.length >> 1));
          const [fromMs, toMs] = one < two ? [one, two] : [two, one];
          const found = await collect(
            store.readSeries({
              metric,
              fromMs,
              toMs,
              order: descending ? 'descending' : 'ascending',
              ...(limit === undefined ? {} : { limit }),
            }),
          );
          const expected = [...new Set(written.map(([t, host]) => `${t} ${host}`))]
            .map((text) => Number(text.split(' ')[0]))
            .filter((t) => t >= fromMs && t < toMs)
            .sort((a, b) => (descending ? b - a : a - b))
            .slice(0, limit);
          expect(found.map(({ timestampMs }) => timestampMs)).toEqual(expected);
          expect(found.every(({ value, timestampMs }) => value === BigInt(timestampMs))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('series that need several pages are merged without loss', { tags: 'heavy' }, async () => {
    const points = Array.from({ length: 12_000 }, (_, n) =>
      point(NOW + n, BigInt(n), { host: `${n % 30}` }),
    );
    await store.write(points);
    expect((await read()).map(({ value }) => value)).toEqual(points.map(({ value }) => value));
    expect((await read({ order: 'descending' })).map(({ value }) => value)).toEqual(
      points.map(({ value }) => value).reverse(),
    );
  });

  test('reading may stop anywhere', async () => {
    await store.write(Array.from({ length: 3_000 }, (_, n) => point(NOW + n)));
    for await (const batch of store.readSeries({ metric: 'm', ...ALWAYS })) {
      expect(batch).toHaveLength(1_000);
      break;
    }
  });

  test('in SECONDS mode a point is read back at the second of its row', async () => {
    const second = mkdtempSync(join(tmpdir(), 'tidemark-kairos-'));
    const other = embeddedWideRows({ dataDirectory: second, clock });
    const inSeconds = new KairosStore({ rows: other, clock, rowTimeUnit: 'SECONDS' });
    await inSeconds.connect();
    await inSeconds.write([point(1609459200123, 7n)]);
    expect(await times({}, inSeconds)).toEqual([1609459199800]);
    expect((await other.readSpec()).get('row_width')).toBe('1814400');
    await other.close();
    rmSync(second, { recursive: true });
  });

  test('a store opened for reading writes nothing, not even the spec', async () => {
    const bare = mkdtempSync(join(tmpdir(), 'tidemark-kairos-'));
    const other = embeddedWideRows({ dataDirectory: bare, clock });
    const reader = new KairosStore({ rows: other, clock, readOnly: true });
    await reader.connect();
    expect((await other.readSpec()).size).toBe(0);
    expect(reader.spec.unit).toBe('MILLISECONDS');
    await expect(reader.write([point(NOW)])).rejects.toMatchObject({ code: 'READ_ONLY' });
    await expect(reader.deleteMetric('m')).rejects.toMatchObject({ code: 'READ_ONLY' });
    await other.close();
    rmSync(bare, { recursive: true });
  });
});

describe('points that can never be stored', () => {
  test.each<[string, Partial<DataPoint>, RegExp]>([
    ['an empty name', { metric: '' }, /no name/],
    ['NUL in the name', { metric: 'a\0b' }, /U\+0000/],
    ['half a surrogate pair in the name', { metric: 'a\ud800' }, /surrogate/],
    ['half a surrogate pair in a tag', { tags: { a: '\udc00' } }, /surrogate/],
    ['a name beyond a key part', { metric: 'x'.repeat(32_768) }, /at most 32767/],
    ['tags beyond a row key', { tags: { a: 'x'.repeat(65_500) } }, /at most 65535/],
    ['a fraction of a millisecond', { timestampMs: 1.5 }, /time 1.5/],
    ['a time out of range', { timestampMs: 2 ** 53 }, /time/],
    ['no time at all', { timestampMs: Number.NaN }, /time NaN/],
    ['a long beyond 64 bits', { value: 2n ** 63n }, /64 bits/],
    ['a text beyond 65,535 bytes', { value: 'é'.repeat(40_000) }, /at most 65535/],
    ['NaN', { value: Number.NaN }, /NaN/],
    ['infinity', { value: Number.NEGATIVE_INFINITY }, /-Infinity/],
    ['a negative life', { ttlSeconds: -1 }, /ttl -1/],
    ['half a second of life', { ttlSeconds: 0.5 }, /ttl 0.5/],
    ['a life that Cassandra does not keep', { ttlSeconds: 628_905_601 }, /628905600/],
    ['a value of another kind', { value: true as never }, /boolean/],
  ])('are rejected one by one: %s', async (_, wrong, message) => {
    const good = [point(NOW), point(NOW + 1)];
    const rejections = await store.write([
      good[0] as DataPoint,
      { ...point(NOW + 5), ...wrong } as DataPoint,
      good[1] as DataPoint,
    ]);
    expect(rejections).toEqual([{ index: 1, message: expect.stringMatching(message) }]);
    expect(await read()).toEqual(good);
  });

  test('are those that the tables refuse, in the index or in the row, too', async () => {
    const refusing: WideRows = Object.assign(Object.create(rows) as WideRows, {
      writeRowKeys: async () => [{ index: 1, message: 'no such row' }],
      writeRowTimes: async () => [{ index: 2, message: 'no such time' }],
      writeMetricNames: async () => [],
      writeCells: async (cells: CellBatch) => {
        expect(cells.count).toBe(2);
        return [{ index: 1, message: 'no such cell' }];
      },
    });
    const refused = new KairosStore({ rows: refusing, clock });
    vi.spyOn(refusing, 'connect').mockResolvedValue();
    vi.spyOn(refusing, 'readSpec').mockResolvedValue(
      new Map([
        ['row_time_unit', 'MILLISECONDS'],
        ['row_width', '1814400000'],
      ]),
    );
    await refused.connect();
    const rejections = await refused.write([
      point(NOW, 1n, {}, 'fine'),
      point(NOW, 1n, {}, 'bad row'),
      point(NOW, 1n, {}, 'bad time'),
      point(NOW, 1n, {}, 'bad cell'),
    ]);
    expect(rejections.map(({ index, message }) => `${index} ${message}`)).toEqual([
      '1 no such row',
      '2 no such time',
      '3 no such cell',
    ]);
  });

  test('of NaN are stored where that is asked for', async () => {
    const lenient = await openStore({ nonFinite: 'store' });
    expect(await lenient.write([point(NOW, Number.NaN)])).toEqual([]);
    expect(await read()).toEqual([point(NOW, Number.NaN)]);
  });
});

describe('the index', () => {
  test('is written once per row, not once per point', async () => {
    const written = vi.spyOn(rows, 'writeRowKeys');
    await store.write([1, 2, 3].map((n) => point(NOW + n)));
    await store.write([4, 5, 6].map((n) => point(NOW + n)));
    expect(written.mock.calls.flatMap(([entries]) => entries)).toHaveLength(1);
  });

  test('is written again within minutes after another server took it away', async () => {
    await store.write([point(NOW)]);
    const elsewhere = await openStore();
    await elsewhere.deleteMetric('m');
    await store.write([point(NOW + 1)]);
    expect(await times()).toEqual([]);
    await clock.advance(5 * 60_000);
    await store.write([point(NOW + 2)]);
    expect(await times()).toEqual([NOW + 1, NOW + 2]);
    expect(await collect(rows.metricNames())).toEqual(['m']);
  });

  test('is written again for series that are over the bound of what is remembered', async () => {
    const written = vi.spyOn(rows, 'writeRowKeys');
    const write = async (seriesBytesMax: number) => {
      written.mockClear();
      const bounded = await openStore({ seriesBytesMax });
      for (const host of ['a', 'b', 'a']) await bounded.write([point(NOW, 1n, { host })]);
      return written.mock.calls.flatMap(([entries]) => entries).length;
    };
    expect(await write(1)).toBe(3);
    expect(await write(100_000)).toBe(2);
  });

  test('outlives every point of its row by the width of the row', { tags: 'heavy' }, async () => {
    await store.write([{ ...point(NOW), ttlSeconds: 60 }]);
    expect(await times()).toEqual([NOW]);
    await clock.advance(60_000);
    expect(await times()).toEqual([]);
    expect(await collect(rows.rowTimes('m', 0, NOW))).toHaveLength(1);
    await clock.advance(WEEKS3);
    expect(await collect(rows.rowTimes('m', 0, NOW))).toHaveLength(0);
  });

  test.each([
    ['in one batch', [[0, 60]]],
    ['in two batches', [[0], [60]]],
    ['in two batches, the short life first', [[60], [0]]],
  ])(
    'is never shortened: a point without end and one with, %s',
    { tags: 'heavy' },
    async (_, batches) => {
      let n = 0;
      for (const batch of batches) {
        await store.write(batch.map((ttlSeconds) => ({ ...point(NOW + n++), ttlSeconds })));
      }
      await clock.advance(WEEKS3 + 120_000);
      expect(await read()).toHaveLength(1);
    },
  );

  test('is never shortened by a server that does not know who wrote it', {
    tags: 'heavy',
  }, async () => {
    await store.write([point(NOW)]);
    const restarted = await openStore();
    await restarted.write([{ ...point(NOW + 1), ttlSeconds: 60 }]);
    await clock.advance(WEEKS3 + 120_000);
    expect(await times()).toEqual([NOW]);
  });

  test('with a life keeps it when it is looked after again', { tags: 'heavy' }, async () => {
    await store.write([{ ...point(NOW), ttlSeconds: 3_600 }]);
    await clock.advance(10 * 60_000);
    const written = vi.spyOn(rows, 'writeRowKeys');
    await store.write([{ ...point(NOW + 1), ttlSeconds: 3_600 }]);
    expect(written.mock.calls.flatMap(([entries]) => entries)).toHaveLength(0);
    await clock.advance(WEEKS3 + 3_600_000);
    expect(await collect(rows.rowTimes('m', 0, NOW))).toHaveLength(0);
  });

  test('grows with a longer life', { tags: 'heavy' }, async () => {
    await store.write([{ ...point(NOW), ttlSeconds: 60 }]);
    const long = { ...point(NOW + 1), ttlSeconds: (3 * WEEKS3) / 1_000 };
    await store.write([long]);
    await clock.advance(2 * WEEKS3);
    expect(await times()).toEqual([NOW + 1]);
  });

  test('by tag finds the same rows, and is taken down with them', async () => {
    const tagIndex = new Map([['m', ['host']]]);
    const indexed = await openStore({ tagIndex });
    const points = ['a', 'b', 'c'].map((host, n) => point(NOW + n, 1n, { host, dc: 'eu' }));
    await indexed.write(points);
    const allRows = vi.spyOn(rows, 'rowKeys');
    const query = { tags: { host: ['a', 'c'], dc: 'eu' } };
    expect(await times(query, indexed)).toEqual([NOW, NOW + 2]);
    expect(allRows).not.toHaveBeenCalled();
    expect(await times({ tags: { dc: 'eu' } }, indexed)).toHaveLength(3);
    expect(allRows).toHaveBeenCalled();
    const filters = new Map([['host', { values: new Set(['a']) }]]);
    await indexed.deletePoints({ metric: 'm', ...ALWAYS, tags: filters });
    expect(await times(query, indexed)).toEqual([NOW + 2]);
    expect(await collect(rows.rowKeysWithTag('m', 1_698_278_400_000, ['host', 'a']))).toEqual([]);
  });
});

describe('life of points', () => {
  test('is the default where a point brings none, or always when forced', async () => {
    const byDefault = await openStore({ defaultTtlSeconds: 60 });
    await byDefault.write([point(NOW), { ...point(NOW + 1), ttlSeconds: 600 }]);
    const forced = await openStore({ defaultTtlSeconds: 60, forceDefaultTtl: true });
    await forced.write([{ ...point(NOW + 2), ttlSeconds: 600 }]);
    await clock.advance(61_000);
    expect(await times()).toEqual([NOW + 1]);
  });

  test('counts from the point’s time when aligned, and what is over is refused', async () => {
    const aligned = await openStore({ defaultTtlSeconds: 600, alignTtl: true });
    const rejections = await aligned.write([point(NOW - 500_000), point(NOW - 600_000)]);
    expect(rejections).toEqual([{ index: 1, message: expect.stringMatching(/over already/) }]);
    await clock.advance(101_000);
    expect(await times()).toEqual([]);
  });
});

describe('deleting', () => {
  const remove = (query: Partial<RowQuery> = {}) =>
    store.deletePoints({ metric: 'm', ...ALWAYS, ...query });
  const only = (tags: Record<string, string>) =>
    new Map(Object.entries(tags).map(([name, value]) => [name, { values: new Set([value]) }]));

  test('a range inside a row leaves the rest and the index', async () => {
    await store.write([1, 2, 3, 4].map((n) => point(NOW + n)));
    await remove({ fromMs: NOW + 2, toMs: NOW + 4 });
    expect(await times()).toEqual([NOW + 1, NOW + 4]);
    expect(await collect(rows.rowTimes('m', 0, NOW))).toHaveLength(1);
  });

  test('whole rows go with their index, cut ones stay', async () => {
    const at = [1, 2, 3].map((n) => n * WEEKS3);
    await store.write(at.flatMap((t) => [point(t), point(t + 10)]));
    await remove({ fromMs: at[1] as number, toMs: (at[2] as number) + 5 });
    expect(await times()).toEqual([at[0], (at[0] as number) + 10, (at[2] as number) + 10]);
    expect(await collect(rows.rowTimes('m', 0, NOW))).toEqual([at[0], at[2]]);
  });

  test('by tag leaves the other series of the same time to be found', async () => {
    await store.write([point(NOW, 1n, { host: 'a' }), point(NOW, 2n, { host: 'b' })]);
    await remove({ tags: only({ host: 'a' }) });
    expect(await read()).toEqual([point(NOW, 2n, { host: 'b' })]);
    expect(await collect(store.findRows({ metric: 'm', ...ALWAYS }))).toHaveLength(1);
  });

  test('then writing again is visible at once', async () => {
    await store.write([point(NOW)]);
    await remove();
    expect(await times()).toEqual([]);
    await store.write([point(NOW + 1)]);
    expect(await times()).toEqual([NOW + 1]);
  });

  test('a metric takes its name along, and nothing of its neighbours', async () => {
    await store.write([point(NOW), point(NOW, 1n, {}, 'm2'), point(-5)]);
    await store.deleteMetric('m');
    expect(await times()).toEqual([]);
    expect(await collect(rows.metricNames())).toEqual(['m2']);
    expect(await times({ metric: 'm2' })).toEqual([NOW]);
    await store.write([point(NOW)]);
    expect(await collect(rows.metricNames())).toEqual(['m', 'm2']);
  });

  test('what is written meanwhile is either deleted or found, never stranded', {
    tags: 'heavy',
  }, async () => {
    for (let round = 0; round < 20; round++) {
      const writes = Array.from({ length: 5 }, (_, n) => store.write([point(NOW + n)]));
      await Promise.all([...writes, remove(), store.write([point(NOW + 9)])]);
      const left = await times();
      const key = encodeRowKey({
        metric: 'm',
        rowTimeMs: 1_698_278_400_000,
        type: 'kairos_long',
        tags: [['host', 'a']],
      });
      const cells = await collect(rows.readCells({ key }));
      expect(left).toHaveLength(cells.length);
      expect(left).toContain(NOW + 9);
      await remove();
    }
  });
});

test('a sink hands over to the store and leaves it open', async () => {
  const sink = kairosSink(store, { name: 'kairos.m' });
  await sink.connect();
  await sink.check();
  expect(await sink.write([point(NOW), point(Number.NaN)])).toHaveLength(1);
  await sink.close();
  expect(sink.name).toBe('kairos.m');
  expect(await times()).toEqual([NOW]);
});

test('a store that was not connected says so', async () => {
  const unopened = new KairosStore({ rows, clock });
  await expect(unopened.write([point(NOW)])).rejects.toMatchObject({
    family: 'retriable',
    code: 'SINK_UNREACHABLE',
  });
});
