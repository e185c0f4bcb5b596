/**
 * What every broker owes, as tests: both implementations run this one suite. It assumes nothing about speed
 * (waits end on events, bounded by `PATIENCE_MS`), names every topic freshly, and makes every topic by `createTopics`.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { FatalError, FencedError, TidemarkError } from '../model/index.ts';
import type {
  AppendedRecord,
  Broker,
  Consumer,
  ConsumerHandlers,
  LedgerOptions,
  ProducerRecord,
  RecordBatch,
  TaskLedger,
  TopicPartition,
  TopicSpec,
} from './contract.ts';

/** A group of two may take tens of seconds to settle on a cold server. */
const PATIENCE_MS = 90_000;
const TEST_TIMEOUT_MS = 240_000;

export interface BrokerUnderTest {
  readonly broker: Broker;
  close(): Promise<void>;
  /** Closes the broker and opens it again over the same data. Absent: those tests are skipped. */
  reopen?(): Promise<Broker>;
}

/** A record as plain values, for comparing. */
interface PlainRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

const slice = (batch: RecordBatch, start: number | undefined, end: number | undefined) =>
  start === -1 ? null : Buffer.from(batch.bytes.subarray(start, end));

/** Every record of a batch, copied out; checks on the way what a well-formed batch owes. */
function recordsOf(batch: RecordBatch): PlainRecord[] {
  const records: PlainRecord[] = [];
  expect(batch.count).toBeGreaterThan(0);
  expect(batch.byteLength).toBeGreaterThan(0);
  for (let i = 0; i < batch.count; i++) {
    const offset = batch.offsets[i] as number;
    if (i > 0) expect(offset).toBeGreaterThan(batch.offsets[i - 1] as number);
    records.push({
      offset,
      timestamp: batch.timestamps[i] as number,
      key: slice(batch, batch.keyStart[i], batch.keyEnd[i]),
      value: slice(batch, batch.valueStart[i], batch.valueEnd[i]),
    });
  }
  const last = records.at(-1) as PlainRecord;
  expect(batch.nextOffset).toBeGreaterThan(last.offset);
  expect(batch.endOffset).toBeGreaterThanOrEqual(batch.nextOffset);
  return records;
}

const texts = (records: readonly PlainRecord[]) =>
  records.map((record) => record.value?.toString() ?? null);

