/**
 * The newest blocks of the log, as they were written: a dozen consumers at the end of a topic read one block in
 * memory instead of copying it out of LMDB, checking and decoding it a dozen times. It holds so many bytes for all
 * partitions together; what is older goes, and is read from disk. Blocks are never written again, so neither they
 * nor their columns change. Compacted topics stay out: their blocks are replaced.
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
  /** Oldest first; those before `#first` are gone. */
  #kept: Kept[] = [];
  #first = 0;
  #bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax = TAIL_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** `block` is on disk, and the newest of its partition. */
  keep(partition: Partition, block: Block): void {
    if (partition.spec.cleanup === 'compact') return;
    const bytes = block.bytes.length + block.header.count * COLUMN_BYTES + BLOCK_COST_BYTES;
    partition.newest.push(block);
    this.#kept.push({ partition, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#kept[this.#first++] as Kept;
      oldest.partition.newest.shift();
      this.#bytes -= oldest.bytes;
    }
    if (this.#first * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#first);
      this.#first = 0;
    }
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
