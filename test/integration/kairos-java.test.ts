/**
 * A Java KairosDB and this store on one keyspace, both ways. Metric names are fresh per test: the server remembers
 * names and row keys, and does not index again what another program deleted.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cassandraWideRows, KairosStore } from '../../src/databases/kairos/index.ts';
import { collect } from '../../src/databases/kairos/wide-rows.suite.ts';
import type { DataPoint } from '../../src/model/index.ts';
import { awkwardTags } from '../support/awkward-tags.ts';
import { needs } from '../support/require.ts';

const here = needs(['KAIROSDB_URL', 'CASSANDRA_HOSTS', 'CASSANDRA_DC']);
const url = process.env.KAIROSDB_URL;
const ALWAYS = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
const T1 = 1_609_459_200_123;
const WEEKS3 = 1_814_400_000;

interface JavaResult {
  readonly tags: Record<string, string[]>;
  readonly values: [number, number | string][];
  readonly group_by?: readonly { name: string; type?: string }[];
}

async function post(path: string, body: unknown): Promise<string> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${url}/api/v1/${path}`, { method: 'POST', body: text });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${answer}`);
  return answer;
}

const javaQuery = (metric: string, tags: Record<string, string | string[]> = {}) =>
  post('datapoints/query', {
    start_absolute: -62_135_596_800_000,
    end_absolute: 253_402_300_799_999,
    time_zone: 'UTC',
    metrics: [{ name: metric, tags }],
  });

/** Java's points of all types, in time order. */
async function javaPoints(metric: string, tags: Record<string, string | string[]> = {}) {
  const answer = JSON.parse(await javaQuery(metric, tags)) as {
    queries: { results: JavaResult[] }[];
  };
  return (answer.queries[0]?.results ?? [])
    .flatMap(({ values }) => values)
    .sort((a, b) => a[0] - b[0]);
}

