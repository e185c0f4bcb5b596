/** One fetch: kafkajs' request, version 11, and our own reading of the answer, which copies no records. */
import { fetchRequest, type WireExchange } from './library.ts';
import { readInt64 } from './record-batch.ts';
import type { AbortedTransaction } from './record-set.ts';

export interface FetchPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly bytesMax: number;
}

export interface FetchOptions {
  readonly partitions: readonly FetchPartition[];
  readonly bytesMax: number;
  readonly waitMs: number;
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly abortedTransactions: readonly AbortedTransaction[];
  /** Record batches as they lie in the answer; the last may be cut off. */
  readonly records: Buffer;
}

export interface FetchAnswer {
  readonly errorCode: number;
  /** Size of the answer, which every `records` of it keeps alive. */
  readonly bytes: number;
  readonly partitions: readonly FetchedPartition[];
}

const READ_COMMITTED = 1;
const NONE_ABORTED: readonly AbortedTransaction[] = [];

export function fetchExchange(options: FetchOptions): WireExchange {
  const topics: { topic: string; partitions: object[] }[] = [];
  for (const { topic, partition, offset, bytesMax } of options.partitions) {
    let entry = topics.at(-1);
    if (entry?.topic !== topic) {
      entry = { topic, partitions: [] };
      topics.push(entry);
    }
    entry.partitions.push({ partition, fetchOffset: offset, maxBytes: bytesMax });
  }
  return {
    request: fetchRequest({
      replicaId: -1,
      maxWaitTime: options.waitMs,
      minBytes: 1,
      maxBytes: options.bytesMax,
      isolationLevel: READ_COMMITTED,
      topics,
    }),
    response: { decode: async (payload) => decodeFetch(payload), parse: async (answer) => answer },
    requestTimeout: options.waitMs + 30_000,
  };
}

/**
 * ```
 * throttle ms int32 | error int16 | session int32 | topics [ name string | partitions [
 *   partition int32 | error int16 | high watermark int64 | last stable offset int64 | log start offset int64
 *   | aborted [ producer id int64 | first offset int64 ] | preferred replica int32 | records size int32, records ]]
 * ```
 */
export function decodeFetch(payload: Buffer): FetchAnswer & { clientSideThrottleTime: number } {
  const partitions: FetchedPartition[] = [];
  const clientSideThrottleTime = payload.readInt32BE(0);
  const errorCode = payload.readInt16BE(4);
  let at = 10;
  const topicCount = payload.readInt32BE(at);
  at += 4;
  for (let t = 0; t < topicCount; t++) {
    const nameBytes = payload.readInt16BE(at);
    at += 2;
    const topic = payload.toString('utf8', at, at + nameBytes);
    at += nameBytes;
    const partitionCount = payload.readInt32BE(at);
    at += 4;
    for (let p = 0; p < partitionCount; p++) {
      const partition = payload.readInt32BE(at);
      const partitionError = payload.readInt16BE(at + 4);
      const lastStableOffset = readInt64(payload, at + 14);
      const logStartOffset = readInt64(payload, at + 22);
      const abortedCount = payload.readInt32BE(at + 30);
      at += 34;
      let abortedTransactions = NONE_ABORTED;
      if (abortedCount > 0) {
        const list: AbortedTransaction[] = [];
        for (let a = 0; a < abortedCount; a++, at += 16) {
          list.push({
            producerId: readInt64(payload, at),
            firstOffset: readInt64(payload, at + 8),
          });
        }
        abortedTransactions = list;
      }
      const size = Math.max(0, payload.readInt32BE(at + 4));
      at += 8;
      partitions.push({
        topic,
        partition,
        errorCode: partitionError,
        lastStableOffset,
        logStartOffset,
        abortedTransactions,
        records: payload.subarray(at, at + size),
      });
      at += size;
    }
  }
  return { clientSideThrottleTime, errorCode, bytes: payload.length, partitions };
}
