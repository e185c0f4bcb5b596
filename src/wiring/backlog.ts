/** What each feed's sink has not stored yet: the stretch of its topics behind its cursor [T4]. */
import type { BacklogView } from '../api/index.ts';
import type { Broker, RecordBatch, TopicPartition } from '../broker/index.ts';
import type { Clock } from '../runtime/index.ts';
import type { BoundFeed } from './feeds.ts';

/** What waits in one partition. */
export interface WaitingPartition extends TopicPartition {
  /** The first record that waits, and the end of the log. */
  readonly from: number;
  readonly end: number;
  readonly points: number;
  readonly bytes: number;
  /** Log time of the first one, ms. */
  readonly oldestMs: number | undefined;
  /** Records that retention removed before the sink read them. */
  readonly lost: number;
}

/** Asks the log, so it is right also for feeds that another process runs. */
export async function waitingOf(
  broker: Broker,
  { feed, group, weigh }: Pick<BoundFeed, 'feed' | 'group' | 'weigh'>,
): Promise<readonly WaitingPartition[]> {
  const topics = feed.sources.map((source) => source.topic);
  const committed = await broker.committedOffsets(group);
  const waiting: WaitingPartition[] = [];
  for (const { name: topic, partitions } of await broker.describeTopics(topics)) {
    for (const { partition, firstOffset, nextOffset: end } of partitions) {
      const at = committed.find((c) => c.topic === topic && c.partition === partition)?.offset;
      const from = Math.max(at ?? firstOffset, firstOffset);
      const lost = at === undefined ? 0 : from - at;
      if (from < end || lost > 0) {
        const place = { topic, partition };
        waiting.push({
          ...place,
          end,
          lost,
          ...(await measure(broker, place, { from, end, weigh })),
        });
      }
    }
  }
  return waiting;
}

/** `dropped`: points given up by `clear`, by a limit or by retention. */
export async function backlogOf(
  broker: Broker,
  bound: BoundFeed,
  clock: Clock,
  dropped: number,
): Promise<Omit<BacklogView, 'paused'>> {
  const { feed, delivery } = bound;
  const waiting = await waitingOf(broker, bound);
  const { points, bytes, oldestMs } = totalOf(waiting);
  const state = delivery?.state();
  return {
    sink: feed.name,
    topic: feed.sources.map((source) => source.topic).join(', '),
    points,
    bytes,
    oldestAgeMs: oldestMs === undefined ? null : Math.max(0, clock.now() - oldestMs),
    dropped,
    rejected: state?.rejected ?? 0,
    breaker: state?.breaker ?? 'closed',
    lastError: state?.lastError?.message ?? null,
    nextAttemptAt: state?.nextAttemptAtMs ?? null,
  };
}

export interface BacklogTotal {
  readonly points: number;
  readonly bytes: number;
  readonly oldestMs: number | undefined;
}

export function totalOf(waiting: readonly WaitingPartition[]): BacklogTotal {
  const oldestMs = Math.min(...waiting.map((w) => w.oldestMs ?? Number.POSITIVE_INFINITY));
  return {
    points: waiting.reduce((sum, w) => sum + w.points, 0),
    bytes: waiting.reduce((sum, w) => sum + w.bytes, 0),
    oldestMs: Number.isFinite(oldestMs) ? oldestMs : undefined,
  };
}

/** Bytes, and points of records that hold several, are told from the first records: their mean times the count. */
async function measure(
  broker: Broker,
  place: TopicPartition,
  {
    from,
    end,
    weigh,
  }: Pick<WaitingPartition, 'from' | 'end'> & { readonly weigh: BoundFeed['weigh'] },
): Promise<Pick<WaitingPartition, 'from' | 'points' | 'bytes' | 'oldestMs'>> {
  const nothing = { from, points: 0, bytes: 0, oldestMs: undefined };
  if (from >= end) return nothing;
  const batch = await broker.read({ ...place, from, maxBytes: 64 * 1024 });
  // Only markers of transactions lie between.
  if (batch === null || batch.count === 0) return nothing;
  const first = batch.offsets[0] as number;
  const records = end - first;
  const meanPoints = weigh === undefined ? 1 : pointsIn(batch, weigh) / batch.count;
  return {
    from: first,
    points: Math.round(records * meanPoints),
    bytes: Math.round(records * (bytesIn(batch) / batch.count)),
    oldestMs: batch.timestamps[0],
  };
}

/** Of keys and values; a batch's own bytes may hold records before its first one too. */
function bytesIn({ count, keyStart, keyEnd, valueStart, valueEnd }: RecordBatch): number {
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    bytes += (keyEnd[i] as number) - (keyStart[i] as number);
    bytes += (valueEnd[i] as number) - (valueStart[i] as number);
  }
  return bytes;
}

function pointsIn(batch: RecordBatch, weigh: (value: Buffer) => number): number {
  let points = 0;
  for (let i = 0; i < batch.count; i++) {
    points += weigh(batch.bytes.subarray(batch.valueStart[i], batch.valueEnd[i]));
  }
  return points;
}
