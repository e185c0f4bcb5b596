/**
 * What one partition has fetched and not yet handed over. Records are decoded only when taken, a RecordBatch at
 * a time, so a held partition costs bytes and no work.
 */
import type { RecordBatch, TopicPartition } from '../contract.ts';
import { decodeRecords, makeColumns, type RecordRun } from './record-batch.ts';

/** A RecordBatch holds about this much: enough to spread its cost, little enough to stay in the cache. */
export const BATCH_RECORDS_MAX = 4096;
export const BATCH_BYTES_MAX = 1024 * 1024;

/** One answer's share of this partition. */
export interface Fetched {
  readonly runs: readonly RecordRun[];
  /** Where to read on behind it. */
  readonly nextOffset: number;
  /** Called once, when it has been handed over or thrown away. */
  release(): void;
}

export class RecordQueue {
  readonly #partition: TopicPartition;
  readonly #fetched: Fetched[] = [];
  #run = 0;
  #nextOffset: number;

  constructor(partition: TopicPartition, nextOffset: number) {
    this.#partition = partition;
    this.#nextOffset = nextOffset;
  }

  /** Next offset to be handed over. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  get isEmpty(): boolean {
    return this.#fetched.length === 0;
  }

  push(fetched: Fetched): void {
    if (fetched.runs.length > 0) this.#fetched.push(fetched);
    else {
      // Only control or aborted records: nothing to hand over, but we are further on.
      fetched.release();
      const last = this.#fetched.at(-1);
      if (last === undefined) this.#nextOffset = fetched.nextOffset;
      else this.#fetched[this.#fetched.length - 1] = { ...last, nextOffset: fetched.nextOffset };
    }
  }

  /** The next RecordBatch of about `bytesMax`, or null when there is none. `endOffset` goes into it. */
  take(endOffset: number, bytesMax = BATCH_BYTES_MAX): RecordBatch | null {
    for (;;) {
      const fetched = this.#fetched[0];
      if (fetched === undefined) return null;
      const batch = this.#decode(fetched, endOffset, bytesMax);
      if (this.#run >= fetched.runs.length) {
        this.#fetched.shift();
        this.#run = 0;
        this.#nextOffset = fetched.nextOffset;
        fetched.release();
      } else if (batch !== null) this.#nextOffset = batch.nextOffset;
      if (batch !== null) return batch;
    }
  }

  clear(): void {
    for (const fetched of this.#fetched) fetched.release();
    this.#fetched.length = 0;
    this.#run = 0;
  }

  #decode(fetched: Fetched, endOffset: number, bytesMax: number): RecordBatch | null {
    const { runs } = fetched;
    const { bytes, at: start } = runs[this.#run]!;
    let records = 0;
    let size = 0;
    for (let i = this.#run; i < runs.length && records < BATCH_RECORDS_MAX; i++) {
      const run = runs[i]!;
      if (run.bytes !== bytes) break;
      if (records > 0 && size + run.end - run.at > bytesMax) break;
      records += run.count;
      size += run.end - run.at;
    }
    // Of one run larger than a batch, as many records as make up a batch on average.
    const byBytes = Math.max(1, Math.floor((records * bytesMax) / Math.max(size, 1)));
    const limit = Math.min(records, BATCH_RECORDS_MAX, byBytes);
    const columns = makeColumns(limit);
    let row = 0;
    let left = limit;
    let end = start;
    while (left > 0) {
      const run = runs[this.#run]!;
      const before = run.count;
      row = decodeRecords(run, left, this.#nextOffset, columns, row);
      left -= before - run.count;
      end = run.at;
      if (run.count === 0) this.#run++;
    }
    if (row === 0) return null;
    const whole = row === limit;
    const cut = <T extends Float64Array | Int32Array>(column: T): T =>
      whole ? column : (column.subarray(0, row) as T);
    return {
      ...this.#partition,
      count: row,
      bytes,
      offsets: cut(columns.offsets),
      timestamps: cut(columns.timestamps),
      keyStart: cut(columns.keyStart),
      keyEnd: cut(columns.keyEnd),
      valueStart: cut(columns.valueStart),
      valueEnd: cut(columns.valueEnd),
      nextOffset: this.#run >= runs.length ? fetched.nextOffset : columns.offsets[row - 1]! + 1,
      endOffset: Math.max(endOffset, fetched.nextOffset),
      byteLength: end - start + limit * 32,
    };
  }
}
