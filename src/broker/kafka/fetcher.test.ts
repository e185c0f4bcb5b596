import { afterEach, describe, expect, test, vi } from 'vitest';
import { ManualClock, silentLogger } from '../../runtime/index.ts';
import type { RecordBatch } from '../contract.ts';
import type { Cluster } from './cluster.ts';
import type { FetchAnswer } from './fetch.ts';
import { Fetcher, type FetchLimits } from './fetcher.ts';
import type { WireExchange } from './library.ts';
import { encodeBatch } from './record-batch-encode.ts';

const KIB = 1024;
const limits: FetchLimits = {
  fetchBytesMax: 100 * KIB,
  partitionBytesMax: 50 * KIB,
  bufferBytesMax: 120 * KIB,
  waitMs: 200,
};

interface Asked {
  /** `topic/partition@offset`, in the order asked. */
  readonly partitions: string[];
  readonly waitMs: number;
  answer(
    parts: readonly {
      topic?: string;
      partition: number;
      records?: Buffer;
      end?: number;
      errorCode?: number;
    }[],
  ): void;
  fail(error: Error): void;
}

/** One broker that leads everything and answers when told. */
function fakeCluster() {
  const asked: Asked[] = [];
  const hungUp: number[] = [];
  const pending = new Set<(error: Error) => void>();
  const cluster = {
    knownLeader: () => 1,
    forgetLeaders() {},
    refresh: async (topics: string[]) => topics,
    leadersOf: async () => [1, 1, 1],
    disconnect: async (node: number) => {
      hungUp.push(node);
      for (const reject of pending) reject(closed());
      pending.clear();
    },
    close: async () => {
      for (const reject of pending) reject(closed());
      pending.clear();
    },
    send: async (_node: number, exchange: WireExchange) => {
      const request = (await exchange.request.encode()).buffer;
      return new Promise((resolve, reject) => {
        pending.add(reject);
        asked.push({
          ...decodeRequest(request),
          fail: reject,
          answer: (parts) => {
            pending.delete(reject);
            const records = parts.reduce((sum, part) => sum + (part.records?.length ?? 0), 0);
            const answer: FetchAnswer = {
              errorCode: 0,
              bytes: records,
              partitions: parts.map((part) => ({
                topic: part.topic ?? 't',
                partition: part.partition,
                errorCode: part.errorCode ?? 0,
                lastStableOffset: part.end ?? 1000,
                logStartOffset: 0,
                abortedTransactions: [],
                records: part.records ?? Buffer.alloc(0),
              })),
            };
            resolve(answer);
          },
        });
      });
    },
  };
  return { cluster: cluster as unknown as Cluster, asked, hungUp };
}

const closed = () => Object.assign(new Error('closed'), { name: 'KafkaJSConnectionClosedError' });

/** Fetch v11: replica, wait, min, max, isolation, session, epoch, topics [ name, partitions [ … ] ]. */
function decodeRequest(bytes: Buffer): { partitions: string[]; waitMs: number } {
  const partitions: string[] = [];
  let at = 29;
  for (let topics = bytes.readInt32BE(25); topics > 0; topics--) {
    const length = bytes.readInt16BE(at);
    const topic = bytes.toString('utf8', at + 2, at + 2 + length);
    at += 2 + length;
    const count = bytes.readInt32BE(at);
    at += 4;
    for (let p = 0; p < count; p++, at += 28) {
      partitions.push(`${topic}/${bytes.readInt32BE(at)}@${bytes.readBigInt64BE(at + 8)}`);
    }
  }
  return { partitions, waitMs: bytes.readInt32BE(4) };
}

async function recordsFrom(offset: number, count: number, bytesEach = 10): Promise<Buffer> {
  const bytes = await encodeBatch(
    Array.from({ length: count }, () => ({ key: null, value: Buffer.alloc(bytesEach) })),
    { producerId: -1n, producerEpoch: -1, baseSequence: -1, transactional: false },
    'none',
    1,
  );
  bytes.writeBigInt64BE(BigInt(offset));
  return bytes;
}

const fetchers: Fetcher[] = [];
afterEach(async () => {
  await Promise.all(fetchers.splice(0).map((fetcher) => fetcher.stop()));
});

