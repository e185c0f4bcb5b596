/** Records on their way out: to which partition, and cut into what fits a batch. */
import { FatalError } from '../../model/index.ts';
import type { ProducerRecord } from '../contract.ts';
import { partitionOfKey } from '../partitioner.ts';
import { type EncodableRecord, recordBytes } from './record-batch-encode.ts';

/** Below Kafka's default message.max.bytes of 1 MiB, before packing. */
export const PRODUCE_BATCH_BYTES_MAX = 900 * 1024;
export const PRODUCE_BATCH_RECORDS_MAX = 16_384;
export const asBuffer = (part: Buffer | string | null): Buffer | null =>
  typeof part === 'string' ? Buffer.from(part) : part;

/** Which partition a record goes to; `roundRobin` gives the next number for records without key. */
export function partitionFor(
  record: ProducerRecord,
  key: Buffer | null,
  partitions: number,
  topic: string,
  roundRobin: () => number,
): number {
  if (record.partition === undefined) {
    return key === null ? roundRobin() % partitions : partitionOfKey(key, partitions);
  }
  if (
    record.partition < 0 ||
    record.partition >= partitions ||
    !Number.isInteger(record.partition)
  ) {
    throw new FatalError(
      `topic ${topic} has partitions 0 to ${partitions - 1}, not ${record.partition}`,
      { code: 'UNKNOWN_PARTITION', context: { topic, partition: record.partition } },
    );
  }
  return record.partition;
}

export function encodable(record: ProducerRecord, key: Buffer | null): EncodableRecord {
  const value = asBuffer(record.value);
  return record.timestamp === undefined
    ? { key, value }
    : { key, value, timestamp: Math.trunc(record.timestamp) };
}

/** Cuts records into pieces that fit a batch. */
export function cut(
  records: readonly EncodableRecord[],
): { from: number; to: number; bytes: number }[] {
  const pieces: { from: number; to: number; bytes: number }[] = [];
  let from = 0;
  let bytes = 0;
  for (let i = 0; i < records.length; i++) {
    const size = recordBytes(records[i]!);
    if (
      i > from &&
      (bytes + size > PRODUCE_BATCH_BYTES_MAX || i - from >= PRODUCE_BATCH_RECORDS_MAX)
    ) {
      pieces.push({ from, to: i, bytes });
      from = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (records.length > from) pieces.push({ from, to: records.length, bytes });
  return pieces;
}
