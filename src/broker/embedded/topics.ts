/**
 * Topics and the heads of their partitions, in memory as they are on disk. Only a write that is on disk changes
 * them, so whoever looks sees the last stable offset.
 */
import { FatalError } from '../../model/index.ts';
import type { TopicDescription, TopicPartition, TopicSpec } from '../contract.ts';
import type { Block } from './block.ts';
import { partitionKey } from './keys.ts';
import type { Storage } from './storage.ts';

/** A topic as stored. */
export interface StoredTopic {
  readonly number: number;
  readonly partitions: number;
  readonly cleanup: 'delete' | 'compact';
  /** -1 = for ever. */
  readonly retentionMs: number;
  readonly retentionBytes: number;
  readonly timestampType: 'append' | 'create';
}

/** Where a partition stands; a draft of it is what a write is about to make true. */
export interface Head {
  readonly firstOffset: number;
  readonly nextOffset: number;
  /** The highest time of any record so far: append time never goes below it. */
  readonly timestampMs: number;
  /** Bytes of its blocks. */
  readonly bytes: number;
  /** Up to where compaction has been. */
  readonly cleanedOffset: number;
  /** Bytes appended since compaction was there. */
  readonly dirtyBytes: number;
}

export const emptyHead: Head = {
  firstOffset: 0,
  nextOffset: 0,
  timestampMs: 0,
  bytes: 0,
  cleanedOffset: 0,
  dirtyBytes: 0,
};

export function encodeHead(head: Head): Buffer {
  const bytes = Buffer.allocUnsafe(48);
  bytes.writeDoubleLE(head.firstOffset, 0);
  bytes.writeDoubleLE(head.nextOffset, 8);
  bytes.writeDoubleLE(head.timestampMs, 16);
  bytes.writeDoubleLE(head.bytes, 24);
  bytes.writeDoubleLE(head.cleanedOffset, 32);
  bytes.writeDoubleLE(head.dirtyBytes, 40);
  return bytes;
}

const decodeHead = (bytes: Buffer): Head => ({
  firstOffset: bytes.readDoubleLE(0),
  nextOffset: bytes.readDoubleLE(8),
  timestampMs: bytes.readDoubleLE(16),
  bytes: bytes.readDoubleLE(24),
  cleanedOffset: bytes.readDoubleLE(32),
  dirtyBytes: bytes.readDoubleLE(40),
});

/** Who reads a partition on from an offset. */
interface Reader {
  readonly nextOffset: number;
}

/** One partition of a live topic. */
export class Partition implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly key: Buffer;
  readonly spec: StoredTopic;
  head: Head;
  deleted = false;
  /** Its newest blocks, oldest first: what `Tail` keeps in memory. */
  readonly newest: Block[] = [];
  /** Its consumers in this process. */
  readonly readers = new Set<Reader>();
  readonly #watchers = new Set<() => void>();

  constructor(topic: string, partition: number, spec: StoredTopic, head: Head) {
    this.topic = topic;
    this.partition = partition;
    this.spec = spec;
    this.key = partitionKey(spec.number, partition);
    this.head = head;
  }

  /** Calls `moved` after every append and at deletion, until the returned function is called. */
  watch(moved: () => void): () => void {
    this.#watchers.add(moved);
    return () => this.#watchers.delete(moved);
  }

  moved(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

export interface Topic {
  readonly name: string;
  readonly spec: StoredTopic;
  readonly partitions: readonly Partition[];
}

export class Topics {
  readonly #byName = new Map<string, Topic>();

  load(storage: Storage): void {
    for (const { key, value } of storage.tables.topics.getRange({ start: Buffer.from([0]) })) {
      const spec = JSON.parse(value.toString()) as StoredTopic;
      this.add((key as Buffer).toString(), spec, (partition) => {
        const bytes = storage.tables.heads.get(partitionKey(spec.number, partition));
        return bytes ? decodeHead(bytes) : emptyHead;
      });
    }
  }

  add(name: string, spec: StoredTopic, headOf: (partition: number) => Head): void {
    const partitions = Array.from(
      { length: spec.partitions },
      (_, partition) => new Partition(name, partition, spec, headOf(partition)),
    );
    this.#byName.set(name, { name, spec, partitions });
  }

  delete(name: string): void {
    const topic = this.#byName.get(name);
    this.#byName.delete(name);
    for (const partition of topic?.partitions ?? []) {
      partition.deleted = true;
      partition.moved();
    }
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  all(): Topic[] {
    return [...this.#byName.values()];
  }

  /** Throws FatalError UNKNOWN_TOPIC. */
  get(name: string): Topic {
    const topic = this.#byName.get(name);
    if (!topic) throw unknownTopic(name);
    return topic;
  }

  /** Throws FatalError UNKNOWN_TOPIC or UNKNOWN_PARTITION. */
  partition(name: string, partition: number): Partition {
    const topic = this.get(name);
    const found = topic.partitions[partition];
    if (!found)
      throw new FatalError(
        `Topic "${name}" has partitions 0 to ${topic.spec.partitions - 1}, not ${partition}.`,
        { code: 'UNKNOWN_PARTITION', context: { topic: name, partition } },
      );
    return found;
  }

  describe(names: readonly string[] | undefined): TopicDescription[] {
    const wanted = names && new Set(names);
    return this.all()
      .filter(({ name }) => !wanted || wanted.has(name))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partition, head }) => ({
          partition,
          firstOffset: head.firstOffset,
          nextOffset: head.nextOffset,
        })),
      }));
  }
}

export const unknownTopic = (name: string): FatalError =>
  new FatalError(
    `There is no topic "${name}": make it with \`tidemark setup\` or createTopics, or mend the name.`,
    { code: 'UNKNOWN_TOPIC', context: { topic: name } },
  );

const PARTITIONS_MAX = 10_000;

/** Throws FatalError TOPIC_NAME_INVALID; what Kafka would refuse is refused here too. */
export function checkName(name: string, what = 'topic name'): void {
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..')
    throw new FatalError(
      `"${name.slice(0, 260)}" can't be a ${what}: use 1 to 249 of A-Z a-z 0-9 . _ - and not "." or ".." alone.`,
      { code: 'TOPIC_NAME_INVALID', context: { name: name.slice(0, 260) } },
    );
}

/** A spec with everything said, checked. Throws FatalError TOPIC_NAME_INVALID or TOPIC_INVALID. */
export function completeSpec(
  spec: TopicSpec,
  number: number,
  defaults: { readonly partitions: number; readonly retentionMs: number },
): StoredTopic {
  checkName(spec.name);
  const partitions = spec.partitions ?? defaults.partitions;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX)
    throw new FatalError(
      `Topic "${spec.name}" can't have ${partitions} partitions: give 1 to ${PARTITIONS_MAX}.`,
      { code: 'TOPIC_INVALID', context: { topic: spec.name, partitions } },
    );
  const { retentionMs = defaults.retentionMs, retentionBytes = -1 } = spec;
  for (const [name, value] of Object.entries({ retentionMs, retentionBytes }))
    if (value !== -1 && !(value > 0))
      throw new FatalError(
        `Topic "${spec.name}" can't have ${name} ${value}: give a number above 0, or -1 for no limit.`,
        { code: 'TOPIC_INVALID', context: { topic: spec.name, [name]: value } },
      );
  return {
    number,
    partitions,
    cleanup: spec.cleanup ?? 'delete',
    retentionMs,
    retentionBytes,
    timestampType: spec.timestampType ?? 'append',
  };
}
