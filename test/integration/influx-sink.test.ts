/** The sink, the setup and the reader against a real InfluxDB 2.x. */
import { describe, expect, test } from 'vitest';
import {
  InfluxReader,
  InfluxSink,
  influxConfig,
  type Row,
  setupBuckets,
  voteBuckets,
} from '../../src/databases/influx/index.ts';
import { deliver } from '../../src/delivery/index.ts';
import { days, hours, type Point, type Rollup, type TidemarkError } from '../../src/model/index.ts';
import { rollupPoint, votePoint } from '../../topologies/index.ts';
import {
  dropBucket,
  findBucket,
  INFLUX_NAMES,
  influxFromEnvironment,
  tokenFor,
  uniqueName,
  withBucket,
} from '../support/influx.ts';
import { needs } from '../support/require.ts';

const config = influxFromEnvironment;

const at = (index: number, changes: Partial<Point> = {}): Point => ({
  measurement: 'm',
  tags: { host: `h${index % 50}` },
  fields: { v: BigInt(index) },
  timestampNs: BigInt(Date.now()) * 1_000_000n + BigInt(index),
  ...changes,
});

const series = (count: number, change: (index: number) => Partial<Point> = () => ({})) =>
  Array.from({ length: count }, (_, index) => at(index, change(index)));

