/**
 * The vote topology and its feeds under names of one test run, so that runs on one Kafka, InfluxDB and Cassandra
 * don't meet. Everything on Kafka is within one namespace, which `deleteNamespace` clears away.
 */
import { randomUUID } from 'node:crypto';
import type { Topology } from '../../src/stream/index.ts';
import {
  STEPS,
  type VoteFeeds,
  type VoteLatencyTopics,
  voteFeedsFrom,
  voteLatencyBetween,
} from '../../topologies/index.ts';

export interface RunNames {
  /** Prefix of all that the run makes on Kafka. */
  readonly namespace: string;
  readonly topics: VoteLatencyTopics;
  /** What it derives, late votes and dead letters included. */
  readonly derived: readonly string[];
  readonly topology: Topology;
  readonly feeds: VoteFeeds;
  bucket(name: string): string;
  readonly keyspace: string;
}

/** Lower-case letters and digits, of one length, so that equal contents have equal sizes too. */
export const newRun = (): string => `r${randomUUID().slice(0, 8)}`;

export function runNames(run: string): RunNames {
  const namespace = `tidemark.${run}`;
  const topics: VoteLatencyTopics = {
    votes: `${namespace}.votes`,
    late: `${namespace}.votes.late`,
    rollups: (step) => `${namespace}.votes.rollup.${step}`,
  };
  const bucket = (name: string) => `test-${run}-${name}`;
  return {
    namespace,
    topics,
    derived: [
      ...STEPS.map((step) => topics.rollups(step, 'validator')),
      topics.late,
      `${topics.votes}.dead-letter`,
    ],
    topology: voteLatencyBetween(topics, `${run}.vote-latency`),
    feeds: voteFeedsFrom(topics, { feed: (name) => `${run}.${name}`, bucket }),
    bucket,
    keyspace: `test_${run}`,
  };
}
