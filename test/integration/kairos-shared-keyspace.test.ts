/**
 * One keyspace, a Java KairosDB of the test's own and this store, both writing, reading and deleting; for each way a
 * keyspace comes to be. Both are asked the same questions over REST and must give the same answers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createServer } from '../../src/api/index.ts';
import {
  batchOf,
  cassandraWideRows,
  encodeRowKey,
  KairosStore,
  setupKairos,
} from '../../src/databases/kairos/index.ts';
import { collect } from '../../src/databases/kairos/wide-rows.suite.ts';
import { awkwardTags } from '../support/awkward-tags.ts';
import { cqlOf, dropKeyspace, type KeyspaceAddress } from '../support/cassandra.ts';
import { fakeEngine } from '../support/fake-engine.ts';
import { type JavaKairos, startJavaKairos } from '../support/java-kairosdb.ts';
import { ingestInto } from '../support/kairos-ingest.ts';
import { needs } from '../support/require.ts';
import { newRun } from '../support/run-names.ts';

const here = needs(['CASSANDRA_HOSTS', 'CASSANDRA_DC', 'KAIROSDB_URL']);
const { CASSANDRA_HOSTS = '', CASSANDRA_DC = '' } = process.env;
const hosts = CASSANDRA_HOSTS.split(',');
const directory = here ? mkdtempSync(join(tmpdir(), 'tidemark-shared-keyspace-')) : '';

const T1 = 1_609_459_200_123;
const WEEKS3 = 1_814_400_000;
/** Both read it beside the first keyspace, until the end of 2021. */
const old = { hosts, datacenter: CASSANDRA_DC, keyspace: `test_${newRun()}` };
const OLD_UNTIL = Date.UTC(2022, 0, 1);
/** Both index its tags `host` and `dc`. */
const INDEXED = 'indexed';
const JAVA = [
  `datastore.cassandra.write_cluster.tag_indexed_row_key_lookup_metrics: { "${INDEXED}": ["host", "dc"] }`,
];
const OLD_CLUSTER = `datastore.cassandra.read_clusters: [{ name: "old", keyspace: "${old.keyspace}", cql_host_list: ["${hosts[0]}"], end_time: "2022-01-01T00:00+0000" }]`;
const tagIndex = new Map([[INDEXED, ['host', 'dc']]]);

interface Shared {
  readonly address: KeyspaceAddress;
  readonly java: JavaKairos;
  readonly store: KairosStore;
  readonly app: FastifyInstance;
}

/** How each keyspace comes to be, before the two start on it. */
const makers = {
  'made by us': (address: KeyspaceAddress) => setupKairos(address),
  'made by us, in seconds': (address: KeyspaceAddress) =>
    setupKairos({ ...address, rowTimeUnit: 'SECONDS' }),
  'of a KairosDB 1.2': async (address: KeyspaceAddress) => {
    await setupKairos(address);
    const cql = await cqlOf(address);
    await cql.run("UPDATE spec SET value = 'LEGACY' WHERE spec_type = ? AND name = ?", [
      'cluster_config',
      'row_time_unit',
    ]);
    await cql.close();
  },
  'made by Java': async () => {},
} as const;

async function share(maker: keyof typeof makers): Promise<Shared> {
  const address = { hosts, datacenter: CASSANDRA_DC, keyspace: `test_${newRun()}` };
  await makers[maker](address);
  const home = join(directory, address.keyspace);
  await mkdir(home);
  const java = await startJavaKairos({
    directory: home,
    store: address,
    heapMiB: 160,
    configuration: maker === 'made by us' ? [...JAVA, OLD_CLUSTER] : JAVA,
  });
  const rows = cassandraWideRows({ config: address });
  const readClusters =
    maker === 'made by us'
      ? [
          {
            rows: cassandraWideRows({ config: old }),
            name: old.keyspace,
            fromMs: Number.NEGATIVE_INFINITY,
            toMs: OLD_UNTIL,
          },
        ]
      : [];
  const store = new KairosStore({ rows, nonFinite: 'store', tagIndex, readClusters });
  await store.connect();
  const engine = { ...(await fakeEngine()), kairos: store, ingest: ingestInto(store) };
  return { address, java, store, app: await createServer(engine) };
}

