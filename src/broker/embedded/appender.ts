/**
 * Appending in two steps: `prepare` checks every record and chooses its partition, what it returns adds them to a
 * stage and can't fail. So an append or an epoch is refused whole, before any of it is there.
 */
import { FatalError, PoisonError } from '../../model/index.ts';
import { type Clock, threadTurns } from '../../runtime/index.ts';
import type { AppendedRecord, ProducerRecord } from '../contract.ts';
import { partitionOfKey } from '../partitioner.ts';
import { BlockBuilder, recordBytes } from './block.ts';
import type { BlockDraft, Stage } from './stage.ts';
import { type Partition, type Topic, type Topics, unknownTopic } from './topics.ts';

/** Of records whose blocks are drafted, so many come between two looks at the watch. */
const RECORDS_PER_LOOK = 32;

/** Bytes that records add to the log, about. */
export function bytesOf(records: readonly ProducerRecord[]): number {
  let bytes = 0;
  for (const { key, value } of records) bytes += recordBytes(key, value);
  return bytes;
}

export class Appender {
  readonly #topics: Topics;
  readonly #clock: Clock;
  readonly #recordBytesMax: number;
  /** Whose turn it is for records without a key, by topic. */
  readonly #turns = new Map<string, number>();

  constructor(topics: Topics, clock: Clock, recordBytesMax: number) {
    this.#topics = topics;
    this.#clock = clock;
    this.#recordBytesMax = recordBytesMax;
  }

  /**
   * Throws FatalError UNKNOWN_TOPIC or UNKNOWN_PARTITION, or PoisonError RECORD_TOO_LARGE, KEY_REQUIRED or
   * TIMESTAMP_INVALID.
   */
  prepare<R extends ProducerRecord>(
    records: readonly R[],
    topicOf: (record: R) => string,
  ): (stage: Stage) => AppendedRecord[] {
    const partitions = records.map((record) => this.#place(topicOf(record), record));
    return (stage) => {
      const nowMs = this.#clock.now();
      return records.map((record, i) => {
        const partition = partitions[i] as Partition;
        const { key, value, timestamp } = record;
        const offset = stage.append(partition, timestamp, nowMs, key, value);
        return { partition: partition.partition, offset };
      });
    };
  }

  /**
   * As `prepare`, with the event loop free in between, and with blocks that lack nothing but their offsets: thousands of
   * records then take a write a fraction of a millisecond.
   */
  async draft<R extends ProducerRecord>(
    records: readonly R[],
    topicOf: (record: R) => string,
  ): Promise<(stage: Stage) => void> {
    const piece = threadTurns.piece();
    const nowMs = this.#clock.now();
    const drafts: BlockDraft[] = [];
    const builders = new Map<Partition, BlockBuilder>();
    for (const [i, record] of records.entries()) {
      if (i % RECORDS_PER_LOOK === 0 && piece.isOver) await piece.next();
      const partition = this.#place(topicOf(record), record);
      let builder = builders.get(partition);
      if (builder === undefined) {
        builder = new BlockBuilder(0);
        builders.set(partition, builder);
      }
      const { key, value, timestamp = nowMs } = record;
      const time = partition.spec.timestampType === 'create' ? timestamp : 0;
      builder.add(builder.count, time, key, value);
      if (!builder.full) continue;
      drafts.push(draftOf(partition, builder));
      builders.delete(partition);
    }
    for (const [partition, builder] of builders) {
      if (piece.isOver) await piece.next();
      drafts.push(draftOf(partition, builder));
    }
    return (stage) => {
      for (const { partition } of drafts)
        if (partition.deleted) throw unknownTopic(partition.topic);
      const nowMs = this.#clock.now();
      for (const draft of drafts) stage.appendDraft(draft, nowMs);
    };
  }

  #place(name: string, record: ProducerRecord): Partition {
    const topic = this.#topics.get(name);
    this.#check(record, topic);
    if (record.partition !== undefined) return this.#topics.partition(name, record.partition);
    const { partitions } = topic.spec;
    if (partitions === 1) return topic.partitions[0] as Partition;
    const { key } = record;
    if (key !== null) {
      const bytes = typeof key === 'string' ? Buffer.from(key) : key;
      return topic.partitions[partitionOfKey(bytes, partitions)] as Partition;
    }
    const turn = this.#turns.get(topic.name) ?? 0;
    this.#turns.set(topic.name, (turn + 1) % partitions);
    return topic.partitions[turn % partitions] as Partition;
  }

  #check({ key, value, timestamp }: ProducerRecord, { name, spec }: Topic): void {
    const bytes = recordBytes(key, value);
    if (bytes > this.#recordBytesMax)
      throw new PoisonError(
        `A record of ${bytes} bytes for topic "${name}" is over the limit of ${this.#recordBytesMax}: split it, or raise recordBytesMax.`,
        { code: 'RECORD_TOO_LARGE', context: { topic: name, bytes } },
      );
    if (key === null && spec.cleanup === 'compact')
      throw new PoisonError(
        `Topic "${name}" keeps the last value of each key: a record without key can't go there.`,
        { code: 'KEY_REQUIRED', context: { topic: name } },
      );
    if (
      timestamp !== undefined &&
      spec.timestampType === 'create' &&
      !(Number.isSafeInteger(timestamp) && timestamp >= 0)
    )
      throw new PoisonError(
        `${timestamp} can't be a record's time in topic "${name}": give whole milliseconds since 1970.`,
        { code: 'TIMESTAMP_INVALID', context: { topic: name, timestamp } },
      );
  }
}

function draftOf(partition: Partition, builder: BlockBuilder): BlockDraft {
  const { count, timestampMax } = builder;
  const timestampMs = partition.spec.timestampType === 'create' ? timestampMax : undefined;
  return { partition, bytes: builder.unplaced(), count, timestampMs };
}

/** Throws FatalError OFFSET_INVALID. */
export function checkOffset(offset: number, context: object): void {
  if (Number.isSafeInteger(offset) && offset >= 0) return;
  throw new FatalError(`${offset} can't be an offset: give a whole number from 0 to 2^53.`, {
    code: 'OFFSET_INVALID',
    context: { ...context, offset },
  });
}
