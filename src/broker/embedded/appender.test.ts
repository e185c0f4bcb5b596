import { expect, onTestFinished, test } from 'vitest';
import {
  ledgerOptions,
  openTemporaryBroker,
  recordsIn,
  temporaryDirectory,
} from '../../../test/support/embedded-broker.ts';
import { ManualClock } from '../../runtime/index.ts';
import type { Broker } from '../contract.ts';
import { Appender } from './appender.ts';
import { Stage } from './stage.ts';
import { Storage } from './storage.ts';
import { completeSpec, emptyHead, Topics } from './topics.ts';

const meta = Buffer.from('m');
async function timesIn(broker: Broker, topic: string, partition: number): Promise<number[]> {
  const times: number[] = [];
  for (;;) {
    const batch = await broker.read({ topic, partition, from: times.length });
    if (batch === null) return times;
    times.push(...batch.timestamps.slice(0, batch.count));
  }
}

const many = (what: string, count: number, topic: string) =>
  Array.from({ length: count }, (_, i) => ({
    topic,
    partition: i % 2,
    key: `k${i}`,
    value: `${what} ${i} ${'x'.repeat(200)}`,
    timestamp: 5_000 - i,
  }));

test('records of an epoch and appends of the same write follow each other without a gap, in every partition', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't', partitions: 2 }]);
  const ledger = await broker.openLedger(ledgerOptions);
  const epoch = many('epoch', 3_000, 't');
  const appended = many('append', 100, 't');
  const [, first, , second] = await Promise.all([
    ledger.commit({ appends: epoch, state: [], offsets: [], meta }),
    broker.append('t', appended),
    broker
      .openLedger({ ...ledgerOptions, id: 'other', changelog: 'other' })
      .then((other) => other.commit({ appends: epoch, state: [], offsets: [], meta })),
    broker.append('t', appended),
  ]);
  const found = [await recordsIn(broker, 't', 0), await recordsIn(broker, 't', 1)];
  for (const [partition, own] of found.entries()) {
    expect(own.map(({ offset }) => offset)).toEqual(Array.from({ length: 3_100 }, (_, i) => i));
    const times = await timesIn(broker, 't', partition);
    expect(times).toHaveLength(3_100);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const of = (what: string) =>
      own.flatMap(({ value }) => (value?.startsWith(what) ? [value.split(' ')[1]] : []));
    const expected = (count: number) =>
      Array.from({ length: count }, (_, i) => String(2 * i + partition));
    const [one, two] = [of('epoch').slice(0, 1_500), of('epoch').slice(1_500)];
    expect(one).toEqual(expected(1_500));
    expect(two).toEqual(expected(1_500));
    expect(of('append')).toEqual([...expected(50), ...expected(50)]);
  }
  for (const [i, { partition, offset }] of [...first, ...second].entries())
    expect(found[partition]?.[offset]?.key).toBe(`k${i % 100}`);
});

test('records of an epoch keep their own times where the topic keeps those', async () => {
  const { broker } = await openTemporaryBroker();
  await broker.createTopics([{ name: 'created', partitions: 2, timestampType: 'create' }]);
  const ledger = await broker.openLedger(ledgerOptions);
  const epoch = many('epoch', 2_000, 'created');
  await ledger.commit({ appends: epoch, state: [], offsets: [], meta });
  for (const partition of [0, 1])
    expect(await timesIn(broker, 'created', partition)).toEqual(
      epoch.filter((record) => record.partition === partition).map(({ timestamp }) => timestamp),
    );
  expect(await broker.offsetAt({ topic: 'created', partition: 0 }, 4_000)).toBe(0);
  expect(await broker.offsetAt({ topic: 'created', partition: 1 }, 5_001)).toBe(1_000);
});

test('an epoch for a topic that goes meanwhile is refused whole', async () => {
  const clock = new ManualClock(1_700_000_000_000);
  const topics = new Topics();
  const spec = completeSpec({ name: 't' }, 1, { partitions: 2, retentionMs: -1 });
  for (const name of ['t', 'gone']) topics.add(name, spec, () => emptyHead);
  const appender = new Appender(topics, clock, 1_000_000);
  const records = [...many('epoch', 2_000, 't'), ...many('epoch', 1, 'gone')];
  const append = await appender.draft(records, ({ topic }) => topic);
  topics.delete('gone');
  const storage = await Storage.open(await temporaryDirectory());
  onTestFinished(() => storage.close());
  const stage = new Stage(storage.tables);
  expect(() => append(stage)).toThrow(expect.objectContaining({ code: 'UNKNOWN_TOPIC' }));
  expect(stage.complete()).toEqual([]);
});