/** All types, both ends of longs, times before 1970 and at the edges of rows, tags of all sorts. */
const everyKind = (name: string) => `[
  {"name":"${name}","tags":${JSON.stringify(awkwardTags)},"type":"long","datapoints":[[${T1},0],[${T1 + 1_000},9223372036854775807],[${T1 + 2_000},-9223372036854775808],[-5000,150]]},
  {"name":"${name}","tags":{"host":"a"},"type":"double","datapoints":[[${T1 + 3_000},3.14],[${T1 + 4_000},-0.5],[${T1 + 5_000},1e300]]},
  {"name":"${name}","tags":{"host":"a"},"datapoints":[[${-WEEKS3},1],[${WEEKS3 - 1_000},2],[${WEEKS3},3.5],[253402300799000,4]]},
  {"name":"${name}","tags":{"host":"b"},"type":"string","datapoints":[[${T1 + 6_000},"é€\\u0000😀"],[${T1 + 7_000},"a b"],[0,"epoch"]]}]`;

const series = (name: string, host: string, times: readonly number[]) =>
  JSON.stringify([
    { name, tags: { host, dc: 'eu' }, datapoints: times.map((t) => [t, t % 1_000]) },
  ]);

const everything = (name: string, tags: Record<string, string[]> = {}) =>
  JSON.stringify({
    start_absolute: -62_135_596_800_000,
    end_absolute: 253_402_300_799_999,
    time_zone: 'UTC',
    metrics: [{ name, tags, group_by: [{ name: 'tag', tags: ['host'] }], aggregators: [] }],
  });

const deletion = (name: string, range: readonly [number, number], tags = {}) =>
  JSON.stringify({
    start_absolute: range[0],
    end_absolute: range[1],
    metrics: [{ name, tags }],
  });
const ALWAYS = [-62_135_596_800_000, 253_402_300_799_999] as const;
const eventually = { timeout: 90_000, interval: 100 };

/** Together, because a JVM's start is most of the time. */
const started = new Map<string, Shared>();
beforeAll(async () => {
  if (!here) return;
  await setupKairos(old);
  const all = Object.keys(makers) as (keyof typeof makers)[];
  await Promise.all(all.map(async (maker) => started.set(maker, await share(maker))));
}, 300_000);
afterAll(async () => {
  for (const { app, java, store, address } of started.values()) {
    await Promise.all([app.close(), java.stop()]);
    await store.close();
    await dropKeyspace(address);
  }
  if (here) await dropKeyspace(old);
  if (here) rmSync(directory, { recursive: true, force: true });
}, 120_000);