async function countOf(bucket: string): Promise<number> {
  const counts = await new InfluxReader({ config: config() }).rows(
    `from(bucket: "${bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z) |> group(columns: ["_field"]) |> count()`,
    (row) => row.number('_value') ?? 0,
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

describe.skipIf(!needs(INFLUX_NAMES))('sink', () => {
  test('5,000 points are stored once, however often they are written', async () => {
    await withBucket(config(), { what: 'twice' }, async (bucket) => {
      const sink = new InfluxSink({ config: config(), bucket });
      const points = series(5_000);
      await sink.connect();
      expect(await sink.write(points)).toEqual([]);
      expect(await sink.write(points)).toEqual([]);
      expect(await countOf(bucket)).toBe(5_000);
    });
  });

  test('whole numbers beyond 2^53 keep every digit', async () => {
    await withBucket(config(), { what: 'int64' }, async (bucket) => {
      const values = [9_007_199_254_740_993n, 2n ** 63n - 1n, -(2n ** 63n)];
      await new InfluxSink({ config: config(), bucket }).write(
        values.map((v, index) => at(index, { fields: { v }, timestampNs: BigInt(index) })),
      );
      const read = await new InfluxReader({ config: config() }).rows(
        `from(bucket: "${bucket}") |> range(start: 0) |> group() |> sort(columns: ["_time"])`,
        (row) => row.bigint('_value'),
      );
      expect(read).toEqual(values);
    });
  });

  test('exactly the points with a wrong type are rejected of 5,000, over several shards', async () => {
    await withBucket(config(), { what: 'types' }, async (bucket) => {
      const sink = new InfluxSink({ config: config(), bucket });
      const weekNs = BigInt(days(7)) * 1_000_000n;
      const time = (index: number) => BigInt(index % 3) * weekNs + BigInt(index);
      await sink.write(series(6, (index) => ({ timestampNs: time(index) })));
      const isBad = (index: number) => index > 10 && (index % 97 === 0 || index % 1_001 === 5);
      const points = series(5_000, (index) => ({
        timestampNs: time(index),
        fields: isBad(index) ? { v: index % 2 ? 1.5 : 'text', other: 1 } : { v: BigInt(index) },
      }));
      const rejections = await sink.write(points);
      const bad = points.flatMap((_, index) => (isBad(index) ? [index] : []));
      expect(rejections.map(({ index }) => index).sort((a, b) => a - b)).toEqual(bad);
      expect(new Set(rejections.map(({ code }) => code))).toEqual(new Set(['FIELD_TYPE_CONFLICT']));
      expect(await countOf(bucket)).toBe(5_000 - bad.length);
    });
  });

  test('points older than the retention are rejected as that, the others stored', async () => {
    await withBucket(config(), { what: 'old', retentionMs: hours(1) }, async (bucket) => {
      const sink = new InfluxSink({ config: config(), bucket });
      const old = (index: number) => ({
        timestampNs: BigInt(Date.now() - days(2) - index) * 1_000_000n,
      });
      const points = series(5_000, (index) => (index % 4 ? old(index) : {}));
      const rejections = await sink.write(points);
      expect(rejections).toHaveLength(3_750);
      expect(rejections.every(({ index, code }) => index % 4 && code === 'OUTSIDE_RETENTION')).toBe(
        true,
      );
      expect(await countOf(bucket)).toBe(1_250);
      expect(await sink.write(series(5_000, old))).toHaveLength(5_000);
    });
  });

  test('a wrong token, a token without the right and a missing bucket are fatal, with their cure', async () => {
    await withBucket(config(), { what: 'rights' }, async (bucket) => {
      const stranger = influxConfig({ ...config(), token: 'nobody' });
      await expect(new InfluxSink({ config: stranger, bucket }).connect()).rejects.toMatchObject({
        family: 'fatal',
        code: 'INFLUX_UNAUTHORIZED',
      });
      const reading = await tokenFor(config(), bucket, ['read']);
      const writing = await tokenFor(config(), bucket, ['write']);
      try {
        const reader = new InfluxSink({ config: reading.config, bucket });
        await expect(reader.check()).rejects.toMatchObject({ code: 'INFLUX_FORBIDDEN' });
        await expect(reader.write(series(1))).rejects.toMatchObject({ code: 'INFLUX_FORBIDDEN' });
        const writer = new InfluxSink({ config: writing.config, bucket });
        await writer.connect();
        expect(await writer.write(series(1))).toEqual([]);
      } finally {
        await Promise.all([reading.revoke(), writing.revoke()]);
      }
      const nowhere = new InfluxSink({ config: config(), bucket: `${bucket}-not` });
      await expect(nowhere.check()).rejects.toMatchObject({
        code: 'INFLUX_NOT_FOUND',
        message: expect.stringContaining('tidemark setup'),
      });
    });
  });

  test('through the delivery 50,000 points arrive whole with four writers in flight', async () => {
    await withBucket(config(), { what: 'delivery' }, async (bucket) => {
      const delivery = deliver(
        new InfluxSink({ config: config(), bucket }),
        { healthIntervalMs: 0 },
        { random: () => 0.5 },
      );
      const points = series(50_000, (index) => ({ timestampNs: BigInt(index) }));
      await expect(delivery.write(points)).resolves.toEqual({ rejections: [] });
      await delivery.stop(1_000);
      expect(await countOf(bucket)).toBe(50_000);
    });
  });
});

describe.skipIf(!needs(INFLUX_NAMES))('setup', () => {
  test('buckets are created once, kept when right and mended when wrong', async () => {
    const prefix = uniqueName('setup');
    const wanted = voteBuckets.map((bucket) => ({ ...bucket, name: `${prefix}-${bucket.name}` }));
    try {
      const first = await setupBuckets(config(), wanted);
      expect(first.map(({ done, detail }) => [done, detail])).toEqual([
        ['created', 'retention 24 h'],
        ['created', 'retention 7 d'],
        ['created', 'retention 30 d'],
      ]);
      expect((await findBucket(config(), wanted[0]!.name))?.retentionRules).toEqual([
        { type: 'expire', everySeconds: 86_400, shardGroupDurationSeconds: 3_600 },
      ]);
      expect((await findBucket(config(), wanted[1]!.name))?.retentionRules).toEqual([
        { type: 'expire', everySeconds: 7 * 86_400, shardGroupDurationSeconds: 86_400 },
      ]);
      const second = await setupBuckets(config(), wanted);
      expect(second.map(({ done }) => done)).toEqual(['kept', 'kept', 'kept']);

      const forEver = { name: wanted[2]!.name, retentionMs: 0, shardMs: days(7) };
      expect(await setupBuckets(config(), [forEver])).toEqual([
        {
          bucket: forEver.name,
          done: 'changed',
          detail: 'retention 30 d → for ever, shards 24 h → 7 d',
        },
      ]);
      // Its shards of 7 days are longer than the retention now wanted: the server alone would fail with 500.
      const short = { name: forEver.name, retentionMs: hours(24) };
      expect(await setupBuckets(config(), [short])).toEqual([
        {
          bucket: forEver.name,
          done: 'changed',
          detail: expect.stringContaining('for ever → 24 h'),
        },
      ]);
      expect((await findBucket(config(), forEver.name))?.retentionRules).toEqual([
        { type: 'expire', everySeconds: 86_400, shardGroupDurationSeconds: 3_600 },
      ]);
    } finally {
      for (const { name } of wanted) await dropBucket(config(), name);
    }
  });

  test('what the server would answer with a bare 500 is refused with its reason', async () => {
    const name = uniqueName('invalid');
    for (const wrong of [
      { name, retentionMs: 1_000 },
      { name, retentionMs: hours(2), shardMs: hours(3) },
      { name: '_x', retentionMs: 0 },
      { name, retentionMs: 3_600_500 },
    ]) {
      await expect(setupBuckets(config(), [wrong])).rejects.toMatchObject({
        code: 'BUCKET_INVALID',
      });
    }
    expect(await findBucket(config(), name)).toBeUndefined();
  });

  test('an unknown organisation and a wrong token are fatal, with their cure', async () => {
    const lost = influxConfig({ ...config(), org: 'nobody' });
    await expect(setupBuckets(lost, voteBuckets)).rejects.toMatchObject({
      code: 'INFLUX_NOT_FOUND',
      message: expect.stringContaining('INFLUX_ORG'),
    });
    const stranger = influxConfig({ ...config(), token: 'nobody' });
    await expect(setupBuckets(stranger, voteBuckets)).rejects.toMatchObject({
      code: 'INFLUX_UNAUTHORIZED',
    });
  });
});

/** What the server did for each query, step by step, as its profiler names them. */
class ProfiledReader extends InfluxReader {
  readonly steps: (string | undefined)[] = [];

  override async rows<T>(flux: string, read: (row: Row) => T): Promise<readonly T[]> {
    const profile = 'import "profiler"\noption profiler.enabledProfilers = ["operator"]\n';
    const found: T[] = [];
    await super.rows(`${profile}${flux}`, (row) => {
      if (row.text('_measurement') === 'profiler/operator') this.steps.push(row.text('Type'));
      else found.push(read(row));
    });
    return found;
  }
}

describe.skipIf(!needs(INFLUX_NAMES))('reader', () => {
  const start = Math.floor(Date.now() / 300_000) * 300_000 - hours(2);
  const rollup = (index: number, changes: Partial<Rollup> = {}): Rollup => ({
    window: { start: start + index * 300_000, end: start + (index + 1) * 300_000 },
    scope: 'validator',
    id: '7Np41oeYqPefeNQEHSv1UDhYrehxin3NStELsSKCT4K2',
    voteAccount: '3N7s9zXMZ4QqvHQR15t5GNHyqc89KduzMP7423eWiD5g',
    network: 'mainnet',
    count: 500 + index,
    sum: 1_000,
    min: 1,
    max: 9,
    mean: 2.5 + index,
    stddev: 0.5,
    p50: 2,
    p95: 4.25,
    p99: 7.5,
    movingAverage: 2.4,
    digest: '',
    revision: 0,
    lineage: {
      topic: 'votes',
      partition: 0,
      firstOffset: 0,
      lastOffset: 1,
      late: 0,
      duplicates: 0,
    },
    ...changes,
  });

  test('rollups written come back in order of time, half-open, by validator and by network', async () => {
    await setupBuckets(config(), voteBuckets);
    // The buckets are the real ones, so the network's name keeps this run apart.
    const network = uniqueName('net').slice(0, 24);
    const points = [
      ...Array.from({ length: 12 }, (_, index) => rollupPoint(rollup(index, { network }))),
      rollupPoint(rollup(3, { network, revision: 1, count: 999 })),
      rollupPoint(rollup(0, { network, scope: 'network', id: network, count: 77 })),
      rollupPoint(rollup(0, { network, id: 'SomebodyElse' })),
    ];
    expect(
      await new InfluxSink({ config: config(), bucket: 'vote-latencies-5m' }).write(points),
    ).toEqual([]);
    await new InfluxSink({ config: config(), bucket: 'validator-metrics' }).write([
      rollupPoint(rollup(0, { network, count: 6_000 }), '1h'),
      rollupPoint(rollup(0, { network, count: 144_000 }), '1d'),
    ]);
    const reader = new InfluxReader({ config: config() });
    const range = { network, from: start, to: start + 11 * 300_000 } as const;
    const metrics = await reader.getValidatorMetrics({ ...range, id: rollup(0).id, step: '5m' });
    expect(metrics.map(({ count }) => count)).toEqual([
      500, 501, 502, 999, 504, 505, 506, 507, 508, 509, 510,
    ]);
    expect(metrics[0]).toEqual({
      start,
      network,
      validatorId: '7Np41oeY',
      voteAccount: '3N7s9zXM',
      count: 500,
      mean: 2.5,
      min: 1,
      max: 9,
      stddev: 0.5,
      p50: 2,
      p95: 4.25,
      p99: 7.5,
      movingAverage: 2.4,
    });
    const stats = await reader.getNetworkStats({ ...range, id: network, step: '5m' });
    expect(stats.map(({ count, validatorId }) => [count, validatorId])).toEqual([[77, undefined]]);
    for (const [step, count] of [
      ['1h', 6_000],
      ['1d', 144_000],
    ] as const) {
      const [only] = await reader.getValidatorMetrics({ ...range, id: rollup(0).id, step });
      expect(only?.count).toBe(count);
    }
    // [V6]: under 100 ms for recent data; that follows from the store's index finding the rollups that are asked
    // for, and no other being read and filtered out.
    const profiled = new ProfiledReader({ config: config() });
    await profiled.getValidatorMetrics({ ...range, id: rollup(0).id, step: '5m' });
    expect(profiled.steps).toContain('*influxdb.readFilterSource');
    expect(profiled.steps.filter((step) => step?.includes('filterTransformation'))).toEqual([]);
  });

  test('text in a query is text, whatever is in it', async () => {
    const reader = new InfluxReader({ config: config() });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Flux interpolates this way.
    for (const id of ['" or true or r.x == "', '\\', '${1 + 1}', 'a"b\\"']) {
      const found = await reader.getNetworkStats({ id, step: '5m', from: start, to: start + 1 });
      expect(found).toEqual([]);
    }
  });

  test('an error in the middle of an answer is an error, not a row', async () => {
    const failing = `import "array"
array.from(rows: [{_value: 1}]) |> yield(name: "first")
array.from(rows: [{_value: 0}]) |> map(fn: (r) => ({_value: 1 / r._value})) |> yield(name: "second")`;
    const seen: unknown[] = [];
    const error = await new InfluxReader({ config: config() })
      .rows(failing, (row) => seen.push(row.number('_value')))
      .then(
        () => undefined,
        (thrown: unknown) => thrown as TidemarkError,
      );
    expect(error?.message).toContain('cannot divide by zero');
    // A server that finds it before it has sent anything answers 400, with no row before.
    expect([
      { family: 'retriable', code: 'QUERY_FAILED', seen: [1] },
      { family: 'fatal', code: 'QUERY_INVALID', seen: [] },
    ]).toContainEqual({ family: error?.family, code: error?.code, seen });
  });

  test('a missing bucket, a wrong query and too large an answer are fatal, each by its code', async () => {
    const reader = new InfluxReader({ config: config(), rowsMax: 10 });
    const rows = (flux: string) => reader.rows(flux, (row) => row.text('_value'));
    await expect(rows('from(bucket: "no such") |> range(start: 0)')).rejects.toMatchObject({
      code: 'INFLUX_NOT_FOUND',
    });
    await expect(rows('from(')).rejects.toMatchObject({ code: 'QUERY_INVALID' });
    await expect(
      rows(
        'import "generate"\ngenerate.from(count: 11, fn: (n) => n, start: 2021-01-01T00:00:00Z, stop: 2021-01-02T00:00:00Z)',
      ),
    ).rejects.toMatchObject({ code: 'QUERY_TOO_LARGE' });
    await expect(
      reader.getNetworkStats({ id: 'x', step: '5m', from: 2, to: 1 }),
    ).rejects.toMatchObject({ code: 'RANGE_INVALID' });
  });
});

test('a vote is one point however often it comes, and two votes in one millisecond are two', async ({
  skip,
}) => {
  if (!needs(INFLUX_NAMES)) skip();
  await withBucket(config(), { what: 'votes' }, async (bucket) => {
    const vote = (votedSlot: number) =>
      votePoint({
        validator: '7Np41oeYqPefeNQEHSv1UDhYrehxin3NStELsSKCT4K2',
        voteAccount: '3N7s9zXMZ4QqvHQR15t5GNHyqc89KduzMP7423eWiD5g',
        network: 'mainnet',
        votedSlot,
        landedSlot: votedSlot + 2,
        timestamp: 1_732_147_200_123,
      });
    const sink = new InfluxSink({ config: config(), bucket });
    await sink.write([vote(312_345_678), vote(312_345_679), vote(312_345_678)]);
    await sink.write([vote(312_345_679)]);
    // Two points of four fields.
    expect(await countOf(bucket)).toBe(8);
  });
});
