/** The parts of a broker that the HTTP service and the commands use, in memory, for tests of those rooms. */

import type {
  AppendedRecord,
  Broker,
  ProducerRecord,
  ReadRequest,
  RecordBatch,
  TopicSpec,
} from '../../src/broker/index.ts';
import { FatalError, RetriableError } from '../../src/model/index.ts';

interface Stored {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestamp: number;
}

export interface MemoryBroker extends Broker {
  /** Appends bypassing HTTP; to one partition. */
  put(topic: string, partition: number, ...values: (string | Buffer | null)[]): void;
  /** Drops the oldest records, as retention would. */
  trim(topic: string, partition: number, firstOffset: number): void;
  /** While true every call fails as an unreachable server would. */
  away: boolean;
  /** Reads that wait for records now. */
  readonly waiting: number;
}

export function memoryBroker(options: { now?: () => number } = {}): MemoryBroker {
  const now = options.now ?? (() => 1_700_000_000_000);
  const topics = new Map<string, { records: Stored[]; first: number }[]>();
  const waiters = new Set<() => void>();
  let roundRobin = 0;

  const present = () => {
    if (broker.away) throw new RetriableError('the broker is away', { code: 'BROKER_UNREACHABLE' });
  };
  const partitionsOf = (name: string) => {
    const found = topics.get(name);
    if (found) return found;
    throw new FatalError(`no topic ${name}`, { code: 'UNKNOWN_TOPIC' });
  };
  const bytesOf = (given: Buffer | string | null) =>
    given === null ? null : Buffer.from(given as string);
  const readNow = (request: ReadRequest): RecordBatch | null => {
    present();
    const partition = partitionsOf(request.topic)[request.partition]!;
    const from = Math.max(request.from, partition.first);
    const end = partition.first + partition.records.length;
    if (from >= end) return null;
    const chosen: Stored[] = [];
    let size = 0;
    for (const record of partition.records.slice(from - partition.first)) {
      const length = (record.key?.length ?? 0) + (record.value?.length ?? 0);
      if (chosen.length > 0 && size + length > (request.maxBytes ?? 1_048_576)) break;
      chosen.push(record);
      size += length;
    }
    return batchOf(request.topic, request.partition, from, chosen, end);
  };

  const broker: MemoryBroker = {
    kind: 'embedded',
    away: false,
    get waiting() {
      return waiters.size;
    },
    put(topic, partition, ...values) {
      const { records } = partitionsOf(topic)[partition]!;
      for (const value of values) {
        records.push({ key: null, value: bytesOf(value), timestamp: now() });
      }
      for (const wake of [...waiters]) wake();
    },
    trim(topic, partition, firstOffset) {
      const log = partitionsOf(topic)[partition]!;
      log.records.splice(0, firstOffset - log.first);
      log.first = firstOffset;
    },
    async createTopics(specs: readonly TopicSpec[]) {
      for (const { name, partitions = 1 } of specs) {
        if (topics.has(name)) continue;
        topics.set(
          name,
          Array.from({ length: partitions }, () => ({ records: [], first: 0 })),
        );
      }
    },
    async describeTopics(names) {
      present();
      return [...topics]
        .filter(([name]) => names === undefined || names.includes(name))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, logs]) => ({
          name,
          partitions: logs.map(({ first, records }, partition) => ({
            partition,
            firstOffset: first,
            nextOffset: first + records.length,
          })),
        }));
    },
    async append(topic: string, records: readonly ProducerRecord[]): Promise<AppendedRecord[]> {
      present();
      const logs = partitionsOf(topic);
      const appended = records.map((record) => {
        const partition = record.partition ?? roundRobin++ % logs.length;
        const log = logs[partition]!;
        const offset = log.first + log.records.length;
        log.records.push({
          key: bytesOf(record.key),
          value: bytesOf(record.value),
          timestamp: record.timestamp ?? now(),
        });
        return { partition, offset };
      });
      for (const wake of [...waiters]) wake();
      return appended;
    },
    async read(request) {
      const deadline = performance.now() + (request.maxWaitMs ?? 0);
      for (;;) {
        const batch = readNow(request);
        const left = deadline - performance.now();
        if (batch !== null || left <= 0 || request.signal?.aborted) return batch;
        await new Promise<void>((resolve) => {
          const wake = () => {
            clearTimeout(timer);
            waiters.delete(wake);
            request.signal?.removeEventListener('abort', wake);
            resolve();
          };
          const timer = setTimeout(wake, left);
          waiters.add(wake);
          request.signal?.addEventListener('abort', wake);
        });
      }
    },
    async offsetAt({ topic, partition }, timestampMs) {
      const { records, first } = partitionsOf(topic)[partition]!;
      const index = records.findIndex((record) => record.timestamp >= timestampMs);
      return first + (index === -1 ? records.length : index);
    },
    consume: unsupported,
    openLedger: unsupported,
    committedOffsets: unsupported,
    deleteNamespace: unsupported,
    async check() {
      present();
    },
    async close() {},
  };
  return broker;
}

const unsupported = (): Promise<never> =>
  Promise.reject(new Error('this test broker has no consumers'));

function batchOf(
  topic: string,
  partition: number,
  from: number,
  records: readonly Stored[],
  endOffset: number,
): RecordBatch {
  const count = records.length;
  const starts = [new Int32Array(count), new Int32Array(count)] as const;
  const ends = [new Int32Array(count), new Int32Array(count)] as const;
  const parts: Buffer[] = [];
  let at = 0;
  records.forEach((record, i) => {
    [record.key, record.value].forEach((part, column) => {
      starts[column as 0 | 1][i] = part === null ? -1 : at;
      at += part?.length ?? 0;
      ends[column as 0 | 1][i] = part === null ? -1 : at;
      if (part !== null) parts.push(part);
    });
  });
  return {
    topic,
    partition,
    count,
    bytes: Buffer.concat(parts),
    offsets: Float64Array.from(records, (_, i) => from + i),
    timestamps: Float64Array.from(records, (record) => record.timestamp),
    keyStart: starts[0],
    keyEnd: ends[0],
    valueStart: starts[1],
    valueEnd: ends[1],
    nextOffset: from + count,
    endOffset,
    byteLength: at,
  };
}
