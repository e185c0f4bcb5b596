/**
 * What one write is going to make true: drafts of partition heads, the blocks being filled, and plain puts.
 * Operations of one write see each other's drafts through it; nothing outside changes before it is on disk.
 */
import { type Block, BlockBuilder, type BlockHeader, type Bytes, place } from './block.ts';
import { blockKey, f64, timeKey } from './keys.ts';
import type { Table, Tables, Write } from './storage.ts';
import type { Tail } from './tail.ts';
import { encodeHead, type Head, type Partition } from './topics.ts';

/** Value of the `times` table: the block's own highest time, and its size. */
export function encodeTimeEntry(timestampMs: number, bytes: number): Buffer {
  const entry = Buffer.allocUnsafe(12);
  entry.writeDoubleLE(timestampMs, 0);
  entry.writeUInt32LE(bytes, 8);
  return entry;
}

export const decodeTimeEntry = (entry: Buffer) => ({
  timestampMs: entry.readDoubleLE(0),
  bytes: entry.readUInt32LE(8),
});

/** A block of records that have no offsets yet. */
export interface BlockDraft {
  readonly partition: Partition;
  readonly bytes: Buffer;
  readonly count: number;
  /** The highest of its records; undefined where they get the time of the append. */
  readonly timestampMs: number | undefined;
}

export class Stage {
  readonly tables: Tables;
  readonly writes: Write[] = [];
  /** Values put by this write that a later operation of it may ask for. */
  readonly #fresh = new Map<string, Buffer | null>();
  readonly #heads = new Map<Partition, Head>();
  readonly #builders = new Map<Partition, BlockBuilder>();
  readonly #afterwards: (() => void)[] = [];
  readonly #appended = new Set<Partition>();
  readonly #blocks: { readonly partition: Partition; readonly block: Block }[] = [];

  constructor(tables: Tables) {
    this.tables = tables;
  }

  put(table: Table, key: Buffer, value: Buffer): void {
    this.writes.push({ table, key, value });
  }

  remove(table: Table, key: Buffer): void {
    this.writes.push({ table, key, value: null });
  }

  /** For the few values that operations of one write read from each other (numbers, fences, topics). */
  putShared(table: Table, key: Buffer, value: Buffer | null): void {
    this.writes.push({ table, key, value });
    this.#fresh.set(this.#nameOf(table, key), value);
  }

  getShared(table: Table, key: Buffer): Buffer | undefined {
    const fresh = this.#fresh.get(this.#nameOf(table, key));
    return fresh === undefined ? table.get(key) : (fresh ?? undefined);
  }

  /** A number never given before, also after a crash. */
  nextNumber(what: string): number {
    const key = Buffer.from(`next ${what}`);
    const number = (this.getShared(this.tables.meta, key)?.readDoubleLE(0) ?? 0) + 1;
    this.putShared(this.tables.meta, key, f64(number));
    return number;
  }

  head(partition: Partition): Head {
    return this.#heads.get(partition) ?? partition.head;
  }

  setHead(partition: Partition, head: Partial<Head>): void {
    this.#heads.set(partition, { ...this.head(partition), ...head });
  }

  /** Adds a record behind all others of its partition; returns its offset. */
  append(
    partition: Partition,
    timestamp: number | undefined,
    nowMs: number,
    key: Bytes,
    value: Bytes,
  ): number {
    let builder = this.#builders.get(partition);
    if (!builder) {
      builder = new BlockBuilder(this.head(partition).nextOffset);
      this.#builders.set(partition, builder);
      this.#appended.add(partition);
    }
    const offset = builder.base + builder.count;
    const time =
      partition.spec.timestampType === 'create'
        ? (timestamp ?? nowMs)
        : Math.max(nowMs, this.head(partition).timestampMs, builder.timestampMax);
    builder.add(offset, time, key, value);
    if (builder.full) this.#close(partition, builder);
    return offset;
  }

  /** Adds a drafted block behind all other records of its partition. */
  appendDraft({ partition, bytes, count, timestampMs }: BlockDraft, nowMs: number): void {
    const builder = this.#builders.get(partition);
    if (builder) this.#close(partition, builder);
    this.#appended.add(partition);
    const { nextOffset: base, timestampMs: before } = this.head(partition);
    const time = timestampMs ?? Math.max(nowMs, before);
    const next = base + count;
    place(bytes, { base, next, timestampMs: time });
    this.#put(partition, bytes, { base, next, count }, time);
  }

  /** Runs once the write is on disk, after heads have moved. */
  afterwards(action: () => void): void {
    this.#afterwards.push(action);
  }

  /** Closes blocks and adds heads to the writes. */
  complete(): readonly Write[] {
    for (const [partition, builder] of this.#builders) this.#close(partition, builder);
    for (const [partition, head] of this.#heads)
      this.put(this.tables.heads, partition.key, encodeHead(head));
    return this.writes;
  }

  /** Makes the drafts true and wakes whoever waits for them. */
  publish(tail: Tail): void {
    for (const { partition, block } of this.#blocks) tail.keep(partition, block);
    for (const [partition, head] of this.#heads) partition.head = head;
    for (const action of this.#afterwards) action();
    for (const partition of this.#appended) {
      partition.moved();
      tail.release(partition);
    }
  }

  #close(partition: Partition, builder: BlockBuilder): void {
    this.#builders.delete(partition);
    const { base } = builder;
    const next = base + builder.count;
    const block = builder.finish(next);
    this.#put(partition, block, { base, next, count: builder.count }, builder.timestampMax);
  }

  #put(partition: Partition, bytes: Buffer, header: BlockHeader, timestampMax: number): void {
    this.#blocks.push({ partition, block: { bytes, header } });
    const head = this.head(partition);
    const timestampMs = Math.max(head.timestampMs, timestampMax);
    this.put(this.tables.log, blockKey(partition.key, header.base), bytes);
    this.put(
      this.tables.times,
      timeKey(partition.key, timestampMs, header.base),
      encodeTimeEntry(timestampMax, bytes.length),
    );
    this.setHead(partition, {
      nextOffset: header.next,
      timestampMs,
      bytes: head.bytes + bytes.length,
      dirtyBytes: head.dirtyBytes + bytes.length,
    });
  }

  #nameOf(table: Table, key: Buffer): string {
    return `${(table as { name?: string }).name ?? ''}\0${key.toString('latin1')}`;
  }
}
