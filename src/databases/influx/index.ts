/** InfluxDB 2.x: a sink for points, a reader of rollups, and the setup of buckets. */
export { encodeLine } from './codec.ts';
export { type InfluxConfig, influxConfig, influxConfigSchema } from './config.ts';
export type { RollupQuery } from './flux.ts';
export {
  InfluxReader,
  type InfluxReaderOptions,
  type InfluxRollup,
  type RollupRange,
  type Row,
} from './reader.ts';
export {
  type BucketSpec,
  fleetBuckets,
  type MeasuredVote,
  ROLLUP_MEASUREMENT,
  type RollupStep,
  rollupBucket,
  rollupPoint,
  tagOfPubkey,
  VOTE_MEASUREMENT,
  voteBuckets,
  votePoint,
} from './schema.ts';
export { type BucketReport, setupBuckets } from './setup.ts';
export { InfluxSink, type InfluxSinkOptions } from './sink.ts';
export { pointTimestampNs } from './timestamp.ts';
