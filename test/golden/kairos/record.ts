/**
 * Records what a real KairosDB 1.3 writes to Cassandra: `node test/golden/kairos/record.ts` with KAIROSDB_URL,
 * CASSANDRA_HOSTS and CASSANDRA_DC set and the server on a keyspace in MILLISECONDS mode. Run once per server
 * release; never to turn a red test green.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import cassandra from 'cassandra-driver';

interface Case {
  readonly name: string;
  readonly tags: Record<string, string>;
  readonly type: 'long' | 'double' | 'string';
  /** Values as JSON texts, so that 64-bit numbers survive. */
  readonly points: readonly (readonly [number, string])[];
}

const T1 = 1609459200123;
const cases: readonly Case[] = [
  {
    name: 'longs',
    tags: { host: 'web1', dc: 'eu' },
    type: 'long',
    points: [
      [T1, '0'],
      [T1 + 1, '1'],
      [T1 + 2, '-1'],
      [T1 + 3, '63'],
      [T1 + 4, '64'],
      [T1 + 5, '-64'],
      [T1 + 6, '-65'],
      [T1 + 7, '150'],
      [T1 + 8, '1234567890123'],
      [T1 + 9, '2251799813685247'],
      [T1 + 10, '2251799813685248'],
      [T1 + 11, '-2251799813685249'],
      [T1 + 12, '9223372036854775807'],
      [T1 + 13, '-9223372036854775808'],
    ],
  },
  {
    name: 'doubles',
    tags: { host: 'web1', dc: 'eu' },
    type: 'double',
    points: [
      [T1, '3.14'],
      [T1 + 1, '0.0'],
      [T1 + 2, '-0.0'],
      [T1 + 3, '-1.5'],
      [T1 + 4, '4.9e-324'],
      [T1 + 5, '1.7976931348623157e308'],
    ],
  },
  {
    name: 'strings',
    tags: { host: 'web1' },
    type: 'string',
    points: [
      [T1, '"hello"'],
      [T1 + 1, JSON.stringify('é€\u0000😀')],
      [T1 + 2, '"12.50"'],
      [T1 + 3, JSON.stringify('x'.repeat(300))],
    ],
  },
  {
    name: 'awkward tags',
    tags: {
      'k:1=x': 'v=1:y',
      ':': '=',
      'a b': '::==',
      été: 'ü',
      10: 'ten',
      9: 'nine',
      __proto__x: 'p',
    },
    type: 'long',
    points: [[T1, '7']],
  },
  {
    name: 'tags in UTF-16 order, not UTF-8 order',
    tags: { '～': 'after', '😀': 'before' },
    type: 'long',
    points: [[T1, '7']],
  },
  { name: 'été', tags: { h: 'ü' }, type: 'long', points: [[0, '7']] },
  {
    name: 'negative times',
    tags: { h: 'a' },
    type: 'long',
    points: [
      [-1, '1'],
      [-5, '5'],
      [-1814400000, '2'],
      [-1814400001, '3'],
      [-62135596800000, '4'],
    ],
  },
  {
    name: 'row edges',
    tags: { h: 'a' },
    type: 'long',
    points: [
      [0, '1'],
      [1814399999, '2'],
      [1814400000, '3'],
      [1700000000000, '4'],
      [253402300799999, '5'],
    ],
  },
];

const run = Date.now().toString(36);
const [host = ''] = (process.env.CASSANDRA_HOSTS ?? '').split(',');
const client = new cassandra.Client({
  contactPoints: [host],
  localDataCenter: process.env.CASSANDRA_DC ?? 'datacenter1',
  keyspace: 'kairosdb',
  encoding: { map: Map },
});
const url = process.env.KAIROSDB_URL;
const version = (await (await fetch(`${url}/api/v1/version`)).json()) as { version: string };
const recorded = [];
for (const { name, tags, type, points } of cases) {
  const metric = `golden.${run}.${name}`;
  const body = `{"name":${JSON.stringify(metric)},"type":"${type}","tags":${JSON.stringify(tags)},"datapoints":[${points
    .map(([time, value]) => `[${time},${value}]`)
    .join(',')}]}`;
  const response = await fetch(`${url}/api/v1/datapoints`, { method: 'POST', body });
  if (response.status !== 204)
    throw new Error(`${name}: ${response.status} ${await response.text()}`);
  await sleep(2_000);
  const times = await client.execute(
    'SELECT row_time FROM row_key_time_index WHERE metric = ? AND table_name = ?',
    [metric, 'data_points'],
    { prepare: true },
  );
  const rowKeys = [];
  for (const { row_time } of times.rows) {
    const keys = await client.execute(
      'SELECT row_time, data_type, tags, value FROM row_keys WHERE metric = ? AND table_name = ? AND row_time = ?',
      [metric, 'data_points', row_time],
      { prepare: true },
    );
    for (const row of keys.rows) {
      rowKeys.push({
        rowTimeMs: row.row_time.getTime(),
        type: row.data_type,
        tags: [...row.tags],
        value: row.value,
      });
    }
  }
  const prefix = Buffer.from(`${metric}\0`);
  const all = await client.execute('SELECT key, column1, value FROM data_points', [], {
    fetchSize: 5_000,
  });
  const cells = [];
  for await (const row of all) {
    if (!row.key.subarray(0, prefix.length).equals(prefix)) continue;
    cells.push({
      key: row.key.toString('hex'),
      column: row.column1.toString('hex'),
      value: row.value.toString('hex'),
    });
  }
  cells.sort((a, b) => (a.key + a.column < b.key + b.column ? -1 : 1));
  recorded.push({ name, metric, tags: Object.entries(tags), type, points, rowKeys, cells });
}
await client.shutdown();
const file = new URL('rows-1.3.0.json', import.meta.url);
writeFileSync(file, `${JSON.stringify({ version: version.version, cases: recorded }, null, 1)}\n`);