describe.skipIf(!here).each(Object.keys(makers) as (keyof typeof makers)[])(
  'a keyspace %s',
  (maker) => {
    let shared: Shared;
    beforeAll(() => {
      shared = started.get(maker) as Shared;
    });

    type Side = 'java' | 'ours';
    async function send(
      side: Side,
      method: 'GET' | 'POST' | 'DELETE',
      path: string,
      body?: string,
    ) {
      if (side === 'ours') {
        const answer = await shared.app.inject({
          method,
          url: `/api/v1/${path}`,
          ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
        });
        return { status: answer.statusCode, text: answer.body };
      }
      const answer = await fetch(`${shared.java.url}/api/v1/${path}`, {
        method,
        ...(body === undefined ? {} : { body }),
      });
      return { status: answer.status, text: await answer.text() };
    }
    const change = async (side: Side, path: string, body?: string) =>
      expect(await send(side, body === undefined ? 'DELETE' : 'POST', path, body)).toEqual({
        status: 204,
        text: '',
      });
    const put = (side: Side, body: string) => change(side, 'datapoints', body);
    const ask = async (side: Side, name: string, tags?: Record<string, string[]>) => {
      const { status, text } = await send(side, 'POST', 'datapoints/query', everything(name, tags));
      expect(status, text).toBe(200);
      return text;
    };
    /** What both answer, once they agree on so many points. */
    const both = async (name: string, points: number, tags?: Record<string, string[]>) => {
      await expect
        .poll(async () => sampleSize(await ask('ours', name, tags)), eventually)
        .toBe(points);
      const ours = await ask('ours', name, tags);
      expect(await ask('java', name, tags)).toBe(ours);
      return ours;
    };

    test('holds every kind of value, time and tag that one wrote for the other', async () => {
      await put('ours', everyKind('all.of.ours'));
      const ours = await both('all.of.ours', 14);
      await put('java', everyKind('all.of.java'));
      expect(await both('all.of.java', 14)).toBe(ours.replaceAll('all.of.ours', 'all.of.java'));
      for (const side of ['ours', 'java'] as const) {
        const { text } = await send(side, 'GET', 'metricnames?prefix=all.');
        expect((JSON.parse(text) as { results: string[] }).results.sort()).toEqual([
          'all.of.java',
          'all.of.ours',
        ]);
      }
    });

    test.each([
      ['ours', 'java'],
      ['java', 'ours'],
    ] as const)(
      'loses what was written by %s and deleted by %s, and nothing else',
      async (by, from) => {
        const name = `deleted.from.${by}`;
        const row = T1 - (T1 % WEEKS3);
        const times = [row + 1_000, row + 2_000, row + 3_000, row + 4_000, row + WEEKS3 + 1_000];
        await put(by, series(name, 'a', times));
        await put(by, series(name, 'b', times));
        await both(name, 10);
        // A part of a row, of one series.
        await change(
          from,
          'datapoints/delete',
          deletion(name, [times[1]!, times[2]!], { host: 'a' }),
        );
        await both(name, 8);
        // Whole rows of one series; the other keeps its own.
        await change(from, 'datapoints/delete', deletion(name, ALWAYS, { host: ['a'] }));
        expect(await both(name, 5)).not.toContain('"a"');
        // What comes after a part was deleted is there.
        await change(from, 'datapoints/delete', deletion(name, [times[0]!, times[0]!]));
        await both(name, 4);
        await put(from, series(name, 'b', [times[0]!]));
        await both(name, 5);
        await change(from, `metric/${name}`);
        await both(name, 0);
        for (const side of ['ours', 'java'] as const) {
          const { text } = await send(side, 'GET', `metricnames?prefix=${name}`);
          expect(text).toBe('{"results":[]}');
        }
      },
    );

    test('has a tag index that both keep and both read', async () => {
      await put('ours', series(INDEXED, 'ours', [T1, T1 + WEEKS3]));
      await put('java', series(INDEXED, 'java', [T1, T1 + WEEKS3]));
      await both(INDEXED, 4, { dc: ['eu'] });
      expect(await both(INDEXED, 2, { host: ['ours'] })).toContain('"host":["ours"]');
      expect(await both(INDEXED, 2, { host: ['java'], dc: ['eu'] })).toContain('"host":["java"]');
      await both(INDEXED, 0, { host: ['ours'], dc: ['us'] });
      const indexed = async () => {
        const [ours, theirs] = await Promise.all([
          cql("SELECT tags FROM tag_indexed_row_keys WHERE tags CONTAINS 'ours' ALLOW FILTERING"),
          cql("SELECT tags FROM tag_indexed_row_keys WHERE tags CONTAINS 'java' ALLOW FILTERING"),
        ]);
        return [ours.length, theirs.length];
      };
      // Two tags of two rows each; in seconds the rows are others, and each time has one of its own too.
      expect(await indexed()).toEqual([4, 4]);
      await change('java', 'datapoints/delete', deletion(INDEXED, ALWAYS, { host: 'ours' }));
      await change('ours', 'datapoints/delete', deletion(INDEXED, ALWAYS, { host: 'java' }));
      await expect.poll(indexed, eventually).toEqual([0, 0]);
      await both(INDEXED, 0, { dc: ['eu'] });
    });

    test.each(['ours', 'java'] as const)(
      'may hold types of plug-ins: their queries fail, and %s clears them',
      async (by) => {
        const name = `complex.for.${by}`;
        const row = { metric: name, rowTimeMs: 0, type: 'kairos_complex', tags: [] };
        const { rows } = shared.store;
        await rows.writeRowTimes([{ metric: name, rowTimeMs: 0, ttlSeconds: 0 }]);
        await rows.writeRowKeys([{ row, indexedTags: [], ttlSeconds: 0 }]);
        const cell = { column: Buffer.alloc(4), value: Buffer.alloc(16), ttlSeconds: 0 };
        await rows.writeCells(batchOf([{ ...cell, key: encodeRowKey(row) }]));
        for (const side of ['ours', 'java'] as const) {
          const failed = await send(side, 'POST', 'datapoints/query', everything(name));
          expect(failed.status).toBe(500);
          if (side === 'ours') expect(failed.text).toContain('kairos_complex');
        }
        await change(by, `metric/${name}`);
        await both(name, 0);
      },
    );

    if (maker === 'made by us') {
      test('is read together with an older one, for the time that has', async () => {
        const past = new KairosStore({ rows: cassandraWideRows({ config: old }) });
        await past.connect();
        const point = (timestampMs: number, host: string) => ({
          metric: 'moved',
          tags: { host },
          timestampMs,
          value: 1n,
        });
        await past.write([point(T1, 'a'), point(T1 + 1_000, 'a'), point(T1, 'old')]);
        await past.write([{ ...point(T1, 'a'), metric: 'gone' }]);
        await put('ours', series('moved', 'new', [T1, T1 + WEEKS3]));
        await both('moved', 5);
        expect(await both('moved', 1, { host: ['old'] })).toContain('"host":["old"]');
        const { text } = await send('ours', 'GET', 'metricnames');
        const theirs = await send('java', 'GET', 'metricnames');
        const names = (answer: string) => (JSON.parse(answer) as { results: string[] }).results;
        expect(names(text).sort()).toEqual(names(theirs.text).sort());
        expect(names(text)).toContain('gone');
        // Equal points of both are both there.
        await put(
          'ours',
          JSON.stringify([{ name: 'moved', tags: { host: 'a' }, datapoints: [[T1, 1]] }]),
        );
        await both('moved', 6);
        // After its time the older one is not asked.
        const later = JSON.stringify({
          start_absolute: OLD_UNTIL + 1,
          metrics: [{ name: 'moved', tags: { host: ['a'] } }],
        });
        await past.write([point(OLD_UNTIL + 5, 'a')]);
        for (const side of ['ours', 'java'] as const) {
          const answer = await send(side, 'POST', 'datapoints/query', later);
          expect(sampleSize(answer.text)).toBe(0);
        }
        await past.close();
      });

      test('indexes tags of what was there before, when asked to', async () => {
        const before = new KairosStore({ rows: cassandraWideRows({ config: shared.address }) });
        await before.connect();
        const point = { metric: INDEXED, tags: { host: 'before' }, timestampMs: T1, value: 1n };
        await before.write([point]);
        await both(INDEXED, 0, { host: ['before'] });
        const { status } = await send(
          'ours',
          'GET',
          `datapoints/index?start_absolute=${T1}&end_absolute=${T1}&metric=${INDEXED}`,
        );
        expect(status).toBe(204);
        await both(INDEXED, 1, { host: ['before'] });
        await before.close();
      });
    }

    if (maker === 'of a KairosDB 1.2') {
      test.each(['ours', 'java'] as const)(
        'has values from before 0.9.4, until %s deletes them',
        async (by) => {
          const name = `old.for.${by}`;
          const head = Buffer.concat([Buffer.from(name), Buffer.alloc(9)]);
          const key = Buffer.concat([head, Buffer.from('host=a:')]);
          await cql(
            'INSERT INTO row_key_index (key, column1, value) VALUES (?, ?, 0x00) USING TIMESTAMP 1500000000000',
            [Buffer.from(name), key],
          );
          for (const [column, value] of [
            ['00000014', '96'],
            ['00000017', '014048f5c3'],
            ['00000019', '0240091eb851eb851f'],
            ['0000001a', ''],
            ['0000001c', 'ffffffffffffffff'],
          ] as const) {
            await cql(
              'INSERT INTO data_points (key, column1, value) VALUES (?, ?, ?) USING TIMESTAMP 1500000000000',
              [key, Buffer.from(column, 'hex'), Buffer.from(value, 'hex')],
            );
          }
          expect(await both(name, 5)).toContain(
            '[[10,150],[11,3.140000104904175],[12,3.14],[13,0],[14,-1]]',
          );
          await change(by, 'datapoints/delete', deletion(name, [12, 13]));
          await both(name, 3);
          await change(by, `metric/${name}`);
          await both(name, 0);
        },
      );
    }

    test('holds texts of services for both', async () => {
      await change('ours', 'metadata/service/key/ours', 'é from us');
      await change('java', 'metadata/service/key/java', 'from Java');
      for (const side of ['ours', 'java'] as const) {
        const read = async (key: string) =>
          (await send(side, 'GET', `metadata/service/key/${key}`)).text;
        expect([await read('ours'), await read('java')]).toEqual(['é from us', 'from Java']);
      }
      await change('java', 'metadata/service/key/ours');
      await change('ours', 'metadata/service/key/java');
      for (const side of ['ours', 'java'] as const) {
        expect((await send(side, 'GET', 'metadata/service/key')).text).toBe('{"results":[]}');
      }
    });

    test('says the same of itself to both', async () => {
      const spec = await shared.store.rows.readSpec();
      const unit =
        maker === 'of a KairosDB 1.2'
          ? 'LEGACY'
          : maker.endsWith('seconds')
            ? 'SECONDS'
            : 'MILLISECONDS';
      expect(Object.fromEntries(spec)).toEqual({
        row_time_unit: unit,
        row_width: unit === 'SECONDS' ? '1814400' : '1814400000',
      });
      expect(await collect(shared.store.rows.metricNames('all.'))).toHaveLength(2);
    });

    async function cql(query: string, parameters: readonly unknown[] = []) {
      const client = await cqlOf(shared.address);
      try {
        return await client.run(query, parameters);
      } finally {
        await client.close();
      }
    }
  },
);

const sampleSize = (answer: string): number =>
  (JSON.parse(answer) as { queries: { sample_size: number }[] }).queries[0]?.sample_size ?? -1;
