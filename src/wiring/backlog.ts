/** What each feed's sink has not stored yet: the stretch of its topics behind its cursor [T4]. */
import type { BacklogView } from '../api/index.ts';
import type { Broker, RecordBatch, TopicPartition } from '../broker/index.ts';
import type { Clock } from '../runtime/index.ts';
import type { BoundFeed } from './feeds.ts';

interface Waiting {
  readonly points: number;
  readonly bytes: number;
  readonly oldestMs: number | undefined;
}

/** Asks the log, so it is right also for feeds that another process runs. `dropped`: points given up by `clear`. */
export async function backlogOf(
  broker: Broker,
  bound: BoundFeed,
  clock: Clock,
  dropped: number,
): Promise<BacklogView> {
  const { feed, delivery } = bound;
  const topics = feed.sources.map((source) => source.topic);
  const committed = await broker.committedOffsets(bound.group);
  const waiting: Waiting[] = [];
  for (const { name: topic, partitions } of await broker.describeTopics(topics)) {
    for (const { partition, firstOffset, nextOffset } of partitions) {
      const at =
        committed.find((c) => c.topic === topic && c.partition === partition)?.offset ??
        firstOffset;
      if (at < nextOffset)
        waiting.push(await waitingFrom(broker, bound, { topic, partition }, at, nextOffset));
    }
  }
  const sum = (of: (w: Waiting) => number) => waiting.reduce((total, w) => total + of(w), 0);
  const oldest = Math.min(...waiting.map((w) => w.oldestMs ?? Number.POSITIVE_INFINITY));
  const state = delivery?.state();
  return {
    sink: feed.name,
    topic: topics.join(', '),
    points: sum((w) => w.points),
    bytes: sum((w) => w.bytes),
    oldestAgeMs: Number.isFinite(oldest) ? Math.max(0, clock.now() - oldest) : null,
    dropped,
    rejected: state?.rejected ?? 0,
    breaker: state?.breaker ?? 'closed',
    lastError: state?.lastError?.message ?? null,
    nextAttemptAt: state?.nextAttemptAtMs ?? null,
  };
}

/** Bytes, and points of records that hold several, are told from the first records: their mean times the count. */
async function waitingFrom(
  broker: Broker,
  { weigh }: BoundFeed,
  at: TopicPartition,
  from: number,
  end: number,
): Promise<Waiting> {
  const batch = await broker.read({ ...at, from, maxBytes: 64 * 1024 });
  // Only markers of transactions lie between.
  if (batch === null || batch.count === 0) return { points: 0, bytes: 0, oldestMs: undefined };
  const records = end - (batch.offsets[0] as number);
  const meanBytes = batch.byteLength / batch.count;
  const meanPoints = weigh === undefined ? 1 : pointsIn(batch, weigh) / batch.count;
  return {
    points: Math.round(records * meanPoints),
    bytes: Math.round(records * meanBytes),
    oldestMs: batch.timestamps[0],
  };
}

function pointsIn(batch: RecordBatch, weigh: (value: Buffer) => number): number {
  let points = 0;
  for (let i = 0; i < batch.count; i++) {
    points += weigh(batch.bytes.subarray(batch.valueStart[i], batch.valueEnd[i]));
  }
  return points;
}
