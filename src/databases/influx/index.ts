/** InfluxDB 2.x: a sink for points, a reader of rollups, and the setup of buckets. */
export {
  type BucketManifest,
  backUpShard,
  bucketManifests,
  restoreBucket,
  shardsOf,
} from './backup.ts';
export { encodeLine, storedMeasurement, storedName } from './codec.ts';
export { type InfluxConfig, influxConfig, influxConfigSchema } from './config.ts';
export type { RollupQuery } from './flux.ts';
export { type FluxTask, type FluxTaskReport, fluxTasks, setupFluxTasks } from './flux-tasks.ts';
export { bucketInfluxql, type InfluxqlConfig, InfluxqlReader } from './influxql.ts';
export type { QueryTemplate, QueryValues } from './query-template.ts';
export { InfluxReader, type InfluxReaderOptions, type RollupRange } from './reader.ts';
export type { InfluxRollup, Row } from './row.ts';
export {
  type BucketSpec,
  fleetBuckets,
  ROLLUP_MEASUREMENT,
  type RollupStep,
  rollupBucket,
  tagOfPubkey,
  VOTE_MEASUREMENT,
  voteBuckets,
} from './schema.ts';
export { type BucketReport, bucketRetentionMs, setupBuckets } from './setup.ts';
export { InfluxSink, type InfluxSinkOptions } from './sink.ts';
export { type QueryName, type QueryRow, queryTemplates } from './templates.ts';
