/** Which stretch of each partition a replay reads, and from which windows on its results are whole. */
import type { Broker, TopicPartition } from '../broker/index.ts';
import { FatalError, minutes } from '../model/index.ts';

export type ReplayPoint = { readonly time: number } | { readonly offset: number };

/** What a replay needs of a log: to look, nothing else. */
export type ReplayLog = Pick<Broker, 'describeTopics' | 'read' | 'offsetAt'>;

export interface PartitionRange extends TopicPartition {
  /** Where reading begins: before `from`, so that dedup and open windows are warm when it comes. */
  readonly start: number;
  readonly end: number;
  /** Reading begins at the very start of the log: nothing can be missing before it. */
  readonly whole: boolean;
}

/** Log time that is read before `from`: dedup's ten minutes, a window and its grace, with room. */
export const WARM_UP_MS = minutes(20);

/**
 * The ranges of all partitions of the topics. An offset applies to every partition; a time is the log's time.
 * @throws FatalError RANGE_INVALID when `to` is before `from`.
 */
export async function replayRanges(
  broker: ReplayLog,
  topics: readonly string[],
  from: ReplayPoint,
  to: ReplayPoint | undefined,
): Promise<readonly PartitionRange[]> {
  const ranges: PartitionRange[] = [];
  for (const { name: topic, partitions } of await broker.describeTopics(topics)) {
    for (const { partition, firstOffset, nextOffset } of partitions) {
      const clamp = (offset: number) => Math.min(Math.max(offset, firstOffset), nextOffset);
      const at = async (point: ReplayPoint) =>
        clamp(
          'offset' in point
            ? point.offset
            : await broker.offsetAt({ topic, partition }, point.time),
        );
      const first = await at(from);
      const end = to === undefined ? nextOffset : await at(to);
      if (end < first && bothOfOneKind(from, to)) {
        throw new FatalError(
          `the replay would end before it begins in ${topic}/${partition} (from offset ${first} to ${end}); swap from and to`,
          { code: 'RANGE_INVALID', context: { topic, partition, from: first, to: end } },
        );
      }
      const start = clamp(await warmStart(broker, { topic, partition }, first, firstOffset));
      ranges.push({
        topic,
        partition,
        start,
        end: Math.max(first, end),
        whole: start === firstOffset && firstOffset === 0,
      });
    }
  }
  return ranges;
}

const bothOfOneKind = (from: ReplayPoint, to: ReplayPoint | undefined): boolean =>
  to !== undefined && 'offset' in from === 'offset' in to;

async function warmStart(
  broker: ReplayLog,
  at: TopicPartition,
  from: number,
  firstOffset: number,
): Promise<number> {
  if (from <= firstOffset) return firstOffset;
  const batch = await broker.read({ ...at, from: from - 1, maxBytes: 1 });
  const logTime = batch?.timestamps[0];
  return logTime === undefined
    ? from
    : Math.min(from, await broker.offsetAt(at, logTime - WARM_UP_MS));
}
