/**
 * Compaction of `compact` topics: of each key the last record stays, earlier ones go, and a tombstone goes once it
 * is old enough for every reader to have met it. Offsets stay what they were; blocks are rewritten a few at a
 * time, from the head on, so a crash between two writes leaves a log that is merely less compact.
 */
import {
  BLOCK_RECORDS_MAX,
  type Block,
  BlockBuilder,
  type Columns,
  columnsOf,
  decodeRows,
} from './block.ts';
import { afterPrefix, blockKey, timeKey, timeOfKey } from './keys.ts';
import { blockAt } from './reader.ts';
import { decodeTimeEntry, encodeTimeEntry, type Stage } from './stage.ts';
import type { Tables } from './storage.ts';
import { recordsCompacted } from './telemetry.ts';
import type { Partition } from './topics.ts';
import type { Writer } from './writer.ts';

/** Rough cost of a map entry besides its key. */
const ENTRY_BYTES = 64;
/** So many blocks at most are replaced by one write. */
const BLOCKS_PER_WRITE = 256;

export interface CompactionOptions {
  readonly tables: Tables;
  readonly writer: Writer;
  readonly nowMs: number;
  /** Compaction starts when at least this much was appended since, and that is half of the partition. */
  readonly dirtyBytesMin: number;
  /** Memory for keys; when they need more, this pass ends earlier in the log and the next goes on from there. */
  readonly keyBytesMax: number;
  /** Tombstones younger than this stay. */
  readonly tombstoneMs: number;
  /** Stops between blocks. */
  readonly stopped: () => boolean;
}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One pass over a partition; resolves with the number of records removed. */
export async function compact(partition: Partition, options: CompactionOptions): Promise<number> {
  const { head, spec } = partition;
  if (spec.cleanup !== 'compact') return 0;
  if (head.dirtyBytes < options.dirtyBytesMin || head.dirtyBytes * 2 < head.bytes) return 0;
  const dead = () => options.stopped() || partition.deleted;
  const { last, end } = await lastOffsets(partition, options, dead);
  const removed = await rewrite(partition, options, last, end, dead);
  if (!dead())
    await options.writer.run({
      bytes: 0,
      stage: (stage) => {
        if (partition.deleted) return;
        stage.setHead(partition, {
          cleanedOffset: end,
          dirtyBytes: bytesFrom(options.tables, partition, end),
        });
      },
    });
  if (removed > 0) recordsCompacted(partition.topic, removed);
  return removed;
}

/** The last offset of each key from where the last pass ended up to `end`. */
async function lastOffsets(partition: Partition, options: CompactionOptions, dead: () => boolean) {
  const last = new Map<string, number>();
  let keyBytes = 0;
  let end = Math.max(partition.head.cleanedOffset, partition.head.firstOffset);
  const logEnd = partition.head.nextOffset;
  while (end < logEnd && keyBytes < options.keyBytesMax && !dead()) {
    const block = blockAt(options.tables, partition, end);
    const columns = decodeAll(block);
    for (let row = 0; row < block.header.count; row++) {
      const key = keyOf(block, columns, row);
      if (!last.has(key)) keyBytes += key.length + ENTRY_BYTES;
      last.set(key, columns.offsets[row] as number);
    }
    end = block.header.next;
    await tick();
  }
  return { last, end };
}

/** Blocks read and not yet replaced, with what survives of them. */
class Run {
  readonly builder: BlockBuilder;
  readonly blocks: IndexEntry[] = [];
  read = 0;

  constructor(base: number) {
    this.builder = new BlockBuilder(base);
  }
}

