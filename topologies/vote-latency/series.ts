/**
 * How votes and their rollups become points, and the feeds that carry them to the databases. A feed is a
 * topology that ends in a sink: it has a cursor of its own, and its database's outage stalls nothing else.
 */
import {
  type DataPoint,
  minutes,
  type Point,
  pointTimestampNs,
  type Rollup,
} from '../../src/model/index.ts';
import { dedup, type Topology, topology } from '../../src/stream/index.ts';
import { rollupCodec } from './rollup-record.ts';
import { SLOT_MS, type Vote, voteCodec } from './vote.ts';
import { STEPS, type StepName } from './vote-latency.ts';

/** InfluxDB tags hold the first characters of a key, as the old monitor's did [V2]. */
const short = (key: string): string => key.slice(0, 8);

/** A raw vote for InfluxDB [V2]. A late vote is a raw point too; a repetition is none. */
export function votePoint(vote: Vote): Point {
  const latencySlots = vote.landedSlot - vote.votedSlot;
  return {
    measurement: 'vote_latency',
    tags: {
      network: vote.network,
      validator_id: short(vote.validator),
      vote_account: short(vote.voteAccount),
    },
    fields: {
      latency_slots: BigInt(latencySlots),
      voted_slot: BigInt(vote.votedSlot),
      landed_slot: BigInt(vote.landedSlot),
      latency_ms: BigInt(Math.round(latencySlots * (vote.slotMs ?? SLOT_MS))),
    },
    timestampNs: pointTimestampNs(vote.timestamp, `${vote.voteAccount}:${vote.votedSlot}`),
  };
}

/** A raw vote for KairosDB; two votes of one account in one millisecond share a point (contract). */
export function voteDataPoint(vote: Vote): DataPoint {
  return {
    metric: 'vote_latency',
    tags: { validator: vote.validator, vote_account: vote.voteAccount, network: vote.network },
    timestampMs: vote.timestamp,
    value: BigInt(vote.landedSlot - vote.votedSlot),
  };
}

/** A rollup for InfluxDB; `step` only where one bucket holds several. Percentiles are floats, counts integers. */
export function rollupPoint(rollup: Rollup, step?: StepName): Point {
  return {
    measurement: 'vote_latency_rollup',
    tags: {
      network: rollup.network,
      scope: rollup.scope,
      ...(step !== undefined && { step }),
      ...(rollup.scope === 'validator' && { validator_id: short(rollup.id) }),
      ...(rollup.voteAccount !== undefined && { vote_account: short(rollup.voteAccount) }),
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

/** A rollup for KairosDB: one metric per figure, at the window's start. */
export function rollupDataPoints(rollup: Rollup, step: StepName): readonly DataPoint[] {
  const tags = { scope: rollup.scope, id: rollup.id, network: rollup.network, step };
  const point = (figure: string, value: bigint | number): DataPoint => ({
    metric: `vote_latency.${figure}`,
    tags,
    timestampMs: rollup.window.start,
    value,
  });
  return [
    point('count', BigInt(rollup.count)),
    point('mean', rollup.mean),
    point('p50', rollup.p50),
    point('p95', rollup.p95),
    point('p99', rollup.p99),
  ];
}

/** The step that a rollup's window has. */
export function stepOf(rollup: Rollup): StepName {
  const sizeMs = rollup.window.end - rollup.window.start;
  return sizeMs === minutes(5) ? '5m' : sizeMs === minutes(60) ? '1h' : '1d';
}

const rollupTopics = STEPS.map((step) => `votes.rollup.${step}`);

/** Votes once each: the topology that dead-letters what can't be read does so; feeds pass over it. */
const rawVotes = (
  name: string,
  sink: string,
  points: (vote: Vote) => readonly unknown[],
): Topology =>
  topology(name, ({ source }) => {
    source('votes', voteCodec, { rejects: 'skip' })
      .pipe('dedup', dedup({ by: ['voteAccount', 'votedSlot'], withinMs: minutes(10) }))
      .into(sink, points);
  });

const rollups = (
  name: string,
  sink: string,
  from: readonly string[],
  points: (rollup: Rollup) => readonly unknown[],
): Topology =>
  topology(name, ({ source }) => {
    for (const topic of from)
      source(topic, rollupCodec, {
        rejects: 'skip',
        futureToleranceMs: Number.POSITIVE_INFINITY,
      }).into(sink, points);
  });

/** Feeds to InfluxDB; the sink's name is the bucket [V3]. */
export const influxFeeds: readonly Topology[] = [
  rawVotes('influx.votes', 'influx:vote-latencies-raw', (vote) => [votePoint(vote)]),
  rollups('influx.rollups-5m', 'influx:vote-latencies-5m', ['votes.rollup.5m'], (r) => [
    rollupPoint(r),
  ]),
  rollups(
    'influx.validator-metrics',
    'influx:validator-metrics',
    ['votes.rollup.1h', 'votes.rollup.1d'],
    (r) => [rollupPoint(r, stepOf(r))],
  ),
];

/** Feeds to the KairosDB-schema store, Cassandra's or the embedded one. */
export const kairosFeeds: readonly Topology[] = [
  rawVotes('kairos.votes', 'kairos', (vote) => [voteDataPoint(vote)]),
  rollups('kairos.rollups', 'kairos', rollupTopics, (r) => rollupDataPoints(r, stepOf(r))),
];

/** Feed of this process's own store of rollups, which answers the history endpoints. */
export const historyFeed: Topology = rollups('history', 'history', rollupTopics, (r) => [r]);
