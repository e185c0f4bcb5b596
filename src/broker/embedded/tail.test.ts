import { expect, test } from 'vitest';
import { openTemporaryBroker } from '../../../test/support/embedded-broker.ts';
import type { Block } from './block.ts';
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

test('who reads the end of a topic shares its bytes and columns, and reads what a restart reads from disk', async () => {
  const { broker, reopen } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  const records = Array.from({ length: 400 }, (_, i) => ({
    key: `k${i}`,
    value: Buffer.alloc(300, i),
  }));
  await broker.append('t', records);
  const read = { topic: 't', partition: 0, from: 0 };
  const [one, other] = [await broker.read(read), await broker.read(read)];
  expect(one?.count).toBe(400);
  expect(other?.bytes).toBe(one?.bytes);
  expect(other?.offsets).toBe(one?.offsets);
  const again = await (await reopen()).read(read);
  expect(again).toEqual(one);
});