/** All of a partition from an offset to its end, by repeated reads. */
async function readAll(
  broker: Broker,
  partition: TopicPartition,
  from = 0,
  maxBytes?: number,
): Promise<PlainRecord[]> {
  const records: PlainRecord[] = [];
  let next = from;
  for (;;) {
    const batch = await broker.read({
      ...partition,
      from: next,
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
    if (batch === null) return records;
    expect(batch.topic).toBe(partition.topic);
    expect(batch.partition).toBe(partition.partition);
    const some = recordsOf(batch);
    expect((some[0] as PlainRecord).offset).toBeGreaterThanOrEqual(next);
    records.push(...some);
    next = batch.nextOffset;
  }
}

const numbered = (count: number, prefix = ''): ProducerRecord[] =>
  Array.from({ length: count }, (_, i) => ({ key: null, value: `${prefix}${i}`, partition: 0 }));

const nameOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`;

const until = (condition: () => void | Promise<void>) =>
  vi.waitFor(condition, { timeout: PATIENCE_MS, interval: 20 });

/** Handlers that write down all that happens, and go on where the group left off. */
class Diary implements ConsumerHandlers {
  readonly events: string[] = [];
  readonly received = new Map<string, PlainRecord[]>();
  readonly owned = new Set<string>();
  readonly failures: Error[] = [];
  /** Partitions whose batches are answered with false. */
  readonly full = new Set<string>();
  /** Where the group goes on, as a task's ledger would keep it; shared by members. */
  readonly cursors: Map<string, number>;
  /** Batches that came for partitions not owned: always empty when the broker keeps its word. */
  readonly strays: string[] = [];
  revokeGate: Promise<void> = Promise.resolve();

  constructor(cursors = new Map<string, number>()) {
    this.cursors = cursors;
  }

  async assigned(partitions: readonly TopicPartition[]) {
    for (const partition of partitions) {
      this.events.push(`assigned ${nameOf(partition)}`);
      this.owned.add(nameOf(partition));
    }
    return partitions.map((partition) => ({
      ...partition,
      offset: this.cursors.get(nameOf(partition)) ?? 0,
    }));
  }

  async revoked(partitions: readonly TopicPartition[]) {
    for (const partition of partitions) this.events.push(`revoking ${nameOf(partition)}`);
    await this.revokeGate;
    for (const partition of partitions) {
      this.owned.delete(nameOf(partition));
      this.events.push(`revoked ${nameOf(partition)}`);
    }
  }

  batch(batch: RecordBatch): boolean {
    const name = nameOf(batch);
    if (!this.owned.has(name)) this.strays.push(name);
    const records = this.received.get(name) ?? [];
    records.push(...recordsOf(batch));
    this.received.set(name, records);
    this.cursors.set(name, batch.nextOffset);
    return !this.full.has(name);
  }

  failed(error: Error) {
    this.failures.push(error);
  }

  values(topic: string, partition = 0): (string | null)[] {
    return texts(this.received.get(`${topic}/${partition}`) ?? []);
  }
}

/** `murmur2(key)` made positive, modulo 12: computed from the golden hashes of Kafka's own UtilsTest. */
const goldenPartitionsOf12: readonly [string, number][] = [
  ['21', (-973932308 & 0x7fffffff) % 12],
  ['foobar', (-790332482 & 0x7fffffff) % 12],
  ['a-little-bit-long-string', (-985981536 & 0x7fffffff) % 12],
  ['a-little-bit-longer-string', (-1486304829 & 0x7fffffff) % 12],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', (-58897971 & 0x7fffffff) % 12],
  ['abc', (479470107 & 0x7fffffff) % 12],
];

/**
 * Holds a broker to its contract. `open` is called once, `close` at the end; `reopen`, when given, is called
 * between tests and its broker is used from then on.
 */
export function describeBrokerContract(name: string, open: () => Promise<BrokerUnderTest>): void {
  describe(`${name} keeps the broker contract`, { timeout: TEST_TIMEOUT_MS }, () => {
    const run = randomUUID().slice(0, 8);
    let subject: BrokerUnderTest;
    let broker: Broker;
    let counter = 0;
    const consumers: Consumer[] = [];

    beforeAll(async () => {
      subject = await open();
      broker = subject.broker;
    }, TEST_TIMEOUT_MS);

    afterAll(async () => {
      await Promise.all(consumers.map((consumer) => consumer.stop()));
      await subject?.close();
    }, TEST_TIMEOUT_MS);

    const fresh = (what: string) => `contract-${run}-${++counter}-${what}`;

    async function makeTopic(what: string, spec: Partial<TopicSpec> = {}): Promise<string> {
      const topic = fresh(what);
      await broker.createTopics([{ partitions: 1, ...spec, name: topic }]);
      return topic;
    }

    async function join(
      group: string,
      topics: readonly string[],
      diary: Diary,
      timeoutMs = 30_000,
    ) {
      const consumer = await broker.consume({
        group,
        topics,
        handlers: diary,
        revokeTimeoutMs: timeoutMs,
      });
      consumers.push(consumer);
      return consumer;
    }

    const ledgerOptions = (inputs: readonly TopicPartition[] = []): LedgerOptions => {
      const id = fresh('task');
      return {
        id,
        changelog: `tidemark.${id}.changelog`,
        partition: 0,
        changelogPartitions: 1,
        group: `tidemark.${id}`,
        inputs,
      };
    };

    async function restored(ledger: TaskLedger) {
      const state = new Map<string, string>();
      const found = await ledger.restore((key, value) => {
        expect(state.has(key.toString('latin1'))).toBe(false);
        state.set(key.toString('latin1'), value.toString('latin1'));
      });
      return {
        state: Object.fromEntries([...state].sort()),
        meta: found.meta?.toString(),
        offsets: found.offsets.map(({ topic, partition, offset }) => [topic, partition, offset]),
      };
    }

    describe('topics', () => {
      test('createTopics makes what is missing and leaves what exists', async () => {
        const kept = await makeTopic('kept', { partitions: 2 });
        await broker.append(kept, [{ key: null, value: 'stays', partition: 1 }]);
        const added = fresh('added');
        await broker.createTopics([
          { name: kept, partitions: 2 },
          { name: added, partitions: 3 },
        ]);
        expect(await broker.describeTopics([added, kept, fresh('unknown')])).toEqual(
          [
            {
              name: kept,
              partitions: [
                { partition: 0, firstOffset: 0, nextOffset: 0 },
                { partition: 1, firstOffset: 0, nextOffset: 1 },
              ],
            },
            {
              name: added,
              partitions: [0, 1, 2].map((partition) => ({
                partition,
                firstOffset: 0,
                nextOffset: 0,
              })),
            },
          ].sort((a, b) => (a.name < b.name ? -1 : 1)),
        );
      });

      test('describeTopics without names lists all, sorted by name', async () => {
        const b = await makeTopic('listed-b');
        const a = await makeTopic('listed-a');
        const names = (await broker.describeTopics()).map((topic) => topic.name);
        expect(names).toContain(a);
        expect(names).toContain(b);
        expect(names).toEqual([...names].sort());
      });

      test.each(['', 'a b', 'ä', 'a/b', 'x'.repeat(250)])(
        'the topic name %j is refused',
        async (bad) => {
          await expect(broker.createTopics([{ name: bad }])).rejects.toBeInstanceOf(FatalError);
        },
      );

      test('a topic name of 249 characters with dots, dashes and underscores is accepted', async () => {
        const long = `${fresh('Long._-')}${'x'.repeat(249)}`.slice(0, 249);
        await broker.createTopics([{ name: long, partitions: 1 }]);
        await broker.append(long, numbered(1));
        expect(texts(await readAll(broker, { topic: long, partition: 0 }))).toEqual(['0']);
      });

      test('deleteNamespace removes topics, state and group offsets of its prefix and nothing else', async () => {
        const prefix = `tidemark.${fresh('replay')}.`;
        const input = await makeTopic('input');
        const inside = `${prefix}votes.late`;
        const outside = `tidemark.${fresh('other')}`;
        await broker.createTopics([
          { name: inside, partitions: 1 },
          { name: outside, partitions: 1 },
        ]);
        const inputs = [{ topic: input, partition: 0 }];
        const epoch = {
          appends: [],
          state: [{ key: Buffer.from('k'), value: Buffer.from('v') }],
          offsets: [{ topic: input, partition: 0, offset: 5 }],
          meta: Buffer.from('m'),
        };
        await broker.append(input, numbered(6));
        const doomed: LedgerOptions = {
          id: `${prefix}task`,
          changelog: `${prefix}changelog`,
          partition: 0,
          changelogPartitions: 1,
          group: `${prefix}group`,
          inputs,
        };
        const kept = ledgerOptions(inputs);
        for (const options of [doomed, kept]) {
          const ledger = await broker.openLedger(options);
          await ledger.restore(() => {});
          await ledger.commit(epoch);
          await ledger.close();
        }

        await broker.deleteNamespace(prefix);

        await until(async () => {
          const names = (await broker.describeTopics()).map((topic) => topic.name);
          expect(names.filter((topic) => topic.startsWith(prefix))).toEqual([]);
          expect(names).toContain(outside);
          expect(names).toContain(input);
        });
        expect(await broker.committedOffsets(doomed.group)).toEqual([]);
        expect(await broker.committedOffsets(kept.group)).toEqual([
          { topic: input, partition: 0, offset: 5 },
        ]);
        const reopened = await broker.openLedger(doomed);
        expect(await restored(reopened)).toEqual({
          state: {},
          meta: undefined,
          offsets: [[input, 0, undefined]],
        });
        await reopened.close();
        await broker.deleteNamespace(prefix);
      });

      test('deleteNamespace refuses a prefix outside tidemark.', async () => {
        const topic = await makeTopic('users');
        await expect(broker.deleteNamespace(topic)).rejects.toBeInstanceOf(FatalError);
        await expect(broker.deleteNamespace('')).rejects.toBeInstanceOf(FatalError);
        expect(await broker.describeTopics([topic])).toHaveLength(1);
      });

      test('check resolves while the log can be used', async () => {
        await broker.check();
      });
    });

    describe('append', () => {
      test('answers in the order of the records, offsets counting up from 0 in each partition', async () => {
        const topic = await makeTopic('order', { partitions: 2 });
        const answers = await broker.append(topic, [
          { key: null, value: 'a', partition: 1 },
          { key: null, value: 'b', partition: 0 },
          { key: null, value: 'c', partition: 1 },
        ]);
        expect(answers).toEqual([
          { partition: 1, offset: 0 },
          { partition: 0, offset: 0 },
          { partition: 1, offset: 1 },
        ]);
        const more = await broker.append(topic, [{ key: null, value: 'd', partition: 1 }]);
        expect(more).toEqual([{ partition: 1, offset: 2 }]);
        expect(texts(await readAll(broker, { topic, partition: 1 }))).toEqual(['a', 'c', 'd']);
        expect(texts(await readAll(broker, { topic, partition: 0 }))).toEqual(['b']);
      });

      test('keeps null, empty, text and binary keys and values apart', async () => {
        const topic = await makeTopic('bytes');
        const binary = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
        await broker.append(topic, [
          { key: null, value: null, partition: 0 },
          { key: '', value: '', partition: 0 },
          { key: Buffer.alloc(0), value: Buffer.alloc(0), partition: 0 },
          { key: 'schlüssel', value: '値🌊', partition: 0 },
          { key: binary, value: binary, partition: 0 },
          { key: null, value: 'only a value', partition: 0 },
          { key: 'only a key', value: null, partition: 0 },
        ]);
        const records = await readAll(broker, { topic, partition: 0 });
        expect(records.map(({ key, value }) => ({ key, value }))).toEqual([
          { key: null, value: null },
          { key: Buffer.alloc(0), value: Buffer.alloc(0) },
          { key: Buffer.alloc(0), value: Buffer.alloc(0) },
          { key: Buffer.from('schlüssel'), value: Buffer.from('値🌊') },
          { key: binary, value: binary },
          { key: null, value: Buffer.from('only a value') },
          { key: Buffer.from('only a key'), value: null },
        ]);
      });

      test("a key goes to the partition that Kafka's own clients choose", async () => {
        const topic = await makeTopic('partitioner', { partitions: 12 });
        const answers = await broker.append(
          topic,
          goldenPartitionsOf12.map(([key]) => ({ key, value: 'v' })),
        );
        expect(answers.map((answer) => answer.partition)).toEqual(
          goldenPartitionsOf12.map(([, partition]) => partition),
        );
        const asBytes = await broker.append(
          topic,
          goldenPartitionsOf12.map(([key]) => ({ key: Buffer.from(key), value: 'v' })),
        );
        expect(asBytes.map((answer) => answer.partition)).toEqual(
          answers.map((answer) => answer.partition),
        );
      });

      test('records without a key are dealt to the partitions in turn', async () => {
        const topic = await makeTopic('keyless', { partitions: 3 });
        const answers = await broker.append(
          topic,
          Array.from({ length: 12 }, () => ({ key: null, value: 'v' })),
        );
        const counts = [0, 0, 0];
        for (const { partition } of answers) counts[partition] = (counts[partition] ?? 0) + 1;
        expect(counts).toEqual([4, 4, 4]);
      });

      test('an unknown topic is refused with UNKNOWN_TOPIC and is not made', async () => {
        const topic = fresh('never-made');
        const refusal = await broker.append(topic, numbered(1)).catch((error) => error);
        expect(refusal).toBeInstanceOf(FatalError);
        expect(refusal.code).toBe('UNKNOWN_TOPIC');
        expect(await broker.describeTopics([topic])).toEqual([]);
      });

      test('a partition that the topic has not is refused, and none of the append happens', async () => {
        const topic = await makeTopic('two', { partitions: 2 });
        const refusal = await broker
          .append(topic, [
            { key: null, value: 'a', partition: 0 },
            { key: null, value: 'b', partition: 2 },
          ])
          .catch((error) => error);
        expect(refusal).toBeInstanceOf(FatalError);
        expect(await readAll(broker, { topic, partition: 0 })).toEqual([]);
      });

      test('no records are no offsets', async () => {
        const topic = await makeTopic('nothing');
        expect(await broker.append(topic, [])).toEqual([]);
      });

      test('appends under way together get offsets without gap or overlap, each in its own order', async () => {
        const topic = await makeTopic('together');
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, writer) =>
            broker.append(topic, numbered(25, `${writer}:`)),
          ),
        );
        const all = await readAll(broker, { topic, partition: 0 });
        expect(all.map((record) => record.offset)).toEqual(
          Array.from({ length: 500 }, (_, i) => i),
        );
        const values = texts(all);
        for (const [writer, answer] of answers.entries()) {
          expect(answer.map(({ offset }) => values[offset])).toEqual(
            numbered(25, `${writer}:`).map((record) => record.value),
          );
          const offsets = answer.map((one: AppendedRecord) => one.offset);
          expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
        }
      });

      test('the log keeps append time, whatever the producer says', async () => {
        const topic = await makeTopic('append-time');
        const before = Date.now();
        await broker.append(topic, [{ key: null, value: 'a', partition: 0, timestamp: 1_000 }]);
        await broker.append(topic, [{ key: null, value: 'b', partition: 0, timestamp: 2_000 }]);
        const [a, b] = await readAll(broker, { topic, partition: 0 });
        expect(a?.timestamp).toBeGreaterThan(before - 600_000);
        expect(b?.timestamp).toBeGreaterThanOrEqual(a?.timestamp as number);
      });

      test("a topic with create time keeps the producer's timestamps", async () => {
        const topic = await makeTopic('create-time', { timestampType: 'create' });
        const times = [1_700_000_000_500, 1_700_000_000_000, 1_700_000_000_250];
        await broker.append(
          topic,
          times.map((timestamp) => ({ key: null, value: 'v', partition: 0, timestamp })),
        );
        const records = await readAll(broker, { topic, partition: 0 });
        expect(records.map((record) => record.timestamp)).toEqual(times);
      });

      test('20,000 records of 250 bytes in one append come back whole and in order', {
        tags: 'heavy',
      }, async () => {
        const topic = await makeTopic('many', { partitions: 2 });
        const value = (i: number) => `${i}`.padEnd(250, '.');
        const answers = await broker.append(
          topic,
          Array.from({ length: 20_000 }, (_, i) => ({
            key: `k${i % 97}`,
            value: value(i),
            partition: i % 2,
          })),
        );
        expect(answers).toHaveLength(20_000);
        expect(answers.at(-1)).toEqual({ partition: 1, offset: 9_999 });
        for (const partition of [0, 1]) {
          const records = await readAll(broker, { topic, partition });
          expect(records).toHaveLength(10_000);
          const wrong = records.filter(
            (record, i) =>
              record.offset !== i ||
              record.value?.toString() !== value(2 * i + partition) ||
              record.key?.toString() !== `k${(2 * i + partition) % 97}`,
          );
          expect(wrong).toEqual([]);
        }
      });

      test('a record of 900 kB comes back whole', async () => {
        const topic = await makeTopic('large');
        const value = Buffer.alloc(900_000, Buffer.from('tidemark'));
        await broker.append(topic, [
          { key: null, value: 'before', partition: 0 },
          { key: 'large', value, partition: 0 },
          { key: null, value: 'after', partition: 0 },
        ]);
        const records = await readAll(broker, { topic, partition: 0 });
        expect(records).toHaveLength(3);
        expect(records[1]?.value?.equals(value)).toBe(true);
        expect(records[2]?.value?.toString()).toBe('after');
      });

      test('what was appended is there after reopening, and offsets go on', async (context) => {
        const { reopen } = subject;
        if (!reopen) return context.skip('this broker is not reopened');
        const topic = await makeTopic('kept');
        await broker.append(topic, numbered(3));
        broker = await reopen();
        expect(await broker.append(topic, numbered(1, 'again '))).toEqual([
          { partition: 0, offset: 3 },
        ]);
        expect(texts(await readAll(broker, { topic, partition: 0 }))).toEqual([
          '0',
          '1',
          '2',
          'again 0',
        ]);
      });
    });

    describe('read', () => {
      test('begins exactly at the offset asked, also inside one append', async () => {
        const topic = await makeTopic('from');
        await broker.append(topic, numbered(10));
        for (const from of [0, 1, 7, 9]) {
          const records = await readAll(broker, { topic, partition: 0 }, from);
          expect(records[0]?.offset).toBe(from);
          expect(records).toHaveLength(10 - from);
        }
      });

      test('gives null at the end, past the end and in an empty partition', async () => {
        const topic = await makeTopic('end', { partitions: 2 });
        await broker.append(topic, numbered(4));
        expect(await broker.read({ topic, partition: 0, from: 4 })).toBeNull();
        expect(await broker.read({ topic, partition: 0, from: 1_000 })).toBeNull();
        expect(await broker.read({ topic, partition: 1, from: 0 })).toBeNull();
      });

      test('says where to read on and where the log ended', async () => {
        const topic = await makeTopic('bounds');
        await broker.append(topic, numbered(4));
        const batch = (await broker.read({ topic, partition: 0, from: 1 })) as RecordBatch;
        expect(batch.nextOffset).toBe(4);
        expect(batch.endOffset).toBe(4);
      });

      test('gives at least one record however small maxBytes is, and misses none', async () => {
        const topic = await makeTopic('small-bites');
        await broker.append(
          topic,
          Array.from({ length: 50 }, (_, i) => ({
            key: 'k',
            value: `${i}`.padEnd(2_000, '.'),
            partition: 0,
          })),
        );
        await broker.append(topic, numbered(5, 'tail '));
        for (const maxBytes of [1, 5_000]) {
          const records = await readAll(broker, { topic, partition: 0 }, 0, maxBytes);
          expect(records.map((record) => record.offset)).toEqual(
            Array.from({ length: 55 }, (_, i) => i),
          );
        }
      });

      test('a batch stays the same while later records are read and written', async () => {
        const topic = await makeTopic('stable');
        await broker.append(topic, numbered(100, 'first '));
        const batch = (await broker.read({ topic, partition: 0, from: 0 })) as RecordBatch;
        const before = texts(recordsOf(batch));
        for (let i = 0; i < 5; i++) {
          await broker.append(topic, numbered(1_000, 'later '));
          await readAll(broker, { topic, partition: 0 }, 100);
        }
        expect(texts(recordsOf(batch))).toEqual(before);
      });

      test('waits for a record up to maxWaitMs and answers when one comes', async () => {
        const topic = await makeTopic('waiting');
        const waiting = broker.read({ topic, partition: 0, from: 0, maxWaitMs: PATIENCE_MS });
        await broker.append(topic, numbered(1, 'came '));
        const batch = await waiting;
        expect(batch && texts(recordsOf(batch))[0]).toBe('came 0');
      });

      test('gives null when nothing came in maxWaitMs', async () => {
        const topic = await makeTopic('quiet');
        expect(await broker.read({ topic, partition: 0, from: 0, maxWaitMs: 50 })).toBeNull();
      });

      test("a wait ends with the signal's reason when it aborts", async () => {
        const topic = await makeTopic('aborted');
        const stop = new AbortController();
        const waiting = broker
          .read({ topic, partition: 0, from: 0, maxWaitMs: 3_600_000, signal: stop.signal })
          .catch((error) => error);
        stop.abort(new Error('enough'));
        expect(await waiting).toMatchObject({ message: 'enough' });
      });

      test('offsetAt finds the first record at or after a time, and the end when there is none', async () => {
        const topic = await makeTopic('times', { timestampType: 'create' });
        const start = 1_700_000_000_000;
        const times = [0, 1_000, 1_000, 500, 3_000].map((ms) => start + ms);
        for (const timestamp of times)
          await broker.append(topic, [{ key: null, value: 'v', partition: 0, timestamp }]);
        await broker.append(
          topic,
          [4_000, 3_500, 5_000].map((ms) => ({
            key: null,
            value: 'v',
            partition: 0,
            timestamp: start + ms,
          })),
        );
        const at = (ms: number) => broker.offsetAt({ topic, partition: 0 }, start + ms);
        expect(await at(-1_000_000)).toBe(0);
        expect(await at(0)).toBe(0);
        expect(await at(1)).toBe(1);
        expect(await at(1_000)).toBe(1);
        expect(await at(1_001)).toBe(4);
        expect(await at(3_001)).toBe(5);
        expect(await at(4_001)).toBe(7);
        expect(await at(5_001)).toBe(8);
      });

      test('offsetAt on append time finds each record by the time it came back with', async () => {
        const topic = await makeTopic('append-times');
        for (let i = 0; i < 3; i++) await broker.append(topic, numbered(2));
        const records = await readAll(broker, { topic, partition: 0 });
        for (const { timestamp } of records) {
          const first = records.findIndex((record) => record.timestamp >= timestamp);
          expect(await broker.offsetAt({ topic, partition: 0 }, timestamp)).toBe(first);
        }
      });

      test('a compacted topic always keeps the last value of each key', async () => {
        const topic = await makeTopic('compacted', { cleanup: 'compact' });
        for (let round = 0; round < 5; round++)
          await broker.append(
            topic,
            Array.from({ length: 20 }, (_, i) => ({
              key: `k${i}`,
              value: i === 7 && round === 4 ? null : `${i}@${round}`,
              partition: 0,
            })),
          );
        const last = new Map<string, string | undefined>();
        for (const { key, value } of await readAll(broker, { topic, partition: 0 }))
          last.set(String(key), value?.toString());
        for (let i = 0; i < 20; i++) expect(last.get(`k${i}`)).toBe(i === 7 ? undefined : `${i}@4`);
      });
    });

    describe('consume', () => {
      test('hands over each record once, in order, also those appended later', async () => {
        const topic = await makeTopic('consume');
        await broker.append(topic, numbered(50, 'early '));
        const diary = new Diary();
        const consumer = await join(fresh('group'), [topic], diary);
        await until(() => expect(diary.values(topic)).toHaveLength(50));
        await broker.append(topic, numbered(50, 'late '));
        await until(() => expect(diary.values(topic)).toHaveLength(100));
        expect(diary.values(topic)).toEqual(
          [...numbered(50, 'early '), ...numbered(50, 'late ')].map((record) => record.value),
        );
        expect(diary.strays).toEqual([]);
        expect(diary.failures).toEqual([]);
        await consumer.stop();
      });

      test('starts each partition at the offset that assigned gave', async () => {
        const topic = await makeTopic('cursor', { partitions: 2 });
        for (const partition of [0, 1])
          await broker.append(
            topic,
            numbered(10).map((record) => ({ ...record, partition })),
          );
        const diary = new Diary(
          new Map([
            [`${topic}/0`, 4],
            [`${topic}/1`, 10],
          ]),
        );
        const consumer = await join(fresh('group'), [topic], diary);
        await until(() => expect(diary.values(topic, 0)).toHaveLength(6));
        await broker.append(topic, [{ key: null, value: 'new', partition: 1 }]);
        await until(() => expect(diary.values(topic, 1)).toHaveLength(1));
        expect(diary.values(topic, 0)).toEqual(['4', '5', '6', '7', '8', '9']);
        expect(diary.values(topic, 1)).toEqual(['new']);
        await consumer.stop();
      });

      test('holds a partition that had enough until resume, while others go on', {
        tags: 'heavy',
      }, async () => {
        const topic = await makeTopic('paused', { partitions: 2 });
        const send = (partition: number, value: string) =>
          broker.append(topic, [{ key: null, value, partition }]);
        const diary = new Diary();
        diary.full.add(`${topic}/0`);
        await send(0, 'first');
        const consumer = await join(fresh('group'), [topic], diary);
        await until(() => expect(diary.values(topic, 0)).toEqual(['first']));
        // Whatever fetch was under way at the false is over once partition 1 has moved on twice.
        for (const value of ['a', 'b']) {
          await send(1, value);
          await until(() => expect(diary.values(topic, 1)).toContain(value));
        }
        await send(0, 'held');
        for (const value of ['c', 'd', 'e']) {
          await send(1, value);
          await until(() => expect(diary.values(topic, 1)).toContain(value));
        }
        expect(diary.values(topic, 0)).toEqual(['first']);

        diary.full.clear();
        consumer.resume({ topic, partition: 0 });
        await until(() => expect(diary.values(topic, 0)).toEqual(['first', 'held']));
        await send(0, 'after');
        await until(() => expect(diary.values(topic, 0)).toEqual(['first', 'held', 'after']));
        await consumer.stop();
      });

      test('a slow partition may refuse every batch and still gets all in order', async () => {
        const topic = await makeTopic('reluctant');
        const diary = new Diary();
        diary.full.add(`${topic}/0`);
        const consumer = await join(fresh('group'), [topic], diary);
        for (let i = 0; i < 5; i++) {
          await broker.append(topic, numbered(20, `${i}:`));
          await until(() => {
            consumer.resume({ topic, partition: 0 });
            expect(diary.values(topic)).toHaveLength(20 * (i + 1));
          });
        }
        expect(diary.values(topic)).toEqual(
          [0, 1, 2, 3, 4].flatMap((i) => numbered(20, `${i}:`).map((record) => record.value)),
        );
        await consumer.stop();
      });

      test('seek hands a partition over again from an offset, also one that was held', async () => {
        const topic = await makeTopic('seek', { partitions: 2 });
        for (const partition of [0, 1])
          await broker.append(
            topic,
            numbered(6).map((record) => ({ ...record, partition })),
          );
        const diary = new Diary();
        diary.full.add(`${topic}/1`);
        const consumer = await join(fresh('group'), [topic], diary);
        await until(() => {
          expect(diary.values(topic, 0)).toHaveLength(6);
          expect(diary.values(topic, 1).length).toBeGreaterThan(0);
        });
        diary.full.clear();
        consumer.seek({ topic, partition: 0, offset: 3 });
        consumer.seek({ topic, partition: 1, offset: 2 });
        consumer.resume({ topic, partition: 1 });
        await until(() => {
          expect(diary.values(topic, 0).slice(-3)).toEqual(['3', '4', '5']);
          expect(diary.values(topic, 0)).toHaveLength(9);
          expect(diary.values(topic, 1).slice(-4)).toEqual(['2', '3', '4', '5']);
        });
        await broker.append(topic, [{ key: null, value: 'new', partition: 1 }]);
        await until(() => expect(diary.values(topic, 1).at(-1)).toBe('new'));
        await consumer.stop();
      });

      test('positions tell the next offset and the end of each owned partition', async () => {
        const topic = await makeTopic('positions', { partitions: 2 });
        await broker.append(topic, numbered(8));
        const diary = new Diary();
        const consumer = await join(fresh('group'), [topic], diary);
        await until(() => {
          const found = consumer
            .positions()
            .map(({ partition, nextOffset, endOffset }) => ({ partition, nextOffset, endOffset }))
            .sort((a, b) => a.partition - b.partition);
          expect(found).toEqual([
            { partition: 0, nextOffset: 8, endOffset: 8 },
            { partition: 1, nextOffset: 0, endOffset: 0 },
          ]);
        });
        for (const { confirmedAtMs } of consumer.positions())
          expect(confirmedAtMs).toBeGreaterThan(0);
        await consumer.stop();
        expect(consumer.positions()).toEqual([]);
      });

      test('two members share the partitions, the same numbers of every topic; one leaving gives all to the other', async () => {
        const topics = [
          await makeTopic('left', { partitions: 4 }),
          await makeTopic('right', { partitions: 4 }),
        ];
        const partitions = topics.flatMap((topic) =>
          [0, 1, 2, 3].map((partition) => ({ topic, partition })),
        );
        const feed = async (label: string) => {
          for (const { topic, partition } of partitions)
            await broker.append(
              topic,
              numbered(10, label).map((record) => ({ ...record, partition })),
            );
        };
        const group = fresh('group');
        const cursors = new Map<string, number>();
        const one = new Diary(cursors);
        const two = new Diary(cursors);
        const total = () =>
          [one, two]
            .flatMap((diary) => [...diary.received.values()])
            .reduce((sum, records) => sum + records.length, 0);

        const first = await join(group, topics, one);
        await until(() => expect(one.owned.size).toBe(8));
        await feed('alone ');
        await until(() => expect(total()).toBe(80));

        const second = await join(group, topics, two);
        await until(() => {
          expect(one.owned.size).toBe(4);
          expect(two.owned.size).toBe(4);
        });
        const numbersOf = (diary: Diary, topic: string) =>
          [...diary.owned]
            .filter((name) => name.startsWith(`${topic}/`))
            .map((name) => name.slice(-1));
        for (const diary of [one, two])
          expect(numbersOf(diary, topics[0] as string).sort()).toEqual(
            numbersOf(diary, topics[1] as string).sort(),
          );
        expect([...one.owned, ...two.owned].sort()).toEqual(partitions.map(nameOf).sort());
        await feed('both ');
        await until(() => expect(total()).toBe(160));

        await first.stop();
        expect(one.owned.size).toBe(0);
        await until(() => expect(two.owned.size).toBe(8));
        await feed('other ');
        await until(() => expect(total()).toBe(240));

        for (const partition of partitions) {
          const name = nameOf(partition);
          const offsets = [...(one.received.get(name) ?? []), ...(two.received.get(name) ?? [])]
            .map((record) => record.offset)
            .sort((a, b) => a - b);
          expect(offsets).toEqual(Array.from({ length: 30 }, (_, i) => i));
        }
        expect([one.strays, two.strays, one.failures, two.failures]).toEqual([[], [], [], []]);
        await second.stop();
      });

      test('a partition comes to its next owner only after the last one let go of it', async () => {
        const topic = await makeTopic('handover', { partitions: 2 });
        const group = fresh('group');
        const order: string[] = [];
        const cursors = new Map<string, number>();
        const one = new Diary(cursors);
        const two = new Diary(cursors);
        for (const [name, diary] of [
          ['one', one],
          ['two', two],
        ] as const)
          diary.events.push = (...events: string[]) => {
            for (const event of events) order.push(`${name} ${event}`);
            return order.length;
          };
        const first = await join(group, [topic], one);
        await until(() => expect(one.owned.size).toBe(2));
        let letGo = () => {};
        one.revokeGate = new Promise((resolve) => {
          letGo = resolve;
        });
        const second = await join(group, [topic], two);
        await until(() =>
          expect(order.some((event) => event.startsWith('one revoking'))).toBe(true),
        );
        expect(order.filter((event) => event.startsWith('two assigned'))).toEqual([]);
        letGo();
        await until(() => expect(two.owned.size).toBe(1));
        const moved = [...two.owned][0] as string;
        expect(order.lastIndexOf(`one revoked ${moved}`)).toBeLessThan(
          order.indexOf(`two assigned ${moved}`),
        );
        expect(order).toContain(`one revoked ${moved}`);
        await Promise.all([first.stop(), second.stop()]);
      });

      test('a member that does not let go loses its partitions after revokeTimeoutMs', {
        tags: 'heavy',
      }, async () => {
        const topic = await makeTopic('stuck', { partitions: 2 });
        const group = fresh('group');
        const one = new Diary();
        const two = new Diary();
        const first = await join(group, [topic], one, 500);
        await until(() => expect(one.owned.size).toBe(2));
        let letGo = () => {};
        one.revokeGate = new Promise((resolve) => {
          letGo = resolve;
        });
        const second = await join(group, [topic], two, 500);
        await until(() => expect(two.owned.size).toBe(1));
        letGo();
        await Promise.all([first.stop(), second.stop()]);
      });

      test('stop waits for the revocation, may be called twice, and nothing comes after it', async () => {
        const topic = await makeTopic('stopped');
        await broker.append(topic, numbered(5));
        const diary = new Diary();
        const consumer = await join(fresh('group'), [topic], diary);
        await until(() => expect(diary.values(topic)).toHaveLength(5));
        await Promise.all([consumer.stop(), consumer.stop()]);
        await consumer.stop();
        expect(diary.events.at(-1)).toBe(`revoked ${topic}/0`);
        expect(diary.events.filter((event) => event.startsWith('revoked'))).toHaveLength(1);
        await broker.append(topic, numbered(5));
        await readAll(broker, { topic, partition: 0 });
        expect(diary.values(topic)).toHaveLength(5);
        consumer.resume({ topic, partition: 0 });
        expect(diary.strays).toEqual([]);
      });

      test('a rejected assignment stops the consumer and says why', async () => {
        const topic = await makeTopic('unrestorable');
        await broker.append(topic, numbered(5));
        const diary = new Diary();
        diary.assigned = () => Promise.reject(new FatalError('no disk', { code: 'NO_DISK' }));
        const consumer = await join(fresh('group'), [topic], diary);
        await until(() => expect(diary.failures).toHaveLength(1));
        expect(String(diary.failures[0]?.message)).toContain('no disk');
        expect(diary.received.size).toBe(0);
        await consumer.stop();
      });

      test('members of different groups each get every record', async () => {
        const topic = await makeTopic('two-groups');
        const diaries = [new Diary(), new Diary()];
        const joined = await Promise.all(
          diaries.map((diary) => join(fresh('group'), [topic], diary)),
        );
        await broker.append(topic, numbered(30));
        for (const diary of diaries)
          await until(() => expect(diary.values(topic)).toHaveLength(30));
        await Promise.all(joined.map((consumer) => consumer.stop()));
      });
    });

    describe('ledger', () => {
      const state = (entries: Record<string, string | null>) =>
        Object.entries(entries).map(([key, value]) => ({
          key: Buffer.from(key, 'latin1'),
          value: value === null ? null : Buffer.from(value, 'latin1'),
        }));

      test('a new task has no state, no meta and no offsets', async () => {
        const topic = await makeTopic('input');
        const ledger = await broker.openLedger(ledgerOptions([{ topic, partition: 0 }]));
        expect(await restored(ledger)).toEqual({
          state: {},
          meta: undefined,
          offsets: [[topic, 0, undefined]],
        });
        await ledger.close();
      });

      test('one commit makes records, state, offsets and meta durable together', async () => {
        const input = await makeTopic('input', { partitions: 2 });
        const output = await makeTopic('output', { partitions: 2 });
        const dead = await makeTopic('dead');
        const options = ledgerOptions([
          { topic: input, partition: 0 },
          { topic: input, partition: 1 },
        ]);
        const ledger = await broker.openLedger(options);
        await ledger.restore(() => {});
        await ledger.commit({
          appends: [
            { topic: output, key: null, value: 'one', partition: 1 },
            { topic: dead, key: 'k', value: 'bad', partition: 0 },
            { topic: output, key: null, value: 'two', partition: 1 },
          ],
          state: state({ a: '1', b: '2' }),
          offsets: [{ topic: input, partition: 0, offset: 42 }],
          meta: Buffer.from('epoch 1'),
        });
        expect(texts(await readAll(broker, { topic: output, partition: 1 }))).toEqual([
          'one',
          'two',
        ]);
        expect(texts(await readAll(broker, { topic: dead, partition: 0 }))).toEqual(['bad']);
        expect(await broker.committedOffsets(options.group)).toEqual([
          { topic: input, partition: 0, offset: 42 },
        ]);
        await ledger.close();

        const next = await broker.openLedger(options);
        expect(await restored(next)).toEqual({
          state: { a: '1', b: '2' },
          meta: 'epoch 1',
          offsets: [
            [input, 0, 42],
            [input, 1, undefined],
          ],
        });
        await next.close();
      });

      test('later epochs overwrite and remove; empty values are values; keys may be any bytes', async () => {
        const options = ledgerOptions();
        const ledger = await broker.openLedger(options);
        await ledger.restore(() => {});
        const commit = (entries: Record<string, string | null>, meta: string) =>
          ledger.commit({
            appends: [],
            state: state(entries),
            offsets: [],
            meta: Buffer.from(meta),
          });
        await commit({ a: '1', b: '1', '\u0000ÿ\u0000': 'bytes', empty: '' }, 'one');
        await commit({ a: '2', b: null, gone: 'x' }, 'two');
        await commit({ gone: null, never: null, c: '3' }, 'three');
        await commit({}, 'four');
        await ledger.close();
        const next = await broker.openLedger(options);
        expect(await restored(next)).toEqual({
          state: { '\u0000ÿ\u0000': 'bytes', a: '2', c: '3', empty: '' },
          meta: 'four',
          offsets: [],
        });
        await next.close();
      });

      test('restoring tells its progress, which ends at the total', async () => {
        const options = ledgerOptions();
        const ledger = await broker.openLedger(options);
        await ledger.restore(() => {});
        const entries = Object.fromEntries(
          Array.from({ length: 5_000 }, (_, i) => [`key ${i}`, `value ${i}`.padEnd(100)]),
        );
        await ledger.commit({
          appends: [],
          state: state(entries),
          offsets: [],
          meta: Buffer.from('m'),
        });
        await ledger.close();
        const next = await broker.openLedger(options);
        let count = 0;
        const progress: [number, number][] = [];
        await next.restore(
          () => {
            count++;
          },
          (done, total) => progress.push([done, total]),
        );
        expect(count).toBe(5_000);
        const [done, total] = progress.at(-1) as [number, number];
        expect(done).toBe(total);
        expect(progress.map(([at]) => at)).toEqual(
          progress.map(([at]) => at).sort((a, b) => a - b),
        );
        await next.close();
      });

      test('opening a ledger fences the one before: its commit rejects and changes nothing', async () => {
        const input = await makeTopic('input');
        const output = await makeTopic('output');
        const options = ledgerOptions([{ topic: input, partition: 0 }]);
        const epoch = (label: string, offset: number) => ({
          appends: [{ topic: output, key: null, value: label, partition: 0 }],
          state: state({ [label]: label, shared: label }),
          offsets: [{ topic: input, partition: 0, offset }],
          meta: Buffer.from(label),
        });
        const old = await broker.openLedger(options);
        await old.restore(() => {});
        await old.commit(epoch('old', 1));

        const young = await broker.openLedger(options);
        expect(await restored(young)).toMatchObject({
          state: { old: 'old', shared: 'old' },
          meta: 'old',
        });
        await expect(old.commit(epoch('zombie', 2))).rejects.toBeInstanceOf(FencedError);
        await young.commit(epoch('young', 3));
        await expect(old.commit(epoch('zombie', 4))).rejects.toBeInstanceOf(TidemarkError);
        await old.close();
        await young.commit(epoch('younger', 4));
        await young.close();

        expect(texts(await readAll(broker, { topic: output, partition: 0 }))).toEqual([
          'old',
          'young',
          'younger',
        ]);
        expect(await broker.committedOffsets(options.group)).toEqual([
          { topic: input, partition: 0, offset: 4 },
        ]);
        const last = await broker.openLedger(options);
        expect(await restored(last)).toEqual({
          state: { old: 'old', shared: 'younger', young: 'young', younger: 'younger' },
          meta: 'younger',
          offsets: [[input, 0, 4]],
        });
        await last.close();
      });

      test('an epoch that can not be committed leaves nothing, and a reopened ledger goes on', async () => {
        const input = await makeTopic('input');
        const output = await makeTopic('output');
        const options = ledgerOptions([{ topic: input, partition: 0 }]);
        const ledger = await broker.openLedger(options);
        await ledger.restore(() => {});
        const refusal = await ledger
          .commit({
            appends: [
              { topic: output, key: null, value: 'half', partition: 0 },
              { topic: fresh('never-made'), key: null, value: 'other half', partition: 0 },
            ],
            state: state({ a: 'half' }),
            offsets: [{ topic: input, partition: 0, offset: 9 }],
            meta: Buffer.from('half'),
          })
          .catch((error) => error);
        expect(refusal).toBeInstanceOf(TidemarkError);
        await ledger.close();

        const next = await broker.openLedger(options);
        expect(await restored(next)).toEqual({
          state: {},
          meta: undefined,
          offsets: [[input, 0, undefined]],
        });
        expect(await readAll(broker, { topic: output, partition: 0 })).toEqual([]);
        await next.commit({
          appends: [{ topic: output, key: null, value: 'whole', partition: 0 }],
          state: state({ a: 'whole' }),
          offsets: [{ topic: input, partition: 0, offset: 9 }],
          meta: Buffer.from('whole'),
        });
        await next.close();
        expect(texts(await readAll(broker, { topic: output, partition: 0 }))).toEqual(['whole']);
      });

      test('tasks of one changelog keep their partitions apart, and commit side by side', async () => {
        const output = await makeTopic('output', { partitions: 3 });
        const base = ledgerOptions();
        const partitions = [0, 1, 2];
        const open = (partition: number) =>
          broker.openLedger({
            ...base,
            id: `${base.id}-${partition}`,
            partition,
            changelogPartitions: 3,
          });
        const ledgers = await Promise.all(partitions.map(open));
        await Promise.all(ledgers.map((ledger) => ledger.restore(() => {})));
        for (let epoch = 0; epoch < 4; epoch++)
          await Promise.all(
            ledgers.map((ledger, partition) =>
              ledger.commit({
                appends: [{ topic: output, key: null, value: `${epoch}`, partition }],
                state: state({ same: `${partition}@${epoch}` }),
                offsets: [],
                meta: Buffer.from(`${partition}@${epoch}`),
              }),
            ),
          );
        await Promise.all(ledgers.map((ledger) => ledger.close()));
        for (const partition of partitions) {
          const ledger = await open(partition);
          expect(await restored(ledger)).toEqual({
            state: { same: `${partition}@3` },
            meta: `${partition}@3`,
            offsets: [],
          });
          await ledger.close();
          expect(texts(await readAll(broker, { topic: output, partition }))).toEqual([
            '0',
            '1',
            '2',
            '3',
          ]);
        }
      });

      test('records of a commit are partitioned by key like any other', async () => {
        const output = await makeTopic('keyed', { partitions: 12 });
        const ledger = await broker.openLedger(ledgerOptions());
        await ledger.restore(() => {});
        await ledger.commit({
          appends: goldenPartitionsOf12.map(([key]) => ({ topic: output, key, value: key })),
          state: [],
          offsets: [],
          meta: Buffer.from('m'),
        });
        await ledger.close();
        for (const [key, partition] of goldenPartitionsOf12)
          expect(texts(await readAll(broker, { topic: output, partition }))).toContain(key);
      });

      test('a waiting consumer is handed what a commit appended', async () => {
        const output = await makeTopic('output');
        const diary = new Diary();
        const consumer = await join(fresh('group'), [output], diary);
        await until(() => expect(diary.owned.size).toBe(1));
        const ledger = await broker.openLedger(ledgerOptions());
        await ledger.restore(() => {});
        for (const value of ['one', 'two', 'three'])
          await ledger.commit({
            appends: [{ topic: output, key: null, value, partition: 0 }],
            state: [],
            offsets: [],
            meta: Buffer.from(value),
          });
        await until(() => expect(diary.values(output)).toEqual(['one', 'two', 'three']));
        await ledger.close();
        await consumer.stop();
      });

      test('a group that never committed has no offsets', async () => {
        expect(await broker.committedOffsets(fresh('nobody'))).toEqual([]);
      });

      test('a committed epoch is there after reopening', async (context) => {
        const { reopen } = subject;
        if (!reopen) return context.skip('this broker is not reopened');
        const input = await makeTopic('input');
        const output = await makeTopic('output');
        const options = ledgerOptions([{ topic: input, partition: 0 }]);
        const ledger = await broker.openLedger(options);
        await ledger.restore(() => {});
        await ledger.commit({
          appends: [{ topic: output, key: null, value: 'kept', partition: 0 }],
          state: state({ k: 'v' }),
          offsets: [{ topic: input, partition: 0, offset: 7 }],
          meta: Buffer.from('m'),
        });
        broker = await reopen();
        const next = await broker.openLedger(options);
        expect(await restored(next)).toEqual({
          state: { k: 'v' },
          meta: 'm',
          offsets: [[input, 0, 7]],
        });
        await next.close();
        expect(texts(await readAll(broker, { topic: output, partition: 0 }))).toEqual(['kept']);
      });
    });
  });
}
