/** Buckets out of a real InfluxDB 2.x and back, byte for byte. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  backUpShard,
  bucketManifests,
  InfluxReader,
  InfluxSink,
  restoreBucket,
  shardsOf,
} from '../../src/databases/influx/index.ts';
import { days, type Point } from '../../src/model/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import {
  dropBucket,
  findBucket,
  INFLUX_NAMES,
  influxFromEnvironment,
  uniqueName,
  withBucket,
} from '../support/influx.ts';
import { needs } from '../support/require.ts';

const config = influxFromEnvironment;

/** Three weeks in three shards, all types, awkward texts, whole numbers beyond 2^53. */
const points = (): readonly Point[] =>
  Array.from({ length: 3_000 }, (_, i) => ({
    measurement: 'm',
    tags: { host: `h ${i % 7},=` },
    fields: {
      whole: 9_007_199_254_740_993n + BigInt(i),
      real: i / 7,
      text: `line\n"${i}"`,
      yes: i % 2 === 0,
    },
    timestampNs: 1_790_000_000_000_000_000n + BigInt(i) * 604_800_000_000n + 1n,
  }));

const contentOf = (bucket: string): Promise<readonly string[]> =>
  new InfluxReader({ config: config() }).rows(
    `from(bucket: "${bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z) |> toString() |> group() |> sort(columns: ["_time", "host", "_field"])`,
    (row) => `${row.text('_time')} ${row.text('host')} ${row.text('_field')} ${row.text('_value')}`,
  );

async function backUp(bucket: string): Promise<{
  manifest: Awaited<ReturnType<typeof bucketManifests>>[number];
  fileOf: (shard: number) => string | undefined;
}> {
  const directory = await temporaryDirectory();
  const [manifest] = await bucketManifests(config(), [bucket]);
  if (manifest === undefined) throw new Error('no manifest');
  const files = new Map<number, string>();
  for (const shard of shardsOf(manifest)) {
    const file = join(directory, `${shard}.tar.gz`);
    if (await backUpShard(config(), shard, file)) files.set(shard, file);
  }
  return { manifest, fileOf: (shard) => files.get(shard) };
}

describe.skipIf(!needs(INFLUX_NAMES))('backup of buckets', () => {
  test('a bucket that was lost comes back with every point, retention and shards', async () => {
    await withBucket(config(), { what: 'backup', retentionMs: days(3_650) }, async (bucket) => {
      await new InfluxSink({ config: config(), bucket }).write(points());
      const before = await contentOf(bucket);
      const rules = (await findBucket(config(), bucket))?.retentionRules;
      expect(before.length).toBe(12_000);
      const backup = await backUp(bucket);
      expect(shardsOf(backup.manifest).length).toBeGreaterThan(1);

      await dropBucket(config(), bucket);
      await restoreBucket(config(), backup);
      expect(await contentOf(bucket)).toEqual(before);
      expect((await findBucket(config(), bucket))?.retentionRules).toEqual(rules);
    });
  });

  test('a restore that was cut leaves no bucket of that name, and the next one is whole', async () => {
    await withBucket(config(), { what: 'cut', retentionMs: days(3_650) }, async (bucket) => {
      await new InfluxSink({ config: config(), bucket }).write(points());
      const before = await contentOf(bucket);
      const backup = await backUp(bucket);
      await dropBucket(config(), bucket);
      const last = shardsOf(backup.manifest).at(-1);
      const cut = restoreBucket(config(), {
        manifest: backup.manifest,
        fileOf: (shard) =>
          shard === last ? join(tmpdir(), 'no-such.tar.gz') : backup.fileOf(shard),
      });
      await expect(cut).rejects.toThrow(/no-such/);
      expect(await findBucket(config(), bucket)).toBeUndefined();

      await restoreBucket(config(), backup);
      expect(await contentOf(bucket)).toEqual(before);
      expect(await findBucket(config(), `${bucket}.restoring`)).toBeUndefined();
    });
  });

  test('a bucket that stands is not touched', async () => {
    await withBucket(config(), { what: 'stands' }, async (bucket) => {
      const backup = await backUp(bucket);
      await expect(restoreBucket(config(), backup)).rejects.toMatchObject({
        code: 'BUCKET_EXISTS',
      });
    });
  });

  test('a bucket that is missing is named before anything is read', async () => {
    const missing = uniqueName('missing');
    await expect(bucketManifests(config(), [missing])).rejects.toThrow(missing);
  });
});
