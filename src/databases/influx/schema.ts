/**
 * What lies where in InfluxDB: buckets with their retention, measurements and tags (mission V2, V3, S2; contract,
 * Stores). How votes and rollups become points stands with their topology.
 */
import { days, hours } from '../../model/index.ts';

export interface BucketSpec {
  readonly name: string;
  /** How long points are kept, ms; whole seconds, at least 1 h; 0 = for ever. */
  readonly retentionMs: number;
  /** Time span of one shard group, ms; the server's choice when absent. Data expires by whole groups. */
  readonly shardMs?: number;
}

/** [V3] */
export const voteBuckets: readonly BucketSpec[] = [
  { name: 'vote-latencies-raw', retentionMs: hours(24), shardMs: hours(1) },
  { name: 'vote-latencies-5m', retentionMs: days(7), shardMs: hours(24) },
  { name: 'validator-metrics', retentionMs: days(30) },
];

/** [S2] */
export const fleetBuckets: readonly BucketSpec[] = [
  { name: 'system_metrics_raw', retentionMs: days(7) },
  { name: 'system_metrics_1h', retentionMs: days(90) },
  { name: 'system_metrics_1d', retentionMs: days(365) },
  { name: 'alerts_history', retentionMs: days(30) },
];

export type RollupStep = '5m' | '1h' | '1d';

export const VOTE_MEASUREMENT = 'vote_latency';
export const ROLLUP_MEASUREMENT = 'vote_latency_rollup';

/** The bucket that keeps the rollups of a step. */
export function rollupBucket(step: RollupStep): string {
  return step === '5m' ? 'vote-latencies-5m' : 'validator-metrics';
}

export const FLEET_MEASUREMENT = 'system_metrics';

/** The bucket that holds readings (five minutes are made of them) or the rollups of a step [S2]. */
export function fleetBucket(step: RollupStep): string {
  return step === '5m' ? 'system_metrics_raw' : `system_metrics_${step}`;
}

/** What of a pubkey becomes a tag [V2]. */
export function tagOfPubkey(pubkey: string): string {
  return pubkey.slice(0, 8);
}
