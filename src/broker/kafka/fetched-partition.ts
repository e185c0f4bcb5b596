/** What the fetcher knows of one owned partition, and of the answers on their way to it. */
import { FatalError } from '../../model/index.ts';
import type { TopicPartition } from '../contract.ts';
import type { FetchedPartition } from './fetch.ts';
import { RecordQueue } from './record-queue.ts';
import type { RecordSet } from './record-set.ts';

export interface Partition extends TopicPartition {
  readonly queue: RecordQueue;
  /** Where the next fetch begins: behind what is fetched, being unpacked or queued. */
  fetchOffset: number;
  /** Fetched and not handed over, bytes. */
  buffered: number;
  held: boolean;
  heldSinceMs: number;
  /** Times that what was fetched was thrown away: what is being unpacked then must go too. */
  drops: number;
  /** Thrown away, and not to be fetched again before its handlers go on. */
  dropped: boolean;
  /** Looking up where to go on; not to be fetched. */
  recovering: boolean;
  endOffset: number;
  confirmedAtMs: number;
  progressAtMs: number;
  goneSinceMs: number | undefined;
}

/** An answer's memory, shared by the partitions in it. */
export interface Hold {
  bytes: number;
  parts: number;
}

export interface Accepted {
  readonly partition: Partition;
  readonly drops: number;
  readonly part: FetchedPartition;
  readonly set: RecordSet;
  readonly hold: Hold;
}

export const keyOf = ({ topic, partition }: TopicPartition): string => `${partition}:${topic}`;
export const tp = ({ topic, partition }: TopicPartition): TopicPartition => ({ topic, partition });

/** Throws FatalError OFFSET_INVALID. */
export function makePartition(
  at: TopicPartition & { readonly offset: number },
  held: boolean,
  nowMs: number,
): Partition {
  const { topic, partition, offset } = at;
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new FatalError(`${topic}/${partition}: ${offset} is no offset`, {
      code: 'OFFSET_INVALID',
      context: { topic, partition },
    });
  }
  return {
    topic,
    partition,
    queue: new RecordQueue({ topic, partition }, offset),
    fetchOffset: offset,
    buffered: 0,
    held,
    heldSinceMs: nowMs,
    drops: 0,
    dropped: false,
    recovering: false,
    endOffset: offset,
    confirmedAtMs: 0,
    progressAtMs: nowMs,
    goneSinceMs: undefined,
  };
}

/** Records are there, or nobody has told us for long, and none come although they are wanted. */
export function isStalled(partition: Partition, nowMs: number, timeoutMs: number): boolean {
  const { held, recovering, queue, endOffset, confirmedAtMs } = partition;
  if (held || recovering || !queue.isEmpty) return false;
  const sinceMs = Math.max(partition.progressAtMs, partition.goneSinceMs ?? 0);
  const unheard = nowMs - Math.max(confirmedAtMs, sinceMs) > timeoutMs;
  const behind = endOffset > queue.nextOffset;
  return unheard || (behind && nowMs - sinceMs > timeoutMs);
}
