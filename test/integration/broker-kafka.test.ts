/**
 * The Kafka broker against a real cluster: the shared contract, and what only Kafka has. kafkajs stands in for
 * other people's programs: it produces, aborts, deletes and moves groups behind our back.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { CompressionTypes, Kafka, logLevel, type Producer } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { describeBrokerContract } from '../../src/broker/contract.suite.ts';
import {
  type Broker,
  type Compression,
  openKafkaBroker,
  type RecordBatch,
} from '../../src/broker/index.ts';
import { needs } from '../support/require.ts';
import { EchoMember } from './kafka-echo-member.ts';

const brokers = (process.env.KAFKA_BROKERS ?? '').split(',');
const run = randomUUID().slice(0, 8);
let counter = 0;
const fresh = (what: string) => `kafka-${run}-${++counter}-${what}`;

const until = (condition: () => void | Promise<void>, timeout = 60_000) =>
  vi.waitFor(condition, { timeout, interval: 20 });

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const valuesOf = (batch: RecordBatch): string[] =>
  Array.from({ length: batch.count }, (_, i) =>
    batch.bytes.toString('utf8', batch.valueStart[i], batch.valueEnd[i]),
  );

async function readValues(broker: Broker, topic: string, partition = 0, from = 0) {
  const values: string[] = [];
  for (let next = from; ; ) {
    const batch = await broker.read({ topic, partition, from: next });
    if (batch === null) return values;
    values.push(...valuesOf(batch));
    next = batch.nextOffset;
  }
}

const numbers = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => String(from + i));

describe.skipIf(!needs(['KAFKA_BROKERS']))('on a real cluster', () => {
  afterAll(async () => {
    const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const topics = (await admin.listTopics()).filter((name) => name.includes(`kafka-${run}-`));
    await admin.deleteTopics({ topics });
    await admin.disconnect();
  });

  describeBrokerContract('the Kafka broker', async () => {
    let broker = await openKafkaBroker({ brokers });
    return {
      broker,
      close: () => broker.close(),
      reopen: async () => {
        await broker.close();
        broker = await openKafkaBroker({ brokers });
        return broker;
      },
    };
  });

  describe('beside other programs', () => {
    const kafkajs = new Kafka({
      brokers,
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 20, retries: 20 },
    });
    let broker: Broker;
    let plain: Producer;
    const admin = kafkajs.admin();

    beforeAll(async () => {
      broker = await openKafkaBroker({ brokers });
      plain = kafkajs.producer({ allowAutoTopicCreation: false });
      await Promise.all([plain.connect(), admin.connect()]);
    });

    afterAll(async () => {
      await Promise.all([plain.disconnect(), admin.disconnect()]);
      await broker.close();
    });

    async function makeTopic(what: string, partitions = 1): Promise<string> {
      const name = fresh(what);
      await broker.createTopics([{ name, partitions }]);
      return name;
    }

    /** A producer of its own transactional id. */
    async function transactional() {
      const producer = kafkajs.producer({
        transactionalId: fresh('id'),
        idempotent: true,
        maxInFlightRequests: 1,
      });
      await producer.connect();
      return producer;
    }

    /** Consumes a topic from its start; everything handed over is written down. */
    async function follow(topic: string, from = 0) {
      const batches: RecordBatch[] = [];
      const failures: Error[] = [];
      const consumer = await broker.consume({
        group: fresh('group'),
        topics: [topic],
        handlers: {
          assigned: async (partitions) => partitions.map((at) => ({ ...at, offset: from })),
          revoked: async () => {},
          batch: (batch) => {
            batches.push(batch);
            return true;
          },
          failed: (error) => failures.push(error),
        },
      });
      return { consumer, batches, failures, values: () => batches.flatMap(valuesOf) };
    }

    test('aborted and open transactions are never seen, whatever is written between them', async () => {
      const topic = await makeTopic('transactions');
      const producers = await Promise.all([transactional(), transactional(), transactional()]);
      const expected: string[] = [];
      const { consumer, values } = await follow(topic);
      for (let round = 0; round < 6; round++) {
        const open = await Promise.all(producers.map((producer) => producer.transaction()));
        for (let step = 0; step < 3; step++) {
          for (const [i, transaction] of open.entries()) {
            const value = `${round}.${step} of ${i}`;
            await transaction.send({ topic, messages: [{ value }] });
          }
          const value = `${round}.${step} plain`;
          await plain.send({ topic, messages: [{ value }] });
        }
        const commits = open.map((_, i) => (round + i) % 3 === 0);
        for (const [i, transaction] of open.entries()) {
          if (commits[i]) await transaction.commit();
          else await transaction.abort();
        }
        for (let step = 0; step < 3; step++) {
          for (const [i, committed] of commits.entries()) {
            if (committed) expected.push(`${round}.${step} of ${i}`);
          }
          expected.push(`${round}.${step} plain`);
        }
      }
      await until(() => expect(values()).toEqual(expected));
      expect(await readValues(broker, topic)).toEqual(expected);

      const dangling = await producers[0]!.transaction();
      await dangling.send({ topic, messages: [{ value: 'not yet' }] });
      await plain.send({ topic, messages: [{ value: 'behind it' }] });
      await sleep(300);
      expect(values()).toEqual(expected);
      await dangling.abort();
      await until(() => expect(values()).toEqual([...expected, 'behind it']));
      await consumer.stop();
      await Promise.all(producers.map((producer) => producer.disconnect()));
    });

    test('a stretch of nothing but aborted records neither stalls a consumer nor hides what follows', async () => {
      const topic = await makeTopic('aborted-stretch');
      const producer = await transactional();
      for (let i = 0; i < 20; i++) {
        const transaction = await producer.transaction();
        await transaction.send({ topic, messages: [{ value: 'x'.repeat(1000) }] });
        await transaction.abort();
      }
      const { consumer, values } = await follow(topic);
      await until(() => {
        const [position] = consumer.positions();
        expect(position).toMatchObject({ nextOffset: 40, endOffset: 40 });
      });
      expect(values()).toEqual([]);
      expect(await broker.read({ topic, partition: 0, from: 0 })).toBeNull();
      await plain.send({ topic, messages: [{ value: 'seen' }] });
      await until(() => expect(values()).toEqual(['seen']));
      expect(await readValues(broker, topic)).toEqual(['seen']);
      await consumer.stop();
      await producer.disconnect();
    });

    test('every codec that we write is read by us, side by side in one topic, and by other clients', async () => {
      const topic = await makeTopic('codecs');
      const expected: string[] = [];
      const codecs: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
      for (const compression of codecs) {
        const writer = await openKafkaBroker({ brokers, compression });
        const values = numbers(200).map((n) => `${compression} ${n} ${'again and '.repeat(20)}`);
        await writer.append(
          topic,
          values.map((value) => ({ key: 'k', value })),
        );
        await writer.close();
        expected.push(...values);
      }
      const gzip = { topic, compression: CompressionTypes.GZIP };
      await plain.send({ ...gzip, messages: [{ value: 'kafkajs', headers: { h: 'x' } }] });
      expected.push('kafkajs');
      const { consumer, values } = await follow(topic);
      await until(() => expect(values()).toEqual(expected));
      await consumer.stop();
      expect(await readValues(broker, topic)).toEqual(expected);

      const onlyGzip = await makeTopic('ours-by-kafkajs');
      const writer = await openKafkaBroker({ brokers, compression: 'gzip' });
      await writer.append(
        onlyGzip,
        numbers(50).map((value) => ({ key: 'k', value })),
      );
      await writer.close();
      const theirs: (string | undefined)[] = [];
      const other = kafkajs.consumer({ groupId: fresh('other') });
      await other.subscribe({ topic: onlyGzip, fromBeginning: true });
      await other.run({
        eachMessage: async ({ message }) => {
          theirs.push(message.value?.toString());
        },
      });
      await until(() => expect(theirs).toEqual(numbers(50)));
      await other.disconnect();
    });

    test('a topic that takes only small batches gets small ones; a record beyond its limit is poison', async () => {
      const topic = fresh('small-batches');
      await admin.createTopics({
        topics: [
          {
            topic,
            numPartitions: 1,
            configEntries: [{ name: 'max.message.bytes', value: '20000' }],
          },
        ],
      });
      const uncompressed = await openKafkaBroker({ brokers, compression: 'none' });
      const values = numbers(200).map((n) => n.padEnd(1000, '.'));
      const results = await uncompressed.append(
        topic,
        values.map((value) => ({ key: null, value })),
      );
      expect(results.map(({ offset }) => offset)).toEqual(values.map((_, i) => i));
      expect(await readValues(uncompressed, topic)).toEqual(values);
      await expect(
        uncompressed.append(topic, [{ key: null, value: 'x'.repeat(50_000) }]),
      ).rejects.toMatchObject({ family: 'poison', code: 'RECORD_TOO_LARGE' });
      await uncompressed.append(topic, [{ key: null, value: 'still working' }]);
      expect((await readValues(uncompressed, topic)).at(-1)).toBe('still working');
      await uncompressed.close();
    });

    test('a consumer that retention overtook goes on at the first record that is left', async () => {
      const topic = await makeTopic('overtaken');
      await broker.append(
        topic,
        numbers(100).map((value) => ({ key: null, value })),
      );
      // kafkajs deletes only where it knows the leader, and this is how it learns.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '60' }] });
      const { consumer, values, failures } = await follow(topic, 10);
      await until(() => expect(values()).toEqual(numbers(40, 60)));
      expect(failures).toEqual([]);
      await consumer.stop();
      const batch = await broker.read({ topic, partition: 0, from: 0 });
      expect(batch?.offsets[0]).toBe(60);
    });

    test('a cursor behind the end of the log stops the consumer and says how to mend it', async () => {
      const topic = await makeTopic('past-end');
      await broker.append(topic, [{ key: null, value: 'only' }]);
      const { failures } = await follow(topic, 500);
      await until(() => expect(failures).toHaveLength(1));
      expect(failures[0]).toMatchObject({ family: 'fatal', code: 'OFFSET_PAST_END' });
      expect(failures[0]?.message).toContain('reset');
    });

    test('partitions that a topic gets later are consumed too', async () => {
      const topic = await makeTopic('grows');
      const { consumer, values } = await follow(topic);
      await until(() => expect(consumer.positions()).toHaveLength(1));
      await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
      await until(() => expect(consumer.positions()).toHaveLength(3));
      await plain.send({ topic, messages: [{ partition: 2, value: 'late' }] });
      await until(() => expect(values()).toEqual(['late']));
      await consumer.stop();
    });

    test('a group that somebody moved is refused on restore, with what to do', async () => {
      const topic = await makeTopic('moved');
      await broker.append(
        topic,
        numbers(10).map((value) => ({ key: null, value })),
      );
      const options = {
        id: fresh('task'),
        changelog: `tidemark.${fresh('changelog')}`,
        partition: 0,
        changelogPartitions: 1,
        group: `tidemark.${fresh('group')}`,
        inputs: [{ topic, partition: 0 }],
      };
      const ledger = await broker.openLedger(options);
      await ledger.restore(() => {});
      const offsets = [{ topic, partition: 0, offset: 7 }];
      await ledger.commit({ appends: [], state: [], offsets, meta: Buffer.from('m') });
      await ledger.close();
      await admin.setOffsets({
        groupId: options.group,
        topic,
        partitions: [{ partition: 0, offset: '2' }],
      });
      const again = await broker.openLedger(options);
      await expect(again.restore(() => {})).rejects.toMatchObject({
        family: 'fatal',
        code: 'CURSOR_MOVED',
        message: expect.stringContaining('is at 2, the state at 7'),
      });
    });

    test('a group that another kind of consumer uses is refused by name', async () => {
      const topic = await makeTopic('group-in-use');
      const groupId = fresh('group');
      const other = kafkajs.consumer({ groupId });
      await other.subscribe({ topic });
      await other.run({ eachMessage: async () => {} });
      await until(async () => {
        const { groups } = await admin.describeGroups([groupId]);
        expect(groups[0]?.state).toBe('Stable');
      });
      const failures: Error[] = [];
      await broker.consume({
        group: groupId,
        topics: [topic],
        handlers: {
          assigned: async () => [],
          revoked: async () => {},
          batch: () => true,
          failed: (error) => failures.push(error),
        },
      });
      await until(() => expect(failures[0]).toMatchObject({ code: 'GROUP_IN_USE' }));
      await other.disconnect();
    });

    test('two tasks with open batches commit side by side, and a state larger than a batch comes back whole', async () => {
      const topic = await makeTopic('large-state');
      const options = {
        id: fresh('task'),
        changelog: `tidemark.${fresh('changelog')}`,
        partition: 0,
        changelogPartitions: 1,
        group: `tidemark.${fresh('group')}`,
        inputs: [],
      };
      const ledger = await broker.openLedger(options);
      const state = numbers(3000).map((n) => ({
        key: Buffer.from(n),
        value: Buffer.alloc(1500, n),
      }));
      const appends = numbers(2000).map((value) => ({ topic, key: null, value }));
      await ledger.commit({ appends, state, offsets: [], meta: Buffer.from('m') });
      expect(await readValues(broker, topic)).toEqual(numbers(2000));
      const again = await broker.openLedger(options);
      const found = new Map<string, Buffer>();
      await again.restore((key, value) => found.set(key.toString(), value));
      expect(found.size).toBe(3000);
      for (const { key, value } of state) {
        expect(found.get(key.toString())?.equals(value)).toBe(true);
      }
    });
  });

  describe('when things break', () => {
    /** Every connection of this process to the cluster is reset. */
    function cutConnections(): number {
      const ports = new Set(brokers.map((address) => Number(address.split(':').at(-1))));
      const handles = (
        process as unknown as { _getActiveHandles(): unknown[] }
      )._getActiveHandles();
      const sockets = handles.filter(
        (handle): handle is Socket =>
          handle instanceof Socket && ports.has(handle.remotePort ?? -1),
      );
      for (const socket of sockets) {
        socket.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
      }
      return sockets.length;
    }

    /** Output partition p must hold what input partition p holds, each record once, in its order. */
    async function expectExact(broker: Broker, input: string, output: string, partitions: number) {
      for (let partition = 0; partition < partitions; partition++) {
        const given = await readValues(broker, input, partition);
        const found = await readValues(broker, output, partition);
        expect(found.length).toBe(given.length);
        expect(found).toEqual(given);
      }
    }

    async function untilEchoed(broker: Broker, output: string, partitions: number, total: number) {
      await until(async () => {
        const counts = await Promise.all(
          Array.from({ length: partitions }, async (_, partition) => {
            return (await readValues(broker, output, partition)).length;
          }),
        );
        expect(counts.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(total);
      }, 90_000);
    }

    test('connections cut again and again lose nothing and double nothing', async () => {
      const partitions = 3;
      const input = fresh('cut');
      const output = fresh('cut-out');
      const broker = await openKafkaBroker({ brokers });
      await broker.createTopics([
        { name: input, partitions },
        { name: output, partitions },
      ]);
      const member = new EchoMember(broker, { input, output, partitions });
      await member.start();
      let cut = 0;
      let appended = 0;
      // As a connection that was cut is opened again only after a while, a round may find few to cut.
      for (let round = 0; round < 30 || (cut <= 30 && round < 300); round++) {
        const values = numbers(200, appended);
        const appending = Promise.all(
          [values.slice(0, 100), values.slice(100)].map((some) =>
            broker.append(
              input,
              some.map((value) => ({ key: value, value })),
            ),
          ),
        );
        await sleep(Math.random() * 30);
        cut += cutConnections();
        const offsets = (await appending).flat();
        expect(new Set(offsets.map((o) => `${o.partition}/${o.offset}`)).size).toBe(200);
        appended += 200;
      }
      expect(cut).toBeGreaterThan(30);
      await untilEchoed(broker, output, partitions, appended);
      const all = await Promise.all([0, 1, 2].map((p) => readValues(broker, input, p)));
      expect(all.flat().sort()).toEqual(numbers(appended).sort());
      await expectExact(broker, input, output, partitions);
      expect(member.failures).toEqual([]);
      await broker.close();
    });

    test('members that come and go under load lose nothing and double nothing', async () => {
      const partitions = 6;
      const input = fresh('rebalance');
      const output = fresh('rebalance-out');
      const producer = await openKafkaBroker({ brokers });
      await producer.createTopics([
        { name: input, partitions },
        { name: output, partitions },
      ]);
      let appended = 0;
      let producing = true;
      const load = (async () => {
        while (producing) {
          await producer.append(
            input,
            numbers(100, appended).map((value) => ({ key: value, value })),
          );
          appended += 100;
          await sleep(5);
        }
      })();
      const members: { broker: Broker; member: EchoMember }[] = [];
      const grow = async () => {
        const broker = await openKafkaBroker({ brokers, sessionTimeoutMs: 6_000 });
        const member = new EchoMember(broker, { input, output, partitions });
        await member.start();
        members.push({ broker, member });
      };
      await grow();
      for (let round = 0; round < 8; round++) {
        if (members.length < 2 || round % 3 !== 2) await grow();
        else await members.shift()?.broker.close();
        await sleep(700);
      }
      producing = false;
      await load;
      await untilEchoed(producer, output, partitions, appended);
      await expectExact(producer, input, output, partitions);
      for (const { member } of members) expect(member.failures).toEqual([]);
      await Promise.all(members.map(({ broker }) => broker.close()));
      await producer.close();
    });

    test('processes killed and processes that slept past their session are taken over exactly', async () => {
      const partitions = 4;
      const input = fresh('killed');
      const output = fresh('killed-out');
      const producer = await openKafkaBroker({ brokers });
      await producer.createTopics([
        { name: input, partitions },
        { name: output, partitions },
      ]);
      interface Report {
        readonly partitions: readonly number[];
        readonly setbacks: readonly string[];
      }
      const reports = new Map<ChildProcess, Report>();
      const spawn = () => {
        const child = fork(
          new URL('./kafka-echo-member.ts', import.meta.url),
          [input, output, String(partitions)],
          { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
        );
        child.on('message', (report: Report) => reports.set(child, report));
        return child;
      };
      const owns = (child: ChildProcess, count: number) =>
        until(() => expect(reports.get(child)?.partitions).toHaveLength(count));
      let appended = 0;
      let producing = true;
      const load = (async () => {
        while (producing) {
          await producer.append(
            input,
            numbers(50, appended).map((value) => ({ key: value, value })),
          );
          appended += 50;
          await sleep(10);
        }
      })();
      const first = spawn();
      await owns(first, 4);
      const second = spawn();
      await owns(first, 2);
      await owns(second, 2);

      first.kill('SIGKILL');
      await owns(second, 4);
      const third = spawn();
      await owns(third, 2);

      // A zombie: its session ends while it sleeps, and it wakes with epochs half done.
      second.kill('SIGSTOP');
      await owns(third, 4);
      second.kill('SIGCONT');
      await owns(third, 2);
      await owns(second, 2);

      producing = false;
      await load;
      await untilEchoed(producer, output, partitions, appended);
      await expectExact(producer, input, output, partitions);
      for (const child of [second, third]) {
        child.kill('SIGTERM');
        await new Promise((resolve) => child.once('exit', resolve));
      }
      await producer.close();
    });

    test('a cluster that is not there, or not Kafka, is refused with its address', async () => {
      const away = openKafkaBroker({ brokers: ['127.0.0.1:1'] });
      await expect(away).rejects.toMatchObject({
        family: 'retriable',
        code: 'KAFKA_UNREACHABLE',
        message: expect.stringContaining('127.0.0.1:1'),
      });
      await expect(openKafkaBroker({ brokers: ['no-port'] })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    });
  });
});
