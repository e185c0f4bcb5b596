/**
 * Roles apart: one process takes points, another drains the log and answers, on Kafka and Cassandra; a Java KairosDB
 * on the same keyspace reads what came through.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Broker, openKafkaBroker } from '../../src/broker/index.ts';
import { setupKairos } from '../../src/databases/kairos/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { dropKeyspace } from '../support/cassandra.ts';
import { EngineProcess } from '../support/engine-process.ts';
import { type JavaKairos, startJavaKairos } from '../support/java-kairosdb.ts';
import { needs } from '../support/require.ts';
import { newRun, runNames } from '../support/run-names.ts';

const here = needs(['KAFKA_BROKERS', 'CASSANDRA_HOSTS', 'CASSANDRA_DC', 'KAIROSDB_URL']);
const { KAFKA_BROKERS = '', CASSANDRA_HOSTS = '', CASSANDRA_DC = '' } = process.env;
const script = fileURLToPath(new URL('../support/engine-main.ts', import.meta.url));
const run = newRun();
const { namespace, keyspace } = runNames(run);
const address = { hosts: CASSANDRA_HOSTS.split(','), datacenter: CASSANDRA_DC, keyspace };

const directory = here ? mkdtempSync(join(tmpdir(), 'tidemark-kairos-ingest-')) : '';
let broker: Broker;
let java: JavaKairos;
let door: EngineProcess;
let store: EngineProcess;

const start = (roles: string) =>
  new EngineProcess({
    data: join(directory, roles),
    script,
    flags: ['--run', run],
    environment: {
      KAFKA_BROKERS,
      CASSANDRA_HOSTS,
      CASSANDRA_DC,
      CASSANDRA_KEYSPACE: keyspace,
      KAFKA_SESSION_TIMEOUT_MS: '6000',
      TIDEMARK_ROLES: roles,
    },
  });

async function post(url: string, path: string, body: unknown) {
  const answer = await fetch(`${url}/api/v1/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  return { status: answer.status, text: await answer.text() };
}

const everything = (metric: string) => ({
  start_absolute: 1,
  end_absolute: 4_000_000_000_000,
  time_zone: 'UTC',
  metrics: [{ name: metric }],
});

async function values(url: string, metric: string): Promise<unknown[]> {
  const { text } = await post(url, 'datapoints/query', everything(metric));
  const { queries } = JSON.parse(text) as { queries: { results: { values: unknown[] }[] }[] };
  return (queries[0]?.results ?? []).flatMap((result) => result.values).sort(byTime);
}

const byTime = (a: unknown, b: unknown) => (a as number[])[0]! - (b as number[])[0]!;
const eventually = { timeout: 60_000, interval: 200 };
const point = (metric: string, timestamp: number, value: unknown) => ({
  name: metric,
  timestamp,
  value,
  tags: { host: 'a' },
});

describe.skipIf(!here)('with the roles in two processes', () => {
  beforeAll(async () => {
    broker = await openKafkaBroker({
      brokers: KAFKA_BROKERS.split(','),
      clock: systemClock,
      logger: silentLogger,
    });
    await setupKairos(address);
    await broker.createTopics([{ name: `${namespace}.points`, partitions: 3 }]);
    [java, door, store] = await Promise.all([
      startJavaKairos({ directory: join(directory, 'java'), store: address }),
      Promise.resolve(start('ingest')),
      Promise.resolve(start('sinks,query')),
    ]);
    await Promise.all([door.url(), store.url()]);
  }, 180_000);
  afterAll(async () => {
    await Promise.all([door?.stop(), store?.stop(), java?.stop()]);
    await broker?.deleteNamespace(namespace);
    await broker?.close();
    await dropKeyspace(address);
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  test('each answers what its role has, and refuses the rest as KairosDB does', async () => {
    const [doorUrl, storeUrl] = [await door.url(), await store.url()];
    const refused = await post(doorUrl, 'datapoints/query', everything('x'));
    expect([refused.status, refused.text]).toEqual([
      403,
      '{"errors": ["Forbidden: QUERY API methods are disabled on this KairosDB instance."]}',
    ]);
    expect((await post(storeUrl, 'datapoints', point('x', 1, 1))).status).toBe(403);
    expect((await post(storeUrl, 'datapoints/delete', everything('x'))).status).toBe(403);
    for (const url of [doorUrl, storeUrl]) {
      expect((await fetch(`${url}/ready`)).status).toBe(200);
      expect((await fetch(`${url}/v1/topics`)).status).toBe(404);
    }
  });

  test('points of all types that the one acknowledged, the other and a Java KairosDB read', async () => {
    const body = [
      point('types', 1_000, 5),
      point('types', 2_000, -1.5),
      point('types', 3_000, 'text'),
      { ...point('types', 4_000, '9223372036854775807'), type: 'long' },
    ];
    expect(await post(await door.url(), 'datapoints', body)).toEqual({ status: 204, text: '' });
    const expected = '[[1000,5],[2000,-1.5],[3000,"text"],[4000,9223372036854775807]]';
    for (const url of [await store.url(), java.url]) {
      await expect
        .poll(async () => {
          const { text } = await post(url, 'datapoints/query', everything('types'));
          const pairs = [...text.matchAll(/\[(\d+),(-?[\d.]+|"text")\]/g)].map(([pair]) => pair);
          return `[${pairs.sort().join(',')}]`;
        }, eventually)
        .toBe(expected);
    }
  }, 120_000);

  test('a delete takes what was acknowledged before it, and leaves what comes after it', async () => {
    const url = await door.url();
    for (let round = 0; round < 5; round++) {
      const metric = `deleted.${round}`;
      const many = Array.from({ length: 50 }, (_, i) => point(metric, 1_000 + i, i));
      expect((await post(url, 'datapoints', many)).status).toBe(204);
      expect((await post(url, 'datapoints/delete', everything(metric))).status).toBe(204);
      // Done when it was answered, in whichever process.
      expect(await values(await store.url(), metric)).toEqual([]);
      expect((await post(url, 'datapoints', point(metric, 1_010, 'after'))).status).toBe(204);
      await expect
        .poll(async () => values(await store.url(), metric), eventually)
        .toEqual([[1_010, 'after']]);
    }
  }, 120_000);

  test('what was acknowledged outlives kill -9 of either process', async () => {
    const body = (from: number) =>
      Array.from({ length: 500 }, (_, i) => point(`killed.${i % 7}`, from + i, i));
    let next = 1;
    const send = async () => {
      expect((await post(await door.url(), 'datapoints', body(next))).status).toBe(204);
      next += 500;
    };
    for (let i = 0; i < 4; i++) await send();
    await store.kill();
    for (let i = 0; i < 4; i++) await send();
    await door.kill();
    door = start('ingest');
    store = start('sinks,query');
    const count = async () => {
      let all = 0;
      for (let i = 0; i < 7; i++) all += (await values(await store.url(), `killed.${i}`)).length;
      return all;
    };
    await expect.poll(count, { timeout: 90_000, interval: 500 }).toBe(4_000);
  }, 180_000);
});