/** Asks again until the answer is as expected: Java writes and deletes in the background. */
async function eventually(check: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

describe.skipIf(!here)('with a Java KairosDB on the same keyspace', () => {
  const hosts = (process.env.CASSANDRA_HOSTS ?? '').split(',');
  const datacenter = process.env.CASSANDRA_DC ?? '';
  let store: KairosStore;
  let metric: string;
  const metrics: string[] = [];
  const fresh = (name: string) => {
    metric = `tidemark.test.${randomUUID()}.${name}`;
    metrics.push(metric);
  };
  beforeAll(async () => {
    store = new KairosStore({
      rows: cassandraWideRows({ config: { hosts, datacenter, keyspace: 'kairosdb' } }),
    });
    await store.connect();
  });
  afterAll(async () => {
    for (const name of metrics) await store?.deleteMetric(name);
    await store?.close();
  });

  const point = (
    timestampMs: number,
    value: DataPoint['value'],
    tags: Record<string, string> = { host: 'a' },
  ): DataPoint => ({ metric, tags, timestampMs, value });
  const read = (tags: Record<string, string> = {}) =>
    collect(store.readSeries({ metric, ...ALWAYS, tags }));
  const write = async (points: readonly DataPoint[]) =>
    expect(await store.write(points)).toEqual([]);

  test('it reads every kind of value that we wrote', async () => {
    fresh('ours');
    await write([
      point(T1, 0n),
      point(T1 + 1, -65n),
      point(T1 + 2, 1_234_567_890_123n),
      point(T1 + 3, 3.14),
      point(T1 + 4, -0.5),
      point(T1 + 5, 'é€\0😀'),
      point(T1 + 6, ''),
    ]);
    expect(await javaPoints(metric)).toEqual([
      [T1, 0],
      [T1 + 1, -65],
      [T1 + 2, 1_234_567_890_123],
      [T1 + 3, 3.14],
      [T1 + 4, -0.5],
      [T1 + 5, 'é€\0😀'],
      [T1 + 6, ''],
    ]);
    fresh('extremes');
    await write([point(T1, 2n ** 63n - 1n), point(T1 + 1, -(2n ** 63n))]);
    const answer = await javaQuery(metric);
    expect(answer).toContain(`[${T1},9223372036854775807]`);
    expect(answer).toContain(`[${T1 + 1},-9223372036854775808]`);
  });

  test('it finds our series by awkward tags, and lists them as we wrote them', async () => {
    fresh('awkward');
    await write([point(T1, 1n, awkwardTags), point(T1 + 1, 2n, { host: 'other' })]);
    const answer = JSON.parse(await javaQuery(metric, { 'k:1=x': 'v=1:y', '😀': 'emoji' })) as {
      queries: { results: JavaResult[] }[];
    };
    const [result] = answer.queries[0]?.results ?? [];
    expect(result?.values).toEqual([[T1, 1]]);
    expect(result?.tags).toEqual(
      Object.fromEntries(Object.entries(awkwardTags).map(([name, value]) => [name, [value]])),
    );
  });

  test('it reads our points before 1970 and at the edges of rows', async () => {
    fresh('times');
    const times = [-WEEKS3 - 5, -WEEKS3, -5, -1, 0, WEEKS3 - 1, WEEKS3, 253_402_300_799_999];
    await write(times.map((time, n) => point(time, BigInt(n))));
    expect(await javaPoints(metric)).toEqual(times.map((time, n) => [time, n]));
    expect((await read()).map(({ timestampMs }) => timestampMs)).toEqual(times);
  });

  test('it lists our metric names', async () => {
    fresh('name');
    await write([point(T1, 1n)]);
    const response = await fetch(`${url}/api/v1/metricnames?prefix=${metric}`);
    expect(await response.json()).toEqual({ results: [metric] });
  });

  test('we read every kind of value and tag that it wrote', async () => {
    fresh('theirs');
    const tags = JSON.stringify(awkwardTags);
    await post(
      'datapoints',
      `[{"name":"${metric}","tags":${tags},"type":"long","datapoints":[[${T1},0],[${T1 + 1},9223372036854775807],[${T1 + 2},-9223372036854775808],[-5,150]]},
        {"name":"${metric}","tags":${tags},"type":"double","datapoints":[[${T1 + 3},3.14],[${T1 + 4},-0.0]]},
        {"name":"${metric}","tags":${tags},"type":"string","datapoints":[[${T1 + 5},"é€\\u0000😀"],[0,"epoch"]]}]`,
    );
    const expected = [
      point(-5, 150n, awkwardTags),
      point(0, 'epoch', awkwardTags),
      point(T1, 0n, awkwardTags),
      point(T1 + 1, 2n ** 63n - 1n, awkwardTags),
      point(T1 + 2, -(2n ** 63n), awkwardTags),
      point(T1 + 3, 3.14, awkwardTags),
      point(T1 + 4, -0, awkwardTags),
      point(T1 + 5, 'é€\0😀', awkwardTags),
    ];
    await eventually(async () => expect(await read()).toEqual(expected));
    expect(await read({ '~': 'fullwidth' })).toEqual([]);
    expect(await read({ '～': 'fullwidth', 9: 'nine' })).toEqual(expected);
    expect(await collect(store.rows.metricNames(metric))).toEqual([metric]);
  });

  test('overwrites count both ways: the later one stays', async () => {
    fresh('overwrite');
    const java = (value: number) =>
      post('datapoints', [
        { name: metric, tags: { host: 'a' }, type: 'long', datapoints: [[T1, value]] },
      ]);
    await write([point(T1, 900n)]);
    await java(5);
    await eventually(async () => expect(await read()).toEqual([point(T1, 5n)]));
    await write([point(T1, 1n)]);
    expect(await javaPoints(metric)).toEqual([[T1, 1]]);
    await java(0);
    await eventually(async () => expect(await read()).toEqual([point(T1, 0n)]));
  });

  test('it deletes a range of what we wrote, and we write into the gap again', async () => {
    fresh('their delete');
    await write([0, 1, 2, 3].map((n) => point(T1 + n, BigInt(n))));
    await post('datapoints/delete', {
      start_absolute: T1 + 1,
      end_absolute: T1 + 2,
      metrics: [{ name: metric }],
    });
    await eventually(async () => expect(await read()).toEqual([point(T1, 0n), point(T1 + 3, 3n)]));
    await write([point(T1 + 1, 7n)]);
    expect(await javaPoints(metric)).toEqual([
      [T1, 0],
      [T1 + 1, 7],
      [T1 + 3, 3],
    ]);
  });

  test('it deletes a metric that we wrote, without a trace', async () => {
    fresh('their drop');
    await write([point(T1, 1n), point(T1 + WEEKS3, 2n), point(-5, 3n)]);
    const response = await fetch(`${url}/api/v1/metric/${metric}`, { method: 'DELETE' });
    expect(response.status).toBe(204);
    await eventually(async () => {
      expect(await read()).toEqual([]);
      expect(await collect(store.findRows({ metric, ...ALWAYS }))).toEqual([]);
      expect(await collect(store.rows.metricNames(metric))).toEqual([]);
    });
  });

  test('we delete what it wrote: a range, then the metric', async () => {
    fresh('our delete');
    await post('datapoints', [
      { name: metric, tags: { host: 'a' }, datapoints: [0, 1, 2, 3].map((n) => [T1 + n, n]) },
      { name: metric, tags: { host: 'b' }, datapoints: [[T1, 9]] },
    ]);
    await eventually(async () => expect(await read()).toHaveLength(5));
    const host = new Map([['host', { values: new Set(['a']) }]]);
    await store.deletePoints({ metric, fromMs: T1 + 1, toMs: T1 + 3, tags: host });
    expect(await javaPoints(metric, { host: 'a' })).toEqual([
      [T1, 0],
      [T1 + 3, 3],
    ]);
    await store.deletePoints({ metric, ...ALWAYS, tags: host });
    expect(await javaPoints(metric)).toEqual([[T1, 9]]);
    await store.deleteMetric(metric);
    expect(await javaPoints(metric)).toEqual([]);
    const response = await fetch(`${url}/api/v1/metricnames?prefix=${metric}`);
    expect(await response.json()).toEqual({ results: [] });
  });

  test('points with an end to their life disappear for both', async () => {
    fresh('ttl');
    await write([{ ...point(T1, 1n), ttlSeconds: 3_600 }, point(T1 + 1, 2n)]);
    expect(await javaPoints(metric)).toHaveLength(2);
    await write([{ ...point(T1, 1n), ttlSeconds: 1 }]);
    await eventually(async () => {
      expect(await javaPoints(metric)).toEqual([[T1 + 1, 2]]);
      expect(await read()).toEqual([point(T1 + 1, 2n)]);
    });
  });

  test('service values pass both ways', async () => {
    const service = `service ${randomUUID()}`;
    const path = `${url}/api/v1/metadata/${encodeURIComponent(service)}/sk`;
    await store.rows.writeServiceValue(service, 'sk', 'ours', 'value é');
    expect(await (await fetch(`${path}/ours`)).text()).toBe('value é');
    await fetch(`${path}/theirs`, { method: 'POST', body: 'value 2' });
    const before = Date.now() - 60_000;
    const theirs = await store.rows.readServiceValue(service, 'sk', 'theirs');
    expect(theirs?.value).toBe('value 2');
    expect(theirs?.writtenAtMs).toBeGreaterThan(before);
    expect(theirs?.writtenAtMs).toBeLessThan(before + 120_000);
    await store.rows.deleteServiceValue(service, 'sk', 'theirs');
    expect(await (await fetch(path)).json()).toEqual({ results: ['ours'] });
  });
});
