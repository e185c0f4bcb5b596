import { expect, test } from 'vitest';
import { openTemporaryBroker } from '../../../test/support/embedded-broker.ts';
import type { ConsumerHandlers, RecordBatch } from '../contract.ts';

const fromStart = (
  batch: (batch: RecordBatch) => boolean,
  others: Partial<ConsumerHandlers> = {},
): ConsumerHandlers => ({
  assigned: async (all) => all.map((one) => ({ ...one, offset: 0 })),
  revoked: async () => {},
  failed: () => {},
  ...others,
  batch,
});

const records = (count: number, bytes: number, partition = 0) =>
  Array.from({ length: count }, (_, i) => ({ key: null, value: `${i}`.padEnd(bytes), partition }));

test('batches are about 512 KiB or 4,096 records at most; a larger record comes alone', {
  tags: 'heavy',
}, async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't', partitions: 2 }]);
  await broker.append('t', records(10_000, 10));
  for (let i = 0; i < 5; i++) await broker.append('t', records(20, 100_000, 1));
  await broker.append('t', records(1, 3_000_000, 1));
  const sizes: [number, number, number][] = [];
  await broker.consume({
    group: 'g',
    topics: ['t'],
    handlers: fromStart((batch) => {
      sizes.push([batch.partition, batch.count, batch.bytes.length]);
      return true;
    }),
  });
  const total = () => sizes.reduce((sum, [, count]) => sum + count, 0);
  await expect.poll(total).toBe(10_101);
  for (const [, count, bytes] of sizes) {
    expect(count).toBeLessThanOrEqual(4_096);
    if (count > 1) expect(bytes).toBeLessThanOrEqual(512 * 1024);
  }
  expect(sizes.at(-1)).toEqual([1, 1, expect.any(Number)]);
  // 100 large ones two by two, as blocks have them; small appends come together rather than one by one.
  expect(sizes.length).toBeLessThan(60);
});

test('many small appends are read as few batches', { tags: 'heavy' }, async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  for (let i = 0; i < 300; i++) await broker.append('t', records(1, 50));
  const batch = await broker.read({ topic: 't', partition: 0, from: 7 });
  expect(batch?.count).toBe(293);
  expect(batch?.bytes.toString('utf8', batch.valueStart[292], batch.valueEnd[292])).toHaveLength(
    50,
  );
});

test('partitions take turns, and other work gets its turn between batches', {
  tags: 'heavy',
}, async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't', partitions: 3 }]);
  for (const partition of [0, 1, 2])
    for (let i = 0; i < 8; i++) await broker.append('t', records(10, 50_000, partition));
  const order: number[] = [];
  let turns = 0;
  let running = true;
  const turn = () => {
    turns++;
    if (running) setImmediate(turn);
  };
  await broker.consume({
    group: 'g',
    topics: ['t'],
    handlers: fromStart((batch) => {
      if (order.length === 0) turn();
      order.push(batch.partition);
      return true;
    }),
  });
  await expect.poll(() => order.length).toBe(96);
  running = false;
  expect(order).toEqual(Array.from({ length: 96 }, (_, i) => i % 3));
  expect(turns).toBeGreaterThanOrEqual(80);
});

test('a seek inside the hand-over decides what comes next', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  await broker.append('t', records(5, 5));
  const seen: number[][] = [];
  const consumer = await broker.consume({
    group: 'g',
    topics: ['t'],
    handlers: fromStart((batch) => {
      seen.push([...batch.offsets]);
      if (seen.length === 1) consumer.seek({ topic: 't', partition: 0, offset: 3 });
      return true;
    }),
  });
  await expect
    .poll(() => seen)
    .toEqual([
      [0, 1, 2, 3, 4],
      [3, 4],
    ]);
});

test('a handler that throws fails its consumer, and the group goes on without it', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  const events: string[] = [];
  await broker.consume({
    group: 'g',
    topics: ['t'],
    handlers: fromStart(
      () => {
        throw new Error('bug');
      },
      { failed: (error) => events.push(`failed ${error.message}`) },
    ),
  });
  const seen: number[] = [];
  await broker.consume({
    group: 'g',
    topics: ['t'],
    handlers: fromStart((batch) => seen.push(...batch.offsets) > 0),
  });
  await broker.append('t', records(3, 5));
  await expect.poll(() => events).toEqual(['failed bug']);
  await expect.poll(() => seen).toEqual([0, 1, 2]);
});

test('an assignment that forgets a partition fails the consumer', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't', partitions: 2 }]);
  const failures: unknown[] = [];
  await broker.consume({
    group: 'g',
    topics: ['t'],
    handlers: fromStart(() => true, {
      assigned: async (all) => all.slice(1).map((one) => ({ ...one, offset: 0 })),
      failed: (error) => failures.push(error),
    }),
  });
  await expect.poll(() => failures).toMatchObject([{ code: 'ASSIGNMENT_INCOMPLETE' }]);
});

test('a member that is still restoring gives way after its patience; its late answer starts nothing', async () => {
  const { broker, clock } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't', partitions: 2 }]);
  for (const partition of [0, 1]) await broker.append('t', records(3, 5, partition));
  let restored = () => {};
  const slowBatches: number[] = [];
  const slow = await broker.consume({
    group: 'g',
    topics: ['t'],
    revokeTimeoutMs: 1_000,
    handlers: fromStart((batch) => slowBatches.push(batch.partition) > 0, {
      assigned: async (all) => {
        await new Promise<void>((resolve) => {
          restored = resolve;
        });
        return all.map((one) => ({ ...one, offset: 0 }));
      },
    }),
  });
  const seen: number[] = [];
  await broker.consume({
    group: 'g',
    topics: ['t'],
    handlers: fromStart((batch) => seen.push(batch.partition) > 0),
  });
  await clock.advance(500);
  expect(seen).toEqual([]);
  await clock.advance(1_000);
  await expect.poll(() => seen).toEqual([1]);
  restored();
  await expect.poll(() => slowBatches).toEqual([0]);
  expect(slow.positions().map(({ partition }) => partition)).toEqual([0]);
});

test('deleting a consumed topic fails its consumers with UNKNOWN_TOPIC', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 'tidemark.x.t' }]);
  const failures: unknown[] = [];
  await broker.consume({
    group: 'g',
    topics: ['tidemark.x.t'],
    handlers: fromStart(() => true, { failed: (error) => failures.push(error) }),
  });
  const waiting = broker.read({
    topic: 'tidemark.x.t',
    partition: 0,
    from: 0,
    maxWaitMs: 3_600_000,
  });
  waiting.catch(() => {});
  await expect.poll(async () => (await broker.describeTopics()).length).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  await broker.deleteNamespace('tidemark.x.');
  await expect(waiting).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' });
  await expect.poll(() => failures).toMatchObject([{ code: 'UNKNOWN_TOPIC' }]);
});

test('consuming an unknown topic is refused', async () => {
  const { broker } = await openTemporaryBroker();
  await expect(
    broker.consume({ group: 'g', topics: ['nowhere'], handlers: fromStart(() => true) }),
  ).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' });
});
