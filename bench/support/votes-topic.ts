/** Fills a Kafka topic with the race's votes (../shared/peers.md), once: a topic that is already full is kept. */
import { openKafkaBroker } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';

export interface VotesTopic {
  readonly topic: string;
  readonly records: number;
}

/** In the race: 2.5 M votes in an hour of event time, 24,000 windows of 2,000 validators. */
const RECORDS_PER_HOUR = 2_500_000;

export async function fillVotesTopic(
  brokers: readonly string[],
  options: { readonly records: number; readonly partitions?: number },
): Promise<VotesTopic> {
  const { records, partitions = 8 } = options;
  const topic = `bench.votes.${records}.${partitions}`;
  const broker = await openKafkaBroker({ brokers, compression: 'none' });
  try {
    await broker.createTopics([{ name: topic, partitions }]);
    const [description] = await broker.describeTopics([topic]);
    const stored = description?.partitions.reduce((sum, p) => sum + p.nextOffset, 0) ?? 0;
    if (stored >= records) return { topic, records: stored };
    if (stored > 0) throw new Error(`topic ${topic} is half filled; delete it`);
    const votes = simulateVotes({
      seed: 1,
      startMs: 1_757_500_200_000,
      count: records,
      ratePerSecond: RECORDS_PER_HOUR / 3_600,
    });
    let batch: { key: Buffer; value: Buffer }[] = [];
    for (const vote of votes) {
      batch.push(vote);
      if (batch.length === 20_000) {
        await broker.append(topic, batch);
        batch = [];
      }
    }
    if (batch.length > 0) await broker.append(topic, batch);
    return { topic, records };
  } finally {
    await broker.close();
  }
}
