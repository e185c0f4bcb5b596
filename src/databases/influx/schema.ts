/**
 * What lies where in InfluxDB: buckets with their retention, and how votes and rollups become points
 * (mission V2, V3, S2; contract, Stores). All fields of a point go in one line, and their types never drift.
 */
import { days, hours, type Point, type Rollup } from '../../model/index.ts';
import { pointTimestampNs } from './timestamp.ts';

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

/** What of a pubkey becomes a tag [V2]. */
export function tagOfPubkey(pubkey: string): string {
  return pubkey.slice(0, 8);
}

/** A vote as it is measured; slots are whole numbers, ms may not be (slot times of 400.5 ms round). */
export interface MeasuredVote {
  readonly validator: string;
  readonly voteAccount: string;
  readonly network: string;
  readonly votedSlot: number;
  readonly landedSlot: number;
  readonly latencySlots: number;
  readonly latencyMs: number;
  /** Event time, ms since the epoch. */
  readonly timestamp: number;
}

/** A raw vote's point [V2]; the same vote lands on the same point however often it is written. */
export function votePoint(vote: MeasuredVote): Point {
  return {
    measurement: VOTE_MEASUREMENT,
    tags: {
      network: vote.network,
      validator_id: tagOfPubkey(vote.validator),
      vote_account: tagOfPubkey(vote.voteAccount),
    },
    fields: {
      latency_slots: BigInt(vote.latencySlots),
      voted_slot: BigInt(vote.votedSlot),
      landed_slot: BigInt(vote.landedSlot),
      latency_ms: BigInt(Math.round(vote.latencyMs)),
    },
    timestampNs: pointTimestampNs(vote.timestamp, `${vote.voteAccount}:${vote.votedSlot}`),
  };
}

/** A rollup's point at its window's start; a later revision overwrites an earlier one. */
export function rollupPoint(rollup: Rollup, step: RollupStep): Point {
  const ofValidator = rollup.scope === 'validator';
  return {
    measurement: ROLLUP_MEASUREMENT,
    tags: {
      network: rollup.network,
      scope: rollup.scope,
      ...(step === '5m' ? {} : { step }),
      validator_id: ofValidator ? tagOfPubkey(rollup.id) : '',
      vote_account: tagOfPubkey(rollup.voteAccount ?? ''),
    },
    fields: {
      count: BigInt(rollup.count),
      mean: rollup.mean,
      min: rollup.min,
      max: rollup.max,
      stddev: rollup.stddev,
      p50: rollup.p50,
      p95: rollup.p95,
      p99: rollup.p99,
      moving_average: rollup.movingAverage,
    },
    timestampNs: BigInt(rollup.window.start) * 1_000_000n,
  };
}
