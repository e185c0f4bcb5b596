import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openTemporaryBroker, recordsIn } from '../../../test/support/embedded-broker.ts';

const eager = { compactionDirtyBytesMin: 1 };
const record = (key: string, value: string | null) => ({ key, value, partition: 0 });

test('of each key the last record stays, at its own offset; the log is smaller', async () => {
  const { broker, reopen } = await openTemporaryBroker(eager);
  await broker.createTopics([{ name: 'latest', cleanup: 'compact' }]);
  for (let round = 0; round < 20; round++)
    for (const key of ['a', 'b', 'c'])
      await broker.append('latest', [record(key, `${key}${round}`.padEnd(100, '.'))]);
  await broker.maintain();
  const left = await recordsIn(broker, 'latest');
  expect(left.map(({ offset, key }) => [offset, key])).toEqual([
    [57, 'a'],
    [58, 'b'],
    [59, 'c'],
  ]);
  expect(await broker.append('latest', [record('a', 'new')])).toEqual([
    { partition: 0, offset: 60 },
  ]);
  const again = await reopen();
  expect(await recordsIn(again, 'latest')).toHaveLength(4);
  expect(await again.describeTopics(['latest'])).toMatchObject([
    { partitions: [{ firstOffset: 0, nextOffset: 61 }] },
  ]);
});

test('a tombstone hides its key at once, and goes when every reader can have met it', async () => {
  const { broker, clock } = await openTemporaryBroker({ ...eager, tombstoneMs: 1_000 });
  await broker.createTopics([{ name: 'latest', cleanup: 'compact' }]);
  await broker.append('latest', [record('a', '1'), record('b', '1')]);
  await broker.append('latest', [record('a', null)]);
  await broker.maintain();
  expect(await recordsIn(broker, 'latest')).toEqual([
    { offset: 1, key: 'b', value: '1' },
    { offset: 2, key: 'a', value: null },
  ]);
  await clock.advance(2_000);
  await broker.append('latest', [record('c', '1'.repeat(1_000))]);
  await broker.maintain();
  expect((await recordsIn(broker, 'latest')).map(({ key }) => key)).toEqual(['b', 'c']);
});

test('reading on from any offset, before or in a gap, meets every record that is left', async () => {
  const { broker } = await openTemporaryBroker(eager);
  await broker.createTopics([{ name: 'latest', cleanup: 'compact' }]);
  for (let i = 0; i < 40; i++) await broker.append('latest', [record(`k${i % 7}`, `${i}`)]);
  await broker.maintain();
  await broker.append('latest', [record('k0', 'after')]);
  const all = await recordsIn(broker, 'latest');
  expect(all.map(({ offset }) => offset)).toEqual([33, 34, 35, 36, 37, 38, 39, 40]);
  for (let from = 0; from <= 41; from++)
    expect(await recordsIn(broker, 'latest', 0, from)).toEqual(
      all.filter(({ offset }) => offset >= from),
    );
});

test('a consumer passes offsets that compaction emptied, up to the end', async () => {
  const { broker, clock } = await openTemporaryBroker({ ...eager, tombstoneMs: 0 });
  await broker.createTopics([{ name: 'latest', cleanup: 'compact' }]);
  await broker.append('latest', [record('a', '1')]);
  await broker.append('latest', [record('a', null)]);
  await clock.advance(10);
  await broker.maintain();
  expect(await recordsIn(broker, 'latest')).toEqual([]);
  const seen: number[] = [];
  const consumer = await broker.consume({
    group: 'g',
    topics: ['latest'],
    handlers: {
      assigned: async (all) => all.map((one) => ({ ...one, offset: 0 })),
      revoked: async () => {},
      failed: () => {},
      batch: (batch) => seen.push(...batch.offsets) > 0,
    },
  });
  await expect.poll(() => consumer.positions()[0]?.nextOffset).toBe(2);
  await broker.append('latest', [record('b', '1')]);
  await expect.poll(() => seen).toEqual([2]);
});

test('times find their record after compaction', async () => {
  const { broker, clock } = await openTemporaryBroker(eager);
  await broker.createTopics([{ name: 'latest', cleanup: 'compact' }]);
  const start = clock.now();
  for (let i = 0; i < 10; i++) {
    await broker.append('latest', [record(i === 4 ? 'once' : `k${i % 2}`, `${i}`)]);
    await clock.advance(1_000);
  }
  await broker.maintain();
  const at = (ms: number) => broker.offsetAt({ topic: 'latest', partition: 0 }, start + ms);
  // Left are offsets 4 (4 s), 8 (8 s) and 9 (9 s).
  expect([await at(0), await at(4_000), await at(4_001), await at(9_000), await at(9_001)]).toEqual(
    [4, 4, 8, 9, 10],
  );
});

test('with little memory for keys it takes several passes and comes to the same end', async () => {
  const { broker } = await openTemporaryBroker({ ...eager, compactionKeyBytesMax: 200 });
  await broker.createTopics([{ name: 'latest', cleanup: 'compact' }]);
  for (let i = 0; i < 60; i++)
    await broker.append('latest', [record(`k${i % 10}`, `${i}`.padEnd(50))]);
  for (let pass = 0; pass < 30; pass++) await broker.maintain();
  const left = await recordsIn(broker, 'latest');
  const last = new Map(left.map(({ key, value }) => [key, value?.trim()]));
  expect(Object.fromEntries(last)).toEqual(
    Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`k${i}`, `${50 + i}`])),
  );
  expect(left.length).toBeLessThan(60);
});

test('whatever is written, compacting at any moment never changes what the last values are', {
  tags: 'heavy',
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          {
            weight: 9,
            arbitrary: fc.array(fc.tuple(fc.nat(5), fc.option(fc.nat(99))), {
              minLength: 1,
              maxLength: 8,
            }),
          },
          { weight: 1, arbitrary: fc.constant('compact' as const) },
        ),
        { maxLength: 25 },
      ),
      async (steps) => {
        const { broker } = await openTemporaryBroker(eager);
        await broker.createTopics([{ name: 'latest', cleanup: 'compact' }]);
        const truth = new Map<string, string>();
        for (const step of [...steps, 'compact' as const]) {
          if (step === 'compact') await broker.maintain();
          else {
            await broker.append(
              'latest',
              step.map(([key, value]) => record(`k${key}`, value === null ? null : `${value}`)),
            );
            for (const [key, value] of step)
              if (value === null) truth.delete(`k${key}`);
              else truth.set(`k${key}`, `${value}`);
          }
          const found = new Map<string, string>();
          for (const { key, value } of await recordsIn(broker, 'latest'))
            if (value === null) found.delete(String(key));
            else found.set(String(key), value);
          expect(Object.fromEntries(found)).toEqual(Object.fromEntries(truth));
        }
        await broker.close();
      },
    ),
    { numRuns: 15 },
  );
});
