import { expect, test } from 'vitest';
import {
  ledgerOptions,
  openTemporaryBroker,
  recordsIn,
} from '../../../test/support/embedded-broker.ts';
import { blockKey, partitionKey } from './keys.ts';
import { Storage } from './storage.ts';

const record = (value: string, key: string | null = null) => ({ key, value, partition: 0 });

/** Changes the closed log below the broker. */
async function tamper(directory: string, change: (storage: Storage) => void): Promise<void> {
  const storage = await Storage.open(directory);
  storage.exclusively(() => change(storage));
  await storage.close();
}

test('a damaged block is a fatal error that names topic, partition and offset; others are read', async () => {
  const { broker, directory, reopen } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't', partitions: 2 }]);
  for (let i = 0; i < 3; i++) await broker.append('t', [record(`${i}`), record(`${i}`)]);
  await broker.append('t', [{ ...record('other'), partition: 1 }]);
  await broker.close();
  await tamper(directory, ({ tables }) => {
    const key = blockKey(partitionKey(1, 0), 2);
    const block = Buffer.from(tables.log.get(key) as Buffer);
    block[block.length - 1] = (block[block.length - 1] as number) ^ 1;
    void tables.log.put(key, block);
  });
  const again = await reopen();
  expect(await again.read({ topic: 't', partition: 0, from: 0, maxBytes: 1 })).toMatchObject({
    count: 1,
  });
  for (const from of [2, 3])
    await expect(again.read({ topic: 't', partition: 0, from })).rejects.toMatchObject({
      family: 'fatal',
      code: 'LOG_CORRUPT',
      context: { topic: 't', partition: 0, offset: from },
      message: expect.stringContaining(`t/0 is damaged at offset ${from}`),
    });
  expect(await recordsIn(again, 't', 0, 4)).toHaveLength(2);
  expect(await recordsIn(again, 't', 1)).toHaveLength(1);
});

test('a missing block is a fatal error too, not a gap', async () => {
  const { broker, directory, reopen } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  for (let i = 0; i < 3; i++) await broker.append('t', [record(`${i}`)]);
  await broker.close();
  await tamper(directory, ({ tables }) => void tables.log.remove(blockKey(partitionKey(1, 0), 1)));
  const again = await reopen();
  await expect(again.read({ topic: 't', partition: 0, from: 1 })).rejects.toMatchObject({
    code: 'LOG_CORRUPT',
    context: { offset: 1 },
  });
});

test('a consumer that meets a damaged block fails with it and has stopped', async () => {
  const { broker, directory, reopen } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  await broker.append('t', [record('x')]);
  await broker.close();
  await tamper(directory, ({ tables }) => {
    void tables.log.put(blockKey(partitionKey(1, 0), 0), Buffer.alloc(100));
  });
  const events: string[] = [];
  await (await reopen()).consume({
    group: 'g',
    topics: ['t'],
    handlers: {
      assigned: async (all) => all.map((one) => ({ ...one, offset: 0 })),
      revoked: async () => {
        events.push('revoked');
      },
      failed: (error) => events.push((error as Error & { code: string }).code),
      batch: () => true,
    },
  });
  await expect.poll(() => events).toEqual(['revoked', 'LOG_CORRUPT']);
});

test('a record over recordBytesMax is poison, and none of its append is there', async () => {
  const { broker } = await openTemporaryBroker({ recordBytesMax: 1_000 });
  await broker.createTopics([{ name: 't' }]);
  await expect(
    broker.append('t', [record('fine'), record('x'.repeat(1_000))]),
  ).rejects.toMatchObject({ family: 'poison', code: 'RECORD_TOO_LARGE' });
  await broker.append('t', [record('x'.repeat(900))]);
  expect(await recordsIn(broker, 't')).toHaveLength(1);
});

test('a compacted topic takes no record without key, a create-time topic no time that is none', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([
    { name: 'latest', cleanup: 'compact' },
    { name: 'created', timestampType: 'create' },
  ]);
  await expect(broker.append('latest', [record('x')])).rejects.toMatchObject({
    family: 'poison',
    code: 'KEY_REQUIRED',
  });
  for (const timestamp of [-1, Number.NaN, 1.5])
    await expect(broker.append('created', [{ ...record('x'), timestamp }])).rejects.toMatchObject({
      family: 'poison',
      code: 'TIMESTAMP_INVALID',
    });
});

test('a topic may not have no partitions, nor a retention of nothing', async () => {
  const { broker } = await openTemporaryBroker({ defaultPartitions: 3 });
  for (const spec of [
    { partitions: 0 },
    { partitions: 1.5 },
    { retentionMs: 0 },
    { retentionBytes: -5 },
  ])
    await expect(broker.createTopics([{ name: 't', ...spec }])).rejects.toMatchObject({
      code: 'TOPIC_INVALID',
    });
  await broker.createTopics([{ name: 't' }]);
  expect((await broker.describeTopics())[0]?.partitions).toHaveLength(3);
});

test('an offset that is no offset is refused by read, seek and commit', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  const ledger = await broker.openLedger({
    ...ledgerOptions,
    inputs: [{ topic: 't', partition: 0 }],
  });
  for (const offset of [-1, 0.5, Number.NaN, 2 ** 53]) {
    await expect(broker.read({ topic: 't', partition: 0, from: offset })).rejects.toMatchObject({
      code: 'OFFSET_INVALID',
    });
    await expect(
      ledger.commit({
        appends: [],
        state: [],
        offsets: [{ topic: 't', partition: 0, offset }],
        meta: Buffer.alloc(0),
      }),
    ).rejects.toMatchObject({ code: 'OFFSET_INVALID' });
  }
});

