/** Makes a RecordBatch of loose records: what tests, replays and in-memory logs feed to a stage. */
import type { RecordBatch } from '../broker/index.ts';

export interface LooseRecord {
  readonly key: Buffer | string | null;
  readonly value: Buffer | string | null;
  readonly offset: number;
  /** The log's time, ms. */
  readonly timestamp: number;
}

export function recordBatchOf(
  topic: string,
  partition: number,
  records: readonly LooseRecord[],
  endOffset?: number,
): RecordBatch {
  const parts: Buffer[] = [];
  const count = records.length;
  const ints = () => new Int32Array(count);
  const batch = { keyStart: ints(), keyEnd: ints(), valueStart: ints(), valueEnd: ints() };
  let at = 0;
  const place = (
    content: Buffer | string | null,
    start: Int32Array,
    end: Int32Array,
    i: number,
  ): void => {
    if (content === null) {
      start[i] = -1;
      end[i] = -1;
      return;
    }
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    parts.push(bytes);
    start[i] = at;
    at += bytes.length;
    end[i] = at;
  };
  for (const [i, record] of records.entries()) {
    place(record.key, batch.keyStart, batch.keyEnd, i);
    place(record.value, batch.valueStart, batch.valueEnd, i);
  }
  const nextOffset = (records.at(-1)?.offset ?? -1) + 1;
  return {
    topic,
    partition,
    count,
    bytes: Buffer.concat(parts),
    offsets: Float64Array.from(records, (r) => r.offset),
    timestamps: Float64Array.from(records, (r) => r.timestamp),
    ...batch,
    nextOffset,
    endOffset: Math.max(endOffset ?? nextOffset, nextOffset),
    byteLength: at + count * 32,
  };
}
