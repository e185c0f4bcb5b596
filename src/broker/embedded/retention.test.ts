import { expect, test } from 'vitest';
import { openTemporaryBroker, recordsIn } from '../../../test/support/embedded-broker.ts';

const record = (value: string) => ({ key: null, value, partition: 0 });
const kilobyte = 'x'.repeat(1_000);

test('blocks older than retentionMs go at a sweep of the clock; offsets go on', async () => {
  const { broker, clock, reopen } = await openTemporaryBroker({ maintenanceIntervalMs: 1_000 });
  await broker.createTopics([{ name: 'short', retentionMs: 10_000 }, { name: 'long' }]);
  for (const value of ['a', 'b', 'c']) {
    await broker.append('short', [record(value)]);
    await broker.append('long', [record(value)]);
    await clock.advance(4_000);
  }
  // At 12 s: a is 12 s old, b 8 s.
  await broker.maintain();
  expect((await recordsIn(broker, 'short')).map(({ offset }) => offset)).toEqual([1, 2]);
  expect(await broker.describeTopics()).toEqual([
    { name: 'long', partitions: [{ partition: 0, firstOffset: 0, nextOffset: 3 }] },
    { name: 'short', partitions: [{ partition: 0, firstOffset: 1, nextOffset: 3 }] },
  ]);
  await clock.advance(60_000);
  await broker.maintain();
  expect(await recordsIn(broker, 'short')).toEqual([]);
  expect(await broker.append('short', [record('d')])).toEqual([{ partition: 0, offset: 3 }]);

  const again = await reopen();
  expect(await recordsIn(again, 'short')).toEqual([{ offset: 3, key: null, value: 'd' }]);
  expect(await again.append('short', [record('e')])).toEqual([{ partition: 0, offset: 4 }]);
});

test('retention runs at opening, so a long stop leaves nothing overdue', async () => {
  const { broker, clock, reopen } = await openTemporaryBroker();
  await broker.createTopics([{ name: 'short', retentionMs: 10_000 }]);
  await broker.append('short', [record('a')]);
  await broker.close();
  await clock.advance(20_000);
  expect(await recordsIn(await reopen(), 'short')).toEqual([]);
});

test('retentionBytes keeps at least that much and always the newest block, in each partition', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 'small', partitions: 2, retentionBytes: 10_500 }]);
  for (let i = 0; i < 30; i++) await broker.append('small', [record(`${i} ${kilobyte}`)]);
  await broker.append('small', [{ key: null, value: 'alone', partition: 1 }]);
  await broker.maintain();
  const newest = await recordsIn(broker, 'small');
  expect(newest.map(({ offset }) => offset)).toEqual([20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
  expect(await recordsIn(broker, 'small', 1)).toHaveLength(1);
  await broker.append('small', [record('z'.repeat(50_000))]);
  await broker.maintain();
  expect((await recordsIn(broker, 'small')).map(({ offset }) => offset)).toEqual([30]);
});

test('a reader below the first offset goes on at the first one left; its batch stays whole', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 'small', retentionBytes: 2_500 }]);
  for (let i = 0; i < 10; i++) await broker.append('small', [record(`${i} ${kilobyte}`)]);
  const held = await broker.read({ topic: 'small', partition: 0, from: 0, maxBytes: 1 });
  await broker.maintain();
  for (let i = 0; i < 5; i++) await broker.append('small', [record(`later ${i}`)]);
  expect(held?.bytes.toString('utf8', held.valueStart[0], held.valueEnd[0])).toBe(`0 ${kilobyte}`);
  const next = await broker.read({ topic: 'small', partition: 0, from: held?.nextOffset ?? -1 });
  expect(next?.offsets[0]).toBe(7);
  expect(await broker.offsetAt({ topic: 'small', partition: 0 }, 0)).toBe(7);
});

test('a consumer that is behind is not disturbed by retention', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 'small', retentionBytes: 2_500 }]);
  for (let i = 0; i < 10; i++) await broker.append('small', [record(`${i} ${kilobyte}`)]);
  const seen: number[] = [];
  const failures: Error[] = [];
  const consumer = await broker.consume({
    group: 'slow',
    topics: ['small'],
    handlers: {
      assigned: async (all) => all.map((one) => ({ ...one, offset: 0 })),
      revoked: async () => {},
      failed: (error) => failures.push(error),
      batch: (batch) => {
        seen.push(...batch.offsets);
        return false;
      },
    },
  });
  await expect.poll(() => seen.length).toBeGreaterThan(0);
  for (let i = 0; i < 10; i++) await broker.append('small', [record(`${10 + i} ${kilobyte}`)]);
  await broker.maintain();
  await expect
    .poll(() => {
      consumer.resume({ topic: 'small', partition: 0 });
      return seen.at(-1);
    })
    .toBe(19);
  expect(failures).toEqual([]);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
});

test('append time never goes back, though the clock does, and is found by it', async () => {
  const { broker, clock, reopen } = await openTemporaryBroker();
  const start = clock.now();
  await broker.createTopics([{ name: 't' }]);
  await broker.append('t', [record('a')]);
  await clock.advance(5_000);
  await broker.append('t', [record('b')]);
  const back = { ...clockAt(start - 60_000) };
  const again = await reopen({ clock: back });
  await again.append('t', [record('c')]);
  await again.append('t', [record('d')]);
  const batch = await again.read({ topic: 't', partition: 0, from: 0 });
  expect([...(batch?.timestamps ?? [])]).toEqual([
    start,
    start + 5_000,
    start + 5_000,
    start + 5_000,
  ]);
  expect(await again.offsetAt({ topic: 't', partition: 0 }, start + 1)).toBe(1);
  expect(await again.offsetAt({ topic: 't', partition: 0 }, start + 5_001)).toBe(4);
});

/** A clock that stands at a time for good. */
const clockAt = (ms: number) => ({
  now: () => ms,
  sleep: () => new Promise<void>(() => {}),
  every: () => () => {},
});
