/**
 * Reading a partition: blocks follow each other without gap (each says where the next begins), so reading on is
 * one lookup per block, and an offset inside a block is one search. Bytes are copied once out of LMDB's map.
 */
import { FatalError } from '../../model/index.ts';
import type { RecordBatch } from '../contract.ts';
import {
  BLOCK_RECORDS_MAX,
  type Block,
  COLUMN_BYTES,
  type Columns,
  columnsOf,
  columnsOfBlock,
  decodeRows,
  openBlock,
  rowAt,
  rowsWithin,
} from './block.ts';
import { afterPrefix, blockKey, timeKey, timeOfKey } from './keys.ts';
import type { Tables } from './storage.ts';
import { newestAt } from './tail.ts';
import type { Partition } from './topics.ts';

const corrupt = ({ topic, partition }: Partition, offset: number, what: string) =>
  new FatalError(
    `The log of ${topic}/${partition} is damaged at offset ${offset}: ${what}. Restore a backup of the data directory, or replay the topic from its source.`,
    { code: 'LOG_CORRUPT', context: { topic, partition, offset } },
  );

/** The block that covers `offset`, which must lie in [firstOffset, nextOffset). Throws FatalError LOG_CORRUPT. */
export function blockAt(tables: Tables, partition: Partition, offset: number): Block {
  let bytes = tables.log.get(blockKey(partition.key, offset));
  if (!bytes)
    for (const { value } of tables.log.getRange({
      start: blockKey(partition.key, offset),
      end: blockKey(partition.key, 0),
      reverse: true,
      inclusiveEnd: true,
      limit: 1,
    }))
      bytes = value;
  if (!bytes) throw corrupt(partition, offset, 'its block is missing');
  // lmdb-js gives large values an own property "length"; a plain view over the same memory is faster to use.
  bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const header = openBlock(bytes);
  if (!header) throw corrupt(partition, offset, "its block's checksum is wrong");
  if (offset < header.base || offset >= header.next)
    throw corrupt(
      partition,
      offset,
      `its block is missing, found ${header.base} to ${header.next}`,
    );
  return { bytes, header };
}

/** A block of so many bytes is a batch of its own. */
const ALONE_BYTES = 64 * 1024;

interface Part {
  readonly block: Block;
  readonly first: number;
  readonly rows: number;
}

/**
 * Records from `from` on, of at most `bytesMax` bytes in as many blocks as fit (but one record at least), and where
 * to read on; the batch is null when only compacted offsets or the end lie ahead.
 */
export function readFrom(
  tables: Tables,
  partition: Partition,
  from: number,
  bytesMax: number,
): { readonly batch: RecordBatch | null; readonly nextOffset: number } {
  const { firstOffset, nextOffset: endOffset } = partition.head;
  const parts: Part[] = [];
  let next = Math.max(from, firstOffset);
  let bytes = 0;
  let count = 0;
  while (next < endOffset) {
    const block = newestAt(partition, next) ?? blockAt(tables, partition, next);
    const { header } = block;
    const first = rowAt(block.bytes, header, next);
    const rows = header.count - first;
    if (rows === 0) {
      next = header.next;
      continue;
    }
    if (count > 0 && block.bytes.length >= ALONE_BYTES) break;
    if (bytes + block.bytes.length <= bytesMax && count + rows <= BLOCK_RECORDS_MAX) {
      parts.push({ block, first, rows });
      bytes += block.bytes.length;
      count += rows;
      next = header.next;
      // Taken alone it need not be copied, and is decoded once for all who read it.
      if (block.bytes.length >= ALONE_BYTES) break;
      continue;
    }
    if (count > 0) break;
    count = Math.min(rowsWithin(block.bytes, header, first, bytesMax), BLOCK_RECORDS_MAX);
    parts.push({ block, first, rows: count });
    next = count === rows ? header.next : offsetOfRow(block, first + count);
    break;
  }
  if (count === 0) return { batch: null, nextOffset: next };
  const { joined, columns } = join(parts, count);
  const batch: RecordBatch = {
    topic: partition.topic,
    partition: partition.partition,
    count,
    bytes: joined,
    ...columns,
    nextOffset: next,
    endOffset,
    byteLength: joined.length + count * COLUMN_BYTES,
  };
  return { batch, nextOffset: next };
}

function join(
  parts: readonly Part[],
  count: number,
): { readonly joined: Buffer; readonly columns: Columns } {
  const [only] = parts;
  if (only && parts.length === 1 && only.rows === only.block.header.count)
    return { joined: only.block.bytes, columns: columnsOfBlock(only.block) };
  const joined =
    only && parts.length === 1
      ? only.block.bytes
      : Buffer.concat(parts.map(({ block }) => block.bytes));
  const columns = columnsOf(count);
  let start = 0;
  let row = 0;
  for (const part of parts) {
    decodeRows(joined, start, part.first, part.rows, columns, row);
    start += part.block.bytes.length;
    row += part.rows;
  }
  return { joined, columns };
}

function offsetOfRow(block: Block, row: number): number {
  const columns = columnsOf(1);
  decodeRows(block.bytes, 0, row, 1, columns, 0);
  return columns.offsets[0] as number;
}

/** The first offset whose time is at or after `timestampMs`; the end when there is none. Logarithmic. */
export function offsetAt(tables: Tables, partition: Partition, timestampMs: number): number {
  const { firstOffset, nextOffset } = partition.head;
  // Times in the index never go back, so the first block whose highest time so far reaches it holds the record,
  // unless compaction took that one out; then it is in a block behind.
  for (const key of tables.times.getKeys({
    start: timeKey(partition.key, timestampMs, 0),
    end: afterPrefix(partition.key),
  })) {
    const { base } = timeOfKey(key as Buffer);
    const { bytes, header } = blockAt(tables, partition, Math.max(base, firstOffset));
    const columns = columnsOf(header.count);
    decodeRows(bytes, 0, 0, header.count, columns, 0);
    const row = columns.timestamps.findIndex((timestamp) => timestamp >= timestampMs);
    if (row >= 0) return columns.offsets[row] as number;
  }
  return nextOffset;
}
