/** Cassandra is held to the contract of wide rows in a keyspace of its own, which `setup` makes. */
import { setTimeout as sleep } from 'node:timers/promises';
import cassandra from 'cassandra-driver';
import { afterAll, describe, expect, test, vi } from 'vitest';
import {
  batchOf,
  type CassandraConfig,
  cassandraWideRows,
  encodeDelete,
  encodeRowKey,
  ensureSpec,
  KairosStore,
  setupKairos,
  tagListOf,
} from '../../src/databases/kairos/index.ts';
import { collect, wideRowsSuite } from '../../src/databases/kairos/wide-rows.suite.ts';
import { Secret } from '../../src/runtime/index.ts';
import { pointsSink } from '../../src/wiring/points/index.ts';
import { needs } from '../support/require.ts';

const here = needs(['CASSANDRA_HOSTS', 'CASSANDRA_DC']);
const hosts = (process.env.CASSANDRA_HOSTS ?? '').split(',');
const datacenter = process.env.CASSANDRA_DC ?? '';
const run = Date.now().toString(36);
const keyspaces: string[] = [];

/** A keyspace that no other test uses; dropped at the end. */
const freshConfig = (name: string): CassandraConfig => {
  const keyspace = `tidemark_test_${run}_${name}`;
  keyspaces.push(keyspace);
  return { hosts, datacenter, keyspace };
};

async function cql(query: string, params: unknown[] = []): Promise<cassandra.types.Row[]> {
  const client = new cassandra.Client({ contactPoints: hosts, localDataCenter: datacenter });
  try {
    return (await client.execute(query, params, { prepare: true })).rows;
  } finally {
    await client.shutdown();
  }
}

