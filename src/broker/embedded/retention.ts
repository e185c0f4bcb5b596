/**
 * Retention: whole blocks leave a partition's head when their newest record is too old, or while the rest is still
 * as large as the topic may be. A reader in the middle keeps its batch and finds the next offset that is left.
 */
import { afterPrefix, blockKey, timeOfKey } from './keys.ts';
import { decodeTimeEntry, type Stage } from './stage.ts';
import type { Tables } from './storage.ts';
import { bytesExpired } from './telemetry.ts';
import type { Partition } from './topics.ts';
import type { Writer } from './writer.ts';

/** Blocks deleted by one write, so that others get their turn. */
const BLOCKS_PER_WRITE = 512;

interface Expired {
  readonly timeKey: Buffer;
  readonly base: number;
  readonly bytes: number;
}

/** Deletes what a partition need not keep any longer; resolves with the bytes freed. */
export async function expire(
  tables: Tables,
  writer: Writer,
  partition: Partition,
  nowMs: number,
): Promise<number> {
  const { cleanup, retentionMs, retentionBytes } = partition.spec;
  if (cleanup === 'compact' || (retentionMs === -1 && retentionBytes === -1)) return 0;
  let freed = 0;
  for (;;) {
    const bytes = await writer.run({
      bytes: 0,
      stage: (stage) => {
        if (partition.deleted) return 0;
        const { blocks, firstOffset } = findExpired(tables, partition, nowMs);
        return blocks.length === 0 ? 0 : remove(stage, partition, blocks, firstOffset);
      },
    });
    if (bytes === 0) break;
    freed += bytes;
  }
  if (freed === 0) return 0;
  // LMDB reuses pages from the second write after they were freed on: on a full disk, where no other write
  // succeeds, this small one is what brings the log to life again.
  await writer.run({
    bytes: 0,
    stage: (stage) => {
      if (!partition.deleted) stage.setHead(partition, {});
    },
  });
  bytesExpired(partition.topic, freed);
  return freed;
}

function findExpired(tables: Tables, partition: Partition, nowMs: number) {
  const { retentionMs, retentionBytes } = partition.spec;
  const oldest = retentionMs === -1 ? Number.NEGATIVE_INFINITY : nowMs - retentionMs;
  const bytesMax = retentionBytes === -1 ? Number.POSITIVE_INFINITY : retentionBytes;
  const blocks: Expired[] = [];
  let left = partition.head.bytes;
  let firstOffset = partition.head.nextOffset;
  for (const { key, value } of tables.times.getRange({
    start: partition.key,
    end: afterPrefix(partition.key),
  })) {
    const { base } = timeOfKey(key as Buffer);
    const { timestampMs, bytes } = decodeTimeEntry(value);
    if (blocks.length === BLOCKS_PER_WRITE || (timestampMs >= oldest && left - bytes < bytesMax)) {
      firstOffset = base;
      break;
    }
    blocks.push({ timeKey: key as Buffer, base, bytes });
    left -= bytes;
  }
  return { blocks, firstOffset };
}

function remove(
  stage: Stage,
  partition: Partition,
  blocks: readonly Expired[],
  firstOffset: number,
): number {
  let bytes = 0;
  for (const block of blocks) {
    stage.remove(stage.tables.log, blockKey(partition.key, block.base));
    stage.remove(stage.tables.times, block.timeKey);
    bytes += block.bytes;
  }
  const head = stage.head(partition);
  stage.setHead(partition, {
    firstOffset,
    bytes: head.bytes - bytes,
    dirtyBytes: Math.min(head.dirtyBytes, head.bytes - bytes),
  });
  return bytes;
}
