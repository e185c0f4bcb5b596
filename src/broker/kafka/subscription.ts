/**
 * What members tell each other through the group coordinator, in Kafka's own formats (so that its tools can show
 * our groups): subscription v2 `version int16 | topics [string] | user data bytes | owned [topic string,
 * partitions [int32]] | generation int32`, and assignment v1 `version int16 | [topic string, partitions
 * [int32]] | user data bytes`.
 */
import type { TopicPartition } from '../contract.ts';
import type { Member } from './assignor.ts';
import { Encoder, type WireEncoder } from './library.ts';

/** All members must speak it; a new way of sharing out would get a new name. */
export const ASSIGNOR_NAME = 'tidemark-copartitioned';

function byTopic(partitions: readonly TopicPartition[]): Map<string, number[]> {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of partitions) {
    const list = topics.get(topic);
    if (list) list.push(partition);
    else topics.set(topic, [partition]);
  }
  return topics;
}

function writePartitions(encoder: WireEncoder, partitions: readonly TopicPartition[]): WireEncoder {
  const topics = byTopic(partitions);
  encoder.writeInt32(topics.size);
  for (const [topic, list] of topics) {
    encoder.writeString(topic).writeInt32(list.length);
    for (const partition of list) encoder.writeInt32(partition);
  }
  return encoder;
}

export function encodeSubscription(member: Omit<Member, 'id'>): Buffer {
  const encoder = new Encoder().writeInt16(2).writeInt32(member.topics.length);
  for (const topic of member.topics) encoder.writeString(topic);
  encoder.writeBytes(Buffer.alloc(0));
  return writePartitions(encoder, member.owned).writeInt32(member.generation).buffer;
}

export function encodeAssignment(partitions: readonly TopicPartition[]): Buffer {
  return writePartitions(new Encoder().writeInt16(1), partitions).writeBytes(Buffer.alloc(0))
    .buffer;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }
  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }
  int32(): number {
    this.#at += 4;
    return this.#bytes.readInt32BE(this.#at - 4);
  }
  string(): string {
    const length = this.int16();
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }
  skipBytes(): void {
    const length = this.int32();
    this.#at += Math.max(0, length);
  }
  partitions(): TopicPartition[] {
    const list: TopicPartition[] = [];
    for (let topics = this.int32(); topics > 0; topics--) {
      const topic = this.string();
      for (let many = this.int32(); many > 0; many--) list.push({ topic, partition: this.int32() });
    }
    return list;
  }
}

export function decodeSubscription(id: string, bytes: Buffer): Member {
  const reader = new Reader(bytes);
  const version = reader.int16();
  const topics: string[] = [];
  for (let many = reader.int32(); many > 0; many--) topics.push(reader.string());
  reader.skipBytes();
  const owned = version >= 1 && !reader.done ? reader.partitions() : [];
  const generation = version >= 2 && !reader.done ? reader.int32() : -1;
  return { id, topics, owned, generation };
}

export function decodeAssignment(bytes: Buffer): TopicPartition[] {
  if (bytes.length < 2) return [];
  const reader = new Reader(bytes);
  reader.int16();
  return reader.partitions();
}