describe.skipIf(!here)('Cassandra', () => {
  afterAll(async () => {
    for (const keyspace of keyspaces) await cql(`DROP KEYSPACE IF EXISTS "${keyspace}"`);
  });

  const opened = async (name: string) => {
    const config = freshConfig(name);
    await setupKairos(config);
    const rows = cassandraWideRows({ config });
    await rows.connect();
    return rows;
  };

  wideRowsSuite('Cassandra', async () => {
    const rows = await opened('suite');
    return {
      rows,
      passSeconds: (seconds) => sleep(seconds * 1_000),
      close: () => rows.close(),
    };
  });

  test('short rows share requests that Cassandra has no warning of', async () => {
    const rows = await opened('joined');
    const sent = vi.spyOn(cassandra.Client.prototype, 'execute');
    try {
      for (const [ttlSeconds, lengths] of [
        [0, [8]],
        [3_600, [8]],
        [0, [0]],
        [3_600, [0, 3, 500]],
      ] as const) {
        for (const perRow of [1, 2, 7, 8, 20, 44]) {
          const cells = Array.from({ length: 60 * perRow }, (_, n) => ({
            key: Buffer.from(`${ttlSeconds} ${lengths} ${perRow} ${Math.floor(n / perRow)}`),
            column: Buffer.from([0, 0, 0, n % perRow]),
            value: Buffer.alloc(lengths[n % lengths.length] as number, n),
            ttlSeconds,
          }));
          sent.mockClear();
          expect(await rows.writeCells(batchOf(cells))).toEqual([]);
          // Ten rows to a request.
          if (perRow <= 8 && lengths.length === 1) expect(sent).toHaveBeenCalledTimes(6);
          for (const { value } of sent.mock.results)
            expect(
              (await (value as Promise<cassandra.types.ResultSet>)).info.warnings ?? [],
            ).toEqual([]);
          for (let row = 0; row < 60; row += 11) {
            const of = cells.slice(row * perRow, (row + 1) * perRow);
            const read = await collect(rows.readCells({ key: of[0]?.key as Buffer }));
            expect(read).toEqual(of.map(({ column, value }) => ({ column, value })));
          }
        }
      }
    } finally {
      sent.mockRestore();
      await rows.close();
    }
  });

  test('row keys of a metric and row time share requests, and one that Cassandra refuses goes alone', async () => {
    const rows = await opened('keys');
    const sent = vi.spyOn(cassandra.Client.prototype, 'execute');
    try {
      const words = ['é', '😀 blank', ':=', 'plain', ''];
      const entries = Array.from({ length: 300 }, (_, n) => ({
        row: {
          metric: 'métrique',
          rowTimeMs: n < 290 ? 5 : -62_135_596_800_000,
          type: n % 2 === 0 ? 'kairos_long' : 'kairos_string',
          tags: tagListOf({
            [`${words[n % words.length]}n`]: String(n),
            host: n === 77 ? 'x'.repeat(66_000) : `h${n}`,
          }),
        },
        indexedTags: [],
        ttlSeconds: n % 3 === 0 ? 3_600 : 0,
      }));
      const stored = entries.filter((_, n) => n !== 77);
      expect(await rows.writeRowKeys(stored)).toEqual([]);
      // 128, 128, 33, and 10 of another time.
      expect(sent).toHaveBeenCalledTimes(4);
      for (const { value } of sent.mock.results)
        expect((await (value as Promise<cassandra.types.ResultSet>)).info.warnings ?? []).toEqual(
          [],
        );
      const there = new Set(
        (await collect(rows.rowKeys('métrique', 5))).map((row) => JSON.stringify(row)),
      );
      expect(there).toEqual(
        new Set(
          stored.filter(({ row }) => row.rowTimeMs === 5).map(({ row }) => JSON.stringify(row)),
        ),
      );
      for (const { row } of stored.slice(-3)) expect(await rows.hasRowKey(row)).toBe(true);
      expect((await rows.writeRowKeys(entries)).map(({ index }) => index)).toEqual([77]);
    } finally {
      sent.mockRestore();
      await rows.close();
    }
  });

  describe('reads that go together', () => {
    const column = (n: number) => Buffer.from([0, 0, 0, n]);

    test('give the cells of short rows as each by itself', async () => {
      const rows = await opened('short');
      const keys = Array.from({ length: 20 }, (_, n) => Buffer.from(`row ${n}`));
      const cells = keys.slice(1).flatMap((key, n) =>
        [1, 2, 3].map((at) => ({
          ...{ key, column: column(at), value: Buffer.from(`${n}.${at}`), ttlSeconds: 0 },
        })),
      );
      await rows.writeCells(batchOf(cells));
      for (const range of [{}, { last: column(2) }, { pageCells: 2 }, { limit: 2 }]) {
        for (const order of ['ascending', 'descending'] as const) {
          const together = await Promise.all(
            keys.map((key) => collect(rows.readCells({ key, ...range, order, isShort: true }))),
          );
          const alone: (typeof together)[number][] = [];
          for (const key of keys)
            alone.push(await collect(rows.readCells({ key, ...range, order })));
          expect(together).toEqual(alone);
          expect(alone.map(({ length }) => length > 0)).toEqual(keys.map((_, n) => n > 0));
        }
      }
      await rows.close();
    });

    test('give the keys of several row times in the order of the times', async () => {
      const rows = await opened('times');
      const times = [5, -2, 0, 253_401_004_800_000, -62_135_596_800_000];
      const entries = times.flatMap((rowTimeMs) =>
        ['a', 'b'].map((host) => ({
          row: { metric: 'm', rowTimeMs, type: 'kairos_long', tags: tagListOf({ host }) },
          indexedTags: [],
          ttlSeconds: 0,
        })),
      );
      await rows.writeRowKeys(entries);
      const asked = [...times, 1].toSorted((a, b) => a - b);
      const alone: unknown[] = [];
      for (const rowTimeMs of asked) alone.push(...(await collect(rows.rowKeys('m', rowTimeMs))));
      expect(alone).toHaveLength(entries.length);
      const pages = rows.rowKeysOfTimes?.('m', asked);
      expect(pages && (await collect(pages))).toEqual(alone);
      await rows.close();
    });
  });

  describe('setup', () => {
    test('makes keyspace, tables and spec once, and finds them the next time', async () => {
      const config = freshConfig('setup');
      const first = await setupKairos(config);
      expect(first.map(({ name }) => name.replace(config.keyspace, 'k'))).toEqual([
        'keyspace k',
        'table k.data_points',
        'table k.row_key_index',
        'table k.row_key_time_index',
        'table k.row_keys',
        'table k.tag_indexed_row_keys',
        'table k.string_index',
        'table k.service_index',
        'table k.spec',
        'spec row_time_unit = MILLISECONDS',
        'spec row_width = 1814400000',
      ]);
      expect(first.every(({ state }) => state === 'made')).toBe(true);
      const second = await setupKairos(config);
      expect(second.every(({ state }) => state === 'there already')).toBe(true);
      expect(second.map(({ name }) => name)).toEqual(first.map(({ name }) => name));
    });

    test('makes the tables exactly as KairosDB made its own', async () => {
      const config = freshConfig('same');
      await setupKairos(config);
      const columns = async (keyspace: string) =>
        (
          await cql(
            'SELECT table_name, column_name, kind, position, type, clustering_order FROM system_schema.columns WHERE keyspace_name = ?',
            [keyspace],
          )
        ).map((row) => Object.values(row).join(' '));
      const kairos = await columns('kairosdb');
      if (kairos.length === 0) return;
      expect(await columns(config.keyspace)).toEqual(kairos);
    });

    test('takes a keyspace with names but without a spec for one of KairosDB 1.2', async () => {
      const config = freshConfig('old');
      await setupKairos(config);
      await cql(`TRUNCATE "${config.keyspace}".spec`);
      const rows = cassandraWideRows({ config });
      await rows.connect();
      await rows.writeMetricNames(['old.metric']);
      expect(await ensureSpec(rows)).toMatchObject({ unit: 'LEGACY' });
      expect((await rows.readSpec()).get('row_time_unit')).toBe('LEGACY');
      await rows.close();
    });
  });

  test('write stamps are milliseconds of now, of inserts and of deletes', async () => {
    const config = freshConfig('stamps');
    await setupKairos(config);
    const rows = cassandraWideRows({ config });
    await rows.connect();
    const before = Date.now();
    const key = Buffer.from('row');
    const column = Buffer.alloc(4);
    await rows.writeCells(batchOf([{ key, column, value: Buffer.from('x'), ttlSeconds: 0 }]));
    await rows.writeSpec('a', 'b');
    await rows.writeMetricNames(['m']);
    const after = Date.now() + 10;
    for (const [table, where, args] of [
      ['data_points', 'key = ?', [key]],
      ['spec', "spec_type = ? AND name = 'a'", ['cluster_config']],
      ['string_index', 'key = ?', [Buffer.from('metric_names')]],
    ] as const) {
      const query = `SELECT WRITETIME(value) AS stamp FROM "${config.keyspace}".${table} WHERE ${where}`;
      const [row] = await cql(query, [...args]);
      expect(Number(row?.stamp), table).toBeGreaterThanOrEqual(before);
      expect(Number(row?.stamp), table).toBeLessThanOrEqual(after);
    }
    await rows.close();
  });

  test('what the server refuses is rejected alone, its neighbours are stored', async () => {
    const config = freshConfig('refused');
    await setupKairos(config);
    const rows = cassandraWideRows({ config });
    await rows.connect();
    const key = Buffer.from('row');
    const cells = Array.from({ length: 40 }, (_, n) => ({
      key,
      column: Buffer.from([0, 0, 0, n]),
      value: Buffer.from(`${n}`),
      ttlSeconds: n === 7 ? 630_720_001 : n === 29 ? -1 : 0,
    }));
    const tooLong = { ...cells[0]!, key: Buffer.alloc(65_536, 'k') };
    const rejections = await rows.writeCells(batchOf([...cells, tooLong]));
    expect(rejections.map(({ index }) => index).sort((a, b) => a - b)).toEqual([7, 29, 40]);
    for (const { message } of rejections) expect(message).toMatch(/TTL|ttl|length/);
    const stored = await collect(rows.readCells({ key }));
    expect(stored).toHaveLength(38);
    await rows.close();
  });

  test('names and tags up to their limits are stored, and longer ones rejected alone', async () => {
    const config = freshConfig('limits');
    await setupKairos(config);
    const store = new KairosStore({ rows: cassandraWideRows({ config }) });
    await store.connect();
    const large = 'x'.repeat(32_600);
    const point = (metric: string, tags: Record<string, string>) => ({
      metric,
      tags,
      timestampMs: 5,
      value: 1n,
    });
    const many = Object.fromEntries(Array.from({ length: 2_500 }, (_, n) => [`t${n}`, ':=:=']));
    const points = [
      point('x'.repeat(32_767), {}),
      point('x'.repeat(32_768), {}),
      point('large tags', { a: large, b: large }),
      point('larger tags', { a: large, b: large, c: 'x'.repeat(1_000) }),
      point('many tags', many),
      point('small', {}),
    ];
    const rejections = await store.write(points);
    expect(rejections.map(({ index }) => index)).toEqual([1, 3]);
    for (const index of [0, 2, 4, 5]) {
      const { metric } = points[index]!;
      const found = await collect(store.readSeries({ metric, fromMs: 0, toMs: 9 }));
      expect(found).toEqual([points[index]]);
    }
    // What the check lets through by mistake must not come back for ever as an outage.
    const row = { metric: 'x'.repeat(40_000), rowTimeMs: 0, type: 'kairos_long', tags: [] };
    const refused = await store.rows.writeRowKeys([{ row, indexedTags: [], ttlSeconds: 0 }]);
    expect(refused).toHaveLength(1);
    await store.close();
  });

  test('legacy row keys are found by slice, and deleted one by one or all', async () => {
    const config = freshConfig('legacy');
    await setupKairos(config);
    const rows = cassandraWideRows({ config });
    await rows.connect();
    const keys = ['a', 'b', 'c', 'd'].map((text) => Buffer.from(text));
    for (const key of keys) {
      await cql(
        // An old stamp: a server of 1.1 wrote it long ago.
        `INSERT INTO "${config.keyspace}".row_key_index (key, column1, value) VALUES (?, ?, 0x00) USING TIMESTAMP 1500000000000`,
        [Buffer.from('m'), key],
      );
    }
    const list = (first: string, end: string) =>
      collect(rows.legacyRowKeys('m', Buffer.from(first), Buffer.from(end)));
    expect(await list('b', 'd')).toEqual(keys.slice(1, 3));
    await rows.deleteLegacyRowKey('m', Buffer.from('b'));
    expect(await list('a', 'z')).toEqual([keys[0], keys[2], keys[3]]);
    await rows.deleteLegacyRowKeys('m');
    expect(await list('a', 'z')).toEqual([]);
    await rows.close();
  });

  test('a keyspace of before 0.9.4 is read, written and cleared in its own encoding', async () => {
    const config = freshConfig('legacy_points');
    await setupKairos(config);
    const table = (name: string) => `"${config.keyspace}".${name}`;
    await cql(`TRUNCATE ${table('spec')}`);
    const row = {
      metric: 'temp',
      rowTimeMs: 0,
      type: 'kairos_legacy',
      tags: tagListOf({ h: 'a' }),
    };
    const key = encodeRowKey(row);
    await cql(
      `INSERT INTO ${table('string_index')} (key, column1, value) VALUES (?, ?, 0x00) USING TIMESTAMP 1500000000000`,
      [Buffer.from('metric_names'), 'temp'],
    );
    await cql(
      `INSERT INTO ${table('row_key_index')} (key, column1, value) VALUES (?, ?, 0x00) USING TIMESTAMP 1500000000000`,
      [Buffer.from('temp'), key],
    );
    for (const [column, value] of [
      ['00000014', '0096'],
      ['00000017', '014048f5c3'],
      ['00000019', '0240091eb851eb851f'],
      ['0000001a', ''],
      ['0000001c', 'ffffffffffffffff'],
    ] as const) {
      await cql(
        `INSERT INTO ${table('data_points')} (key, column1, value) VALUES (?, ?, ?) USING TIMESTAMP 1500000000000`,
        [key, Buffer.from(column, 'hex'), Buffer.from(value, 'hex')],
      );
    }
    const store = new KairosStore({ rows: cassandraWideRows({ config }) });
    await store.connect();
    expect(store.spec.unit).toBe('LEGACY');
    expect(
      await store.write([{ metric: 'temp', tags: { h: 'a' }, timestampMs: 13, value: 7n }]),
    ).toEqual([]);
    const read = async () =>
      (await collect(store.readSeries({ metric: 'temp', fromMs: -Infinity, toMs: Infinity }))).map(
        ({ timestampMs, value }) => [timestampMs, value],
      );
    const points = await read();
    expect(points).toHaveLength(6);
    expect(points).toEqual(
      expect.arrayContaining([
        [10, 150n],
        [11, Math.fround(3.14)],
        [12, 3.14],
        [13, 0n],
        [13, 7n],
        [14, -1n],
      ]),
    );
    const written = encodeRowKey({ ...row, type: 'kairos_long' });
    expect(await collect(store.rows.readCells({ key: written }))).toEqual([
      { column: Buffer.from('0000001a', 'hex'), value: Buffer.from('0e', 'hex') },
    ]);
    // Cassandra refuses to look for these; in the log such a delete would be tried for ever.
    for (const metric of ['', 'x'.repeat(70_000)]) {
      await store.deleteMetric(metric);
      await store.deletePoints({ metric, fromMs: 0, toMs: 1 });
    }
    await store.deleteMetric('temp');
    expect(await read()).toEqual([]);
    expect(await cql(`SELECT key FROM ${table('row_key_index')}`)).toEqual([]);
    expect(await collect(store.rows.metricNames())).toEqual([]);
    await store.close();
  });

  describe('errors say what to do', () => {
    test('an absent server is unreachable, and worth another try', async () => {
      const rows = cassandraWideRows({
        config: { hosts: ['127.0.0.1:1'], datacenter, keyspace: 'k' },
      });
      await expect(rows.connect()).rejects.toMatchObject({
        family: 'retriable',
        code: 'SINK_UNREACHABLE',
      });
      await rows.close();
    });

    test('a missing keyspace and a wrong data centre are for the operator', async () => {
      for (const wrong of [{ keyspace: `absent_${run}` }, { datacenter: 'nowhere' }]) {
        const rows = cassandraWideRows({
          config: { hosts, datacenter, keyspace: 'system', ...wrong },
        });
        await expect(rows.connect()).rejects.toMatchObject({
          family: 'fatal',
          code: 'SINK_MISCONFIGURED',
          message: expect.stringContaining('tidemark setup'),
        });
        await rows.close();
      }
    });

    test('a keyspace without the tables is for the operator, not a refusal of the points', async () => {
      const config = freshConfig('bare');
      await cql(
        `CREATE KEYSPACE "${config.keyspace}" WITH REPLICATION = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
      );
      const rows = cassandraWideRows({ config });
      await rows.connect();
      const cell = { key: Buffer.from('k'), column: Buffer.alloc(4), value: Buffer.alloc(1) };
      await expect(rows.writeCells(batchOf([{ ...cell, ttlSeconds: 0 }]))).rejects.toMatchObject({
        family: 'fatal',
        code: 'SINK_MISCONFIGURED',
      });
      await expect(rows.check()).rejects.toMatchObject({ family: 'fatal' });
      await rows.close();
    });

    test.each([
      ['driver', 70_000],
      ['server', 65_530],
    ])(
      'a delete that the %s refuses for its values is set aside, and holds up nothing behind it',
      async (by, chars) => {
        const config = freshConfig(`refused_${by}`);
        await setupKairos(config);
        const tagIndex = new Map([['m', ['host']]]);
        const store = new KairosStore({ rows: cassandraWideRows({ config }), tagIndex });
        await store.connect();
        const timestampMs = 1_700_000_000_000;
        const tags = { host: 'a' };
        await store.write([{ metric: 'm', tags, timestampMs, value: 1n }]);
        const places: number[] = [];
        const sink = pointsSink({ name: 'p', store, onStored: (_, offset) => places.push(offset) });
        const remove = (offset: number, host: string) => ({
          partition: 0,
          offset,
          appendedAtMs: timestampMs,
          bytes: encodeDelete({
            metric: 'm',
            startMs: timestampMs,
            endMs: timestampMs + 1,
            tags: new Map([['host', [host]]]),
            withName: false,
          }),
        });
        // The index is asked for a key of more than 64 KiB.
        const rejections = await sink.write([remove(0, 'x'.repeat(chars)), remove(1, 'a')]);
        const message = expect.stringContaining('takes no such values');
        expect(rejections).toEqual([{ index: 0, message }]);
        expect(places).toEqual([1, 2]);
        const range = { fromMs: timestampMs, toMs: timestampMs + 1 };
        expect(await collect(store.readSeries({ metric: 'm', ...range }))).toEqual([]);
        await store.close();
      },
    );

    test('no host, or a name that is none, is refused before anything is tried', async () => {
      const password = new Secret('hidden');
      for (const config of [
        { hosts: [], datacenter, keyspace: 'k' },
        { hosts, datacenter, keyspace: 'drop table', username: 'u', password },
      ]) {
        const rows = cassandraWideRows({ config });
        await expect(rows.connect()).rejects.toMatchObject({ code: 'SINK_MISCONFIGURED' });
        await expect(setupKairos(config)).rejects.toMatchObject({ code: 'SINK_MISCONFIGURED' });
      }
    });
  });
});