test('a ledger commits one epoch at a time, and none once closed', async () => {
  const { broker } = await openTemporaryBroker();
  const ledger = await broker.openLedger(ledgerOptions);
  const epoch = { appends: [], state: [], offsets: [], meta: Buffer.from('m') };
  const first = ledger.commit(epoch);
  await expect(ledger.commit(epoch)).rejects.toMatchObject({ code: 'LEDGER_BUSY' });
  await first;
  await ledger.close();
  await expect(ledger.commit(epoch)).rejects.toMatchObject({ code: 'LEDGER_CLOSED' });
});

test('at storageBytesMax appends and commits are refused until retention has made room', async () => {
  const { broker, clock } = await openTemporaryBroker({ storageBytesMax: 3_000_000 });
  await broker.createTopics([{ name: 't', retentionMs: 1_000 }]);
  const large = record('x'.repeat(200_000));
  const refusal = await (async () => {
    for (let i = 0; i < 30; i++) await broker.append('t', [large]);
  })().catch((error) => error);
  expect(refusal).toMatchObject({ family: 'retriable', code: 'LOG_FULL' });
  await clock.advance(5_000);
  await broker.maintain();
  await broker.append('t', [large]);
});

test('a closed broker refuses everything, ends waiting reads and stops its consumers', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  const waiting = broker.read({ topic: 't', partition: 0, from: 0, maxWaitMs: 3_600_000 });
  const events: string[] = [];
  await broker.consume({
    group: 'g',
    topics: ['t'],
    handlers: {
      assigned: async (all) => {
        events.push('assigned');
        return all.map((one) => ({ ...one, offset: 0 }));
      },
      revoked: async () => {
        events.push('revoked');
      },
      failed: () => {},
      batch: () => true,
    },
  });
  await expect.poll(() => events).toEqual(['assigned']);
  const closing = broker.close();
  await expect(waiting).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  await closing;
  expect(events).toEqual(['assigned', 'revoked']);
  await expect(broker.append('t', [record('x')])).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  await expect(broker.check()).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  await broker.close();
});

test('a log of another format is refused and left alone, an older one is taken over', async () => {
  const { broker, directory, reopen } = await openTemporaryBroker();
  await broker.close();
  await tamper(directory, ({ tables }) => {
    void tables.meta.put(Buffer.from('format'), Buffer.from('3'));
  });
  await expect(reopen()).rejects.toMatchObject({ code: 'LOG_FORMAT_UNKNOWN' });
  await tamper(directory, ({ tables }) => {
    void tables.meta.put(Buffer.from('format'), Buffer.from('1'));
  });
  await reopen();
});

test('what a deleted namespace left is cleared at the next opening when that was cut short', async () => {
  const { broker, directory, reopen } = await openTemporaryBroker();
  await broker.createTopics([{ name: 'tidemark.gone' }]);
  await broker.append('tidemark.gone', [record('x')]);
  await broker.close();
  // As after a kill between the two steps: the name is gone, the blocks are not.
  await tamper(directory, ({ tables }) => {
    const name = Buffer.from('tidemark.gone');
    const spec = tables.topics.get(name) as Buffer;
    void tables.topics.remove(name);
    void tables.trash.put(Buffer.from([0x74, 0, 0, 0, 1]), spec);
  });
  const again = await reopen();
  await again.createTopics([{ name: 'tidemark.gone' }]);
  expect(await recordsIn(again, 'tidemark.gone')).toEqual([]);
  await again.close();
  const storage = await Storage.open(directory);
  const { log, times, heads, trash } = storage.tables;
  const left = [log, times, trash].map((table) => table.getKeysCount({ start: Buffer.from([0]) }));
  expect(left).toEqual([0, 0, 0]);
  expect(heads.get(partitionKey(1, 0))).toBeUndefined();
  await storage.close();
});

test('thousands of state entries restore in order of their keys, long keys too', {
  tags: 'heavy',
}, async () => {
  const { broker } = await openTemporaryBroker();
  const ledger = await broker.openLedger(ledgerOptions);
  const long = Buffer.alloc(10_000, 'k');
  const state = [
    ...Array.from({ length: 10_000 }, (_, i) => ({
      key: Buffer.from(String(i).padStart(5, '0')),
      value: Buffer.from(`${i}`),
    })),
    { key: long, value: Buffer.from('long') },
    { key: Buffer.alloc(0), value: Buffer.from('no key') },
  ];
  await ledger.commit({ appends: [], state, offsets: [], meta: Buffer.from('m') });
  const found: [string, string][] = [];
  const kept: Buffer[] = [];
  await ledger.restore((key, value) => {
    kept.push(key, value);
    found.push([key.toString(), value.toString()]);
  });
  expect(found).toHaveLength(10_002);
  expect(new Map(found).get(long.toString())).toBe('long');
  expect(new Map(found).get('')).toBe('no key');
  // What was handed over is the receiver's to keep.
  expect(kept.map(String)).toEqual(found.flat());
});
