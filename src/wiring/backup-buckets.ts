/** InfluxDB's buckets as `tidemark backup` and `restore` see them. */
import {
  type BucketManifest,
  backUpShard,
  bucketManifests,
  fleetBuckets,
  restoreBucket,
  shardsOf,
  voteBuckets,
} from '../databases/influx/index.ts';
import type { BucketsPort, Json } from '../jobs/index.ts';
import type { Settings } from '../runtime/index.ts';
import { influxOf } from './feeds.ts';

const ours = [...voteBuckets, ...fleetBuckets].map(({ name }) => name);

/** The buckets named, all of which must be there, or those of ours that are; undefined when no InfluxDB is configured. */
export function bucketsOf(settings: Settings, names?: readonly string[]): BucketsPort | undefined {
  const config = influxOf(settings);
  if (config === undefined) return undefined;
  return {
    async manifests(signal) {
      const found = await bucketManifests(config, names ?? ours, signal, {
        missing: names ? 'refuse' : 'skip',
      });
      return found.map((manifest) => ({
        name: manifest.bucketName,
        shards: shardsOf(manifest),
        manifest: manifest as unknown as Json,
      }));
    },
    backUpShard: (shard, file, signal) => backUpShard(config, shard, file, signal),
    restore: (manifest, fileOf, signal) =>
      restoreBucket(config, { manifest: manifest as unknown as BucketManifest, fileOf, signal }),
  };
}
