/**
 * Votes that were migrated beside live ones: the same drawing and the same raw feeds, from a topic of their own. They
 * are not run, only replayed, into the sinks of the live ones.
 */
import { voteFeedsFrom, voteLatencyBetween, voteLatencyTopics } from '../../topologies/index.ts';
import { MIGRATED_TOPIC } from '../jobs/index.ts';
import type { Topology } from '../stream/index.ts';

const topics = { ...voteLatencyTopics, votes: MIGRATED_TOPIC, late: `${MIGRATED_TOPIC}.late` };

export const migratedRollups: Topology = voteLatencyBetween(topics, 'vote-latency.migrated');

const feeds = voteFeedsFrom(topics, { feed: (name) => `${name}.migrated` });

/** What may be replayed, as far as its sink is configured. */
export function migratedTopologies(sinks: ReadonlySet<string>): readonly Topology[] {
  const raw = [...feeds.influx, ...feeds.kairos].filter(
    (feed) =>
      feed.sources.every(({ topic }) => topic === MIGRATED_TOPIC) &&
      feed.sinks.every((sink) => sinks.has(sink)),
  );
  return [migratedRollups, ...raw];
}
