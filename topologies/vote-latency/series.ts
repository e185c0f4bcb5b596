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
import { STEPS, type StepName, type VoteLatencyTopics, voteLatencyTopics } from './vote-latency.ts';

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
    tags: {
      validator: vote.validator,
      vote_account: vote.voteAccount,
      network: vote.network,
    },
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

/** The feeds that carry votes and their rollups to databases. */
export interface VoteFeeds {
  /** To InfluxDB; a sink's name is `influx:` and the bucket [V3]. */
  readonly influx: readonly Topology[];
  /** To the KairosDB-schema store, Cassandra's or the embedded one. */
  readonly kairos: readonly Topology[];
  /** To this process's own store of rollups, which answers the history endpoints. */
  readonly history: Topology;
}

export interface VoteFeedNames {
  /** Of a feed, which names its consumer group. Default: as it is. */
  readonly feed?: (name: string) => string;
  /** Of an InfluxDB bucket. Default: as it is. */
  readonly bucket?: (name: string) => string;
}

/** The same feeds from other topics, and into other buckets. */
export function voteFeedsFrom(
  { votes, rollups: topicOf }: VoteLatencyTopics,
  { feed = (name) => name, bucket = (name) => name }: VoteFeedNames = {},
): VoteFeeds {
  const topicsOf = (...steps: StepName[]) => [
    ...new Set(steps.flatMap((step) => [topicOf(step, 'validator'), topicOf(step, 'network')])),
  ];
  const influx = (name: string) => `influx:${bucket(name)}`;
  return {
    influx: [
      rawVotes(feed('influx.votes'), influx('vote-latencies-raw'), votes, (vote) => [
        votePoint(vote),
      ]),
      rollups(feed('influx.rollups-5m'), influx('vote-latencies-5m'), topicsOf('5m'), (r) => [
        rollupPoint(r),
      ]),
      rollups(
        feed('influx.validator-metrics'),
        influx('validator-metrics'),
        topicsOf('1h', '1d'),
        (r) => [rollupPoint(r, stepOf(r))],
      ),
    ],
    kairos: [
      rawVotes(feed('kairos.votes'), 'kairos', votes, (vote) => [voteDataPoint(vote)]),
      rollups(feed('kairos.rollups'), 'kairos', topicsOf(...STEPS), (r) =>
        rollupDataPoints(r, stepOf(r)),
      ),
    ],
    history: rollups(feed('history'), 'history', topicsOf(...STEPS), (r) => [r]),
  };
}

export const voteFeeds: VoteFeeds = voteFeedsFrom(voteLatencyTopics);

/** Votes once each: the topology that dead-letters what can't be read does so; feeds pass over it. */
function rawVotes(
  name: string,
  sink: string,
  from: string,
  points: (vote: Vote) => readonly unknown[],
): Topology {
  return topology(name, ({ source }) => {
    source(from, voteCodec, { rejects: 'skip' })
      .pipe('dedup', dedup({ by: ['voteAccount', 'votedSlot'], withinMs: minutes(10) }))
      .into(sink, points);
  });
}

function rollups(
  name: string,
  sink: string,
  from: readonly string[],
  points: (rollup: Rollup) => readonly unknown[],
): Topology {
  return topology(name, ({ source }) => {
    for (const topic of from)
      source(topic, rollupCodec, {
        rejects: 'skip',
        futureToleranceMs: Number.POSITIVE_INFINITY,
      }).into(sink, points);
  });
}