function start(handle: (batch: RecordBatch) => boolean = () => true) {
  const { cluster, asked, hungUp } = fakeCluster();
  const clock = new ManualClock(1_000_000);
  const batches: RecordBatch[] = [];
  const failures: Error[] = [];
  const fetcher = new Fetcher({
    cluster,
    limits,
    stallTimeoutMs: 10_000,
    clock,
    logger: silentLogger,
    batch: (batch) => {
      batches.push(batch);
      return handle(batch);
    },
    failed: (error) => failures.push(error),
  });
  fetchers.push(fetcher);
  return { fetcher, asked, hungUp, clock, batches, failures };
}

const at = (partition: number, offset = 0) => ({ topic: 't', partition, offset });
const until = (condition: () => void) => vi.waitFor(condition, { timeout: 30_000, interval: 1 });

describe('fetcher', () => {
  test('the next fetch is asked for, from where the last ends, before its records are handed over', async () => {
    const { fetcher, asked, batches } = start(() => {
      expect(asked.length).toBeGreaterThan(1);
      return true;
    });
    fetcher.add(at(0));
    await until(() => expect(asked).toHaveLength(1));
    expect(asked[0]).toMatchObject({ partitions: ['t/0@0'], waitMs: 200 });
    asked[0]!.answer([{ partition: 0, records: await recordsFrom(0, 7) }]);
    await until(() => expect(batches).toHaveLength(1));
    expect(asked[1]?.partitions).toEqual(['t/0@7']);
  });

  test('a held partition is not asked for once something of it waits; the others are, waiting shortly', async () => {
    const { fetcher, asked, batches } = start((batch) => batch.partition === 1);
    fetcher.add(at(0));
    fetcher.add(at(1));
    await until(() => expect(asked.at(-1)?.partitions).toHaveLength(2));
    asked.at(-1)!.answer([{ partition: 0, records: await recordsFrom(0, 3) }]);
    await until(() => expect(batches).toHaveLength(1));
    // Asked for before the hand-over said no: one more fetch of it may come.
    await until(() => expect(asked.at(-1)?.partitions.sort()).toEqual(['t/0@3', 't/1@0']));
    asked.at(-1)!.answer([{ partition: 0, records: await recordsFrom(3, 3) }]);
    await until(() => expect(asked.at(-1)?.partitions).toEqual(['t/1@0']));
    expect(asked.at(-1)?.waitMs).toBeLessThan(limits.waitMs);
    expect(batches).toHaveLength(1);
    fetcher.resume(at(0));
    await until(() => expect(batches).toHaveLength(2));
    expect(batches[1]?.offsets[0]).toBe(3);
  });

  test('above its bound of memory nothing is asked for; what is held for long gives way and is fetched again', async () => {
    const { fetcher, asked, batches, clock } = start(() => false);
    for (const partition of [0, 1, 2]) fetcher.add(at(partition));
    await until(() => expect(asked.at(-1)?.partitions).toHaveLength(3));
    const first = await recordsFrom(0, 40, 1024);
    asked.at(-1)!.answer([0, 1, 2].map((partition) => ({ partition, records: first })));
    await until(() => expect(batches).toHaveLength(3));
    // All was handed over, so that memory is the handlers'; one fetch more may wait here.
    await until(() => expect(asked.at(-1)?.partitions).toHaveLength(3));
    const next = await recordsFrom(40, 60, 1024);
    const before = asked.length;
    asked.at(-1)!.answer([0, 1, 2].map((partition) => ({ partition, records: next })));
    await new Promise((resolve) => setTimeout(resolve, 20));
    fetcher.resume(at(0));
    await until(() => expect(batches).toHaveLength(4));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked.length).toBe(before);

    await clock.advance(1_100);
    fetcher.resume(at(0));
    await until(() => expect(asked.length).toBeGreaterThan(before));
    expect(asked.at(-1)?.partitions).toEqual(['t/0@100']);
    fetcher.resume(at(1));
    asked.at(-1)!.answer([{ partition: 0, end: 100 }]);
    await until(() => expect(asked.at(-1)?.partitions.sort()).toEqual(['t/0@100', 't/1@40']));
    asked.at(-1)!.answer([{ partition: 1, records: next }]);
    await until(() => expect(batches).toHaveLength(5));
    expect(batches[4]).toMatchObject({ partition: 1, count: 60, nextOffset: 100 });
  });

  test('after a seek the answer under way is dropped, and reading goes on from the new offset', async () => {
    const { fetcher, asked, batches } = start();
    fetcher.add(at(0, 50));
    await until(() => expect(asked).toHaveLength(1));
    fetcher.seek(at(0, 5));
    asked[0]!.answer([{ partition: 0, records: await recordsFrom(50, 5) }]);
    await until(() => expect(asked).toHaveLength(2));
    expect(asked[1]?.partitions).toEqual(['t/0@5']);
    asked[1]!.answer([{ partition: 0, records: await recordsFrom(5, 2) }]);
    await until(() => expect(batches).toHaveLength(1));
    expect(batches[0]?.offsets[0]).toBe(5);
  });

  test('after a removal nothing of the partition is handed over', async () => {
    const { fetcher, asked, batches } = start();
    fetcher.add(at(0));
    fetcher.add(at(1));
    await until(() => expect(asked.at(-1)?.partitions).toHaveLength(2));
    fetcher.remove(at(0));
    const records = await recordsFrom(0, 5);
    asked.at(-1)!.answer([
      { partition: 0, records },
      { partition: 1, records },
    ]);
    await until(() => expect(batches).toHaveLength(1));
    expect(batches[0]?.partition).toBe(1);
    expect(fetcher.positions().map(({ partition }) => partition)).toEqual([1]);
  });

  test('positions follow answers, also empty ones, with the time of the last word from the broker', async () => {
    const { fetcher, asked, clock } = start();
    fetcher.add(at(0, 10));
    expect(fetcher.positions()).toEqual([
      { topic: 't', partition: 0, nextOffset: 10, endOffset: 10, confirmedAtMs: 0 },
    ]);
    await until(() => expect(asked).toHaveLength(1));
    await clock.advance(500);
    asked[0]!.answer([{ partition: 0, end: 25 }]);
    await until(() => expect(fetcher.positions()[0]?.endOffset).toBe(25));
    expect(fetcher.positions()[0]).toMatchObject({ nextOffset: 10, confirmedAtMs: 1_000_500 });
  });

  test('a fetch that never answers is given up after the stall timeout, and asked anew', async () => {
    const { fetcher, asked, hungUp, clock } = start();
    fetcher.add(at(0));
    await until(() => expect(asked).toHaveLength(1));
    await clock.advance(7_000);
    expect(hungUp).toEqual([]);
    await clock.advance(6_000);
    expect(hungUp).toEqual([1]);
    await clock.advance(100);
    await until(() => expect(asked).toHaveLength(2));
  });

  test('records that are there and never come are a stall, even when the broker answers', async () => {
    const { fetcher, asked, hungUp, clock } = start();
    fetcher.add(at(0));
    for (let i = 0; i < 14; i++) {
      await until(() => expect(asked).toHaveLength(i + 1));
      asked[i]!.answer([{ partition: 0, end: 5 }]);
      await clock.advance(1_000);
    }
    expect(hungUp).toEqual([1]);
  });

  test('a partition that the handlers hold is no stall, and neither is one that is caught up', async () => {
    const { fetcher, asked, hungUp, batches, clock } = start(() => false);
    fetcher.add(at(0));
    fetcher.add(at(1));
    await until(() => expect(asked.at(-1)?.partitions).toHaveLength(2));
    asked.at(-1)!.answer([{ partition: 0, records: await recordsFrom(0, 3) }]);
    await until(() => expect(batches).toHaveLength(1));
    for (let i = 0; i < 20; i++) {
      const last = asked.length;
      asked.at(-1)!.answer([{ partition: 1, end: 0 }]);
      await until(() => expect(asked.length).toBeGreaterThan(last));
      await clock.advance(1_000);
    }
    expect(hungUp).toEqual([]);
  });

  test('a broker that can not be reached is tried again, later each time', async () => {
    const { fetcher, asked, clock, failures } = start();
    fetcher.add(at(0));
    for (let i = 0; i < 4; i++) {
      await until(() => expect(asked).toHaveLength(i + 1));
      asked[i]!.fail(closed());
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(asked).toHaveLength(i + 1);
      await clock.advance(50 * 2 ** i);
    }
    expect(failures).toEqual([]);
  });

  test('a handler that throws stops the consumer', async () => {
    const { fetcher, asked, failures } = start(() => {
      throw new Error('cannot decode');
    });
    fetcher.add(at(0));
    await until(() => expect(asked).toHaveLength(1));
    asked[0]!.answer([{ partition: 0, records: await recordsFrom(0, 1) }]);
    await until(() => expect(failures).toHaveLength(1));
    expect(failures[0]?.message).toContain('cannot decode');
  });
});
