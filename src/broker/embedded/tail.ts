/**
 * The newest blocks of the log, as they were written, for as long as somebody is on the way to them: a dozen consumers
 * at the end of a topic read one block in memory instead of copying it out of LMDB, checking and decoding it a dozen
 * times. A block goes when the last consumer of its partition has read it, at once where there is none, and when all
 * partitions together hold more than the bound, the oldest first. Who comes later reads from disk. Blocks are never
 * written again, so neither they nor their columns change. Compacted topics stay out: their blocks are replaced.
 */
import { type Block, COLUMN_BYTES } from './block.ts';
import type { Partition } from './topics.ts';

const TAIL_BYTES_MAX = 8 * 1024 ** 2;
/** What a block costs besides its bytes, its columns included, about: many small ones must not cost more. */
const BLOCK_COST_BYTES = 1024;

interface Kept {
  readonly partition: Partition;
  readonly bytes: number;
}

export class Tail {
  /** Oldest first. */
  readonly #kept = new Map<Block, Kept>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax = TAIL_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** `block` is on disk, and the newest of its partition. */
  keep(partition: Partition, block: Block): void {
    if (partition.spec.cleanup === 'compact') return;
    const bytes = block.bytes.length + block.header.count * COLUMN_BYTES + BLOCK_COST_BYTES;
    partition.newest.push(block);
    this.#kept.set(block, { partition, bytes });
    this.#bytes += bytes;
    if (this.#bytes <= this.#bytesMax) return;
    for (const { partition } of this.#kept.values()) {
      this.#dropOldest(partition);
      if (this.#bytes <= this.#bytesMax) return;
    }
  }

  /** Blocks of `partition` that nobody is on the way to any more go. */
  release(partition: Partition): void {
    const { newest, readers } = partition;
    if (newest.length === 0) return;
    let read = Number.POSITIVE_INFINITY;
    for (const { nextOffset } of readers) read = Math.min(read, nextOffset);
    while (newest.length > 0 && (newest[0] as Block).header.next <= read)
      this.#dropOldest(partition);
  }

  #dropOldest({ newest }: Partition): void {
    const block = newest.shift() as Block;
    this.#bytes -= (this.#kept.get(block) as Kept).bytes;
    this.#kept.delete(block);
  }
}

/** The block among a partition's newest that covers `offset`, if it is one of them. */
export function newestAt({ newest }: Partition, offset: number): Block | undefined {
  let low = 0;
  let high = newest.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((newest[middle] as Block).header.next <= offset) low = middle + 1;
    else high = middle;
  }
  const block = newest[low];
  return block !== undefined && offset >= block.header.base ? block : undefined;
}
