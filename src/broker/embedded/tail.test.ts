import { expect, test } from 'vitest';
import { openTemporaryBroker } from '../../../test/support/embedded-broker.ts';
import type { RecordBatch } from '../contract.ts';
import type { Block } from './block.ts';
import type { EmbeddedBroker } from './broker.ts';
import { newestAt, Tail } from './tail.ts';
import { emptyHead, Partition } from './topics.ts';

const partition = (number: number, cleanup: 'delete' | 'compact' = 'delete') =>
  new Partition(
    't',
    number,
    {
      number: 1,
      partitions: 3,
      cleanup,
      retentionMs: -1,
      retentionBytes: -1,
      timestampType: 'append',
    },
    emptyHead,
  );

const block = (base: number, next: number, bytes = 1_000): Block => ({
  bytes: Buffer.alloc(bytes),
  header: { base, next, count: next - base },
});

test('a block is found by any offset that it covers, and only by those', () => {
  const tail = new Tail();
  const at = partition(0);
  const [first, second] = [block(10, 12), block(12, 20)];
  tail.keep(at, first);
  tail.keep(at, second);
  expect([10, 11].map((offset) => newestAt(at, offset))).toEqual([first, first]);
  expect([12, 19].map((offset) => newestAt(at, offset))).toEqual([second, second]);
  expect([0, 9, 20].map((offset) => newestAt(at, offset))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('the oldest of all partitions goes first, and never more is kept than the bound', () => {
  const tail = new Tail(10_000);
  const [a, b] = [partition(0), partition(1)];
  for (let i = 0; i < 100; i++) tail.keep(i % 2 === 0 ? a : b, block(i, i + 1));
  const kept = [...a.newest, ...b.newest];
  expect(kept.length).toBeGreaterThan(3);
  expect(kept.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(10_000);
  const bases = kept.map(({ header }) => header.base).sort((x, y) => x - y);
  expect(bases).toEqual(Array.from({ length: kept.length }, (_, i) => 100 - kept.length + i));
});

test('a block larger than the bound is not kept, and those of compacted topics never', () => {
  const tail = new Tail(10_000);
  const [large, compacted] = [partition(0), partition(1, 'compact')];
  tail.keep(large, block(0, 1, 20_000));
  tail.keep(compacted, block(0, 1));
  expect([...large.newest, ...compacted.newest]).toEqual([]);
});

test('a block stays until the slowest consumer of its partition has read it', () => {
  const tail = new Tail();
  const at = partition(0);
  const blocks = [block(0, 10), block(10, 20), block(20, 30)];
  for (const each of blocks) tail.keep(at, each);
  const [fast, slow] = [{ nextOffset: 0 }, { nextOffset: 0 }];
  at.readers.add(fast).add(slow);
  const after = (change: () => void) => {
    change();
    tail.release(at);
    return [...at.newest];
  };
  expect(after(() => Object.assign(fast, { nextOffset: 30 }))).toEqual(blocks);
  expect(after(() => Object.assign(slow, { nextOffset: 19 }))).toEqual(blocks.slice(1));
  expect(after(() => Object.assign(slow, { nextOffset: 20 }))).toEqual(blocks.slice(2));
  expect(after(() => at.readers.delete(slow))).toEqual([]);
});

test('what was read makes room: others keep all that is within the bound', () => {
  const tail = new Tail(10_000);
  const [read, unread] = [partition(0), partition(1)];
  unread.readers.add({ nextOffset: 0 });
  for (let i = 0; i < 100; i++) {
    tail.keep(read, block(i, i + 1));
    tail.release(read);
  }
  for (let i = 0; i < 4; i++) tail.keep(unread, block(i, i + 1));
  expect(read.newest).toEqual([]);
  expect(unread.newest.map(({ header }) => header.base)).toEqual([0, 1, 2, 3]);
});

/** A consumer of topic `t` from its start, and what it was handed; it stops after the first batch when it is slow. */
async function consume(broker: EmbeddedBroker, group: string, { slow = false } = {}) {
  const batches: RecordBatch[] = [];
  let reached = () => {};
  const first = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const consumer = await broker.consume({
    group,
    topics: ['t'],
    handlers: {
      assigned: async (places) => places.map((place) => ({ ...place, offset: 0 })),
      revoked: async () => {},
      batch: (batch) => {
        batches.push(batch);
        reached();
        return !slow;
      },
      failed: (error) => {
        throw error;
      },
    },
  });
  return { batches, first, consumer };
}

const records = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: Buffer.alloc(300, i) }));

test('consumers share bytes and columns, and who comes later reads the same from disk', async () => {
  const { broker, reopen } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  const [one, other] = [await consume(broker, 'one'), await consume(broker, 'other')];
  await broker.append('t', records(400));
  await Promise.all([one.first, other.first]);
  const [batch] = one.batches as [RecordBatch];
  expect(batch.count).toBe(400);
  expect(other.batches[0]?.bytes).toBe(batch.bytes);
  expect(other.batches[0]?.offsets).toBe(batch.offsets);
  const later = await broker.read({ topic: 't', partition: 0, from: 0 });
  expect(later?.bytes).not.toBe(batch.bytes);
  expect(later).toEqual(batch);
  expect(await (await reopen()).read({ topic: 't', partition: 0, from: 0 })).toEqual(batch);
});

test('what a held consumer has not read stays in memory until it has left', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  const slow = await consume(broker, 'slow', { slow: true });
  await broker.append('t', records(400));
  await slow.first;
  await broker.append('t', records(400));
  const read = { topic: 't', partition: 0, from: 400 };
  const kept = await broker.read(read);
  expect((await broker.read(read))?.bytes).toBe(kept?.bytes);
  await slow.consumer.stop();
  const left = await broker.read(read);
  expect(left?.bytes).not.toBe(kept?.bytes);
  expect(left).toEqual(kept);
});