async function rewrite(
  partition: Partition,
  options: CompactionOptions,
  last: ReadonlyMap<string, number>,
  end: number,
  dead: () => boolean,
): Promise<number> {
  const tombstoneEnd = options.nowMs - options.tombstoneMs;
  let removed = 0;
  let run: Run | undefined;
  const { firstOffset } = partition.head;
  let next = firstOffset;
  const flush = async () => {
    if (run && (run.blocks.length > 1 || run.builder.count < run.read)) {
      const { builder, blocks } = run;
      const until = next;
      await options.writer.run({
        bytes: 0,
        stage: (stage) => replace(stage, partition, builder, blocks, until),
      });
      removed += run.read - builder.count;
    }
    run = undefined;
  };
  // Listed before the first write: nothing but compaction itself changes these blocks.
  const entries = [...index(options.tables, partition, firstOffset)];
  for (const entry of entries) {
    if (entry.base >= end || dead()) break;
    const block = blockAt(options.tables, partition, entry.base);
    const { header } = block;
    if (
      run &&
      (run.builder.full ||
        run.builder.count + header.count > BLOCK_RECORDS_MAX ||
        run.blocks.length >= BLOCKS_PER_WRITE)
    )
      await flush();
    run ??= new Run(header.base);
    run.blocks.push(entry);
    run.read += header.count;
    const columns = decodeAll(block);
    for (let row = 0; row < header.count; row++) {
      const offset = columns.offsets[row] as number;
      const later = last.get(keyOf(block, columns, row));
      if (later !== undefined && later > offset) continue;
      const tombstone = columns.valueStart[row] === -1;
      const timestamp = columns.timestamps[row] as number;
      if (tombstone && timestamp < tombstoneEnd) continue;
      run.builder.add(
        offset,
        timestamp,
        block.bytes.subarray(columns.keyStart[row], columns.keyEnd[row]),
        tombstone ? null : block.bytes.subarray(columns.valueStart[row], columns.valueEnd[row]),
      );
    }
    next = header.next;
    await tick();
  }
  await flush();
  return removed;
}

/** Puts one block in the place of several that follow each other, covering the same offsets. */
function replace(
  stage: Stage,
  partition: Partition,
  builder: BlockBuilder,
  replaced: readonly IndexEntry[],
  next: number,
): void {
  if (partition.deleted) return;
  const { log, times } = stage.tables;
  let bytes = 0;
  for (const entry of replaced) {
    stage.remove(log, blockKey(partition.key, entry.base));
    stage.remove(times, timeKey(partition.key, entry.highestMs, entry.base));
    bytes += entry.bytes;
  }
  const highestMs = replaced.at(-1)?.highestMs ?? 0;
  const block = builder.finish(next);
  stage.put(log, blockKey(partition.key, builder.base), block);
  stage.put(
    times,
    timeKey(partition.key, highestMs, builder.base),
    encodeTimeEntry(builder.count === 0 ? highestMs : builder.timestampMax, block.length),
  );
  stage.setHead(partition, { bytes: stage.head(partition).bytes - bytes + block.length });
}

/** A block as the `times` table knows it. */
interface IndexEntry {
  readonly base: number;
  /** The highest time of the partition up to and including the block. */
  readonly highestMs: number;
  readonly bytes: number;
}

/** Blocks of a partition from the one with base `from` on, in order. */
function* index(tables: Tables, partition: Partition, from = 0): Generator<IndexEntry> {
  for (const { key, value } of tables.times.getRange({
    start: partition.key,
    end: afterPrefix(partition.key),
  })) {
    const { timestampMs, base } = timeOfKey(key as Buffer);
    if (base >= from) yield { base, highestMs: timestampMs, bytes: decodeTimeEntry(value).bytes };
  }
}

function bytesFrom(tables: Tables, partition: Partition, offset: number): number {
  let bytes = 0;
  for (const entry of index(tables, partition, offset)) bytes += entry.bytes;
  return bytes;
}

function decodeAll({ bytes, header }: Block): Columns {
  const columns = columnsOf(header.count);
  decodeRows(bytes, 0, 0, header.count, columns, 0);
  return columns;
}

const keyOf = ({ bytes }: Block, columns: Columns, row: number): string =>
  bytes.toString('latin1', columns.keyStart[row], columns.keyEnd[row]);
