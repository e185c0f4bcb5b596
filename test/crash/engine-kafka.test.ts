/**
 * kill -9 of two processes in one consumer group, twenty times, on real Kafka, and now and then one sleeps through
 * its session: derived topics (read committed), InfluxDB and Cassandra equal an uninterrupted run.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Broker, openKafkaBroker, type ProducerRecord } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { setupBuckets } from '../../src/databases/influx/index.ts';
import { cassandraWideRows, KairosStore, setupKairos } from '../../src/databases/kairos/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { dropKeyspace } from '../support/cassandra.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import {
  differences,
  type Lines,
  linesOf,
  pointsOf,
  recordsOf,
} from '../support/engine-contents.ts';
import { EngineProcess, settled, unfinishedIn } from '../support/engine-process.ts';
import {
  dropBucket,
  INFLUX_NAMES,
  influxFromEnvironment,
  pointsInBucket,
} from '../support/influx.ts';
import { needs } from '../support/require.ts';
import { newRun, type RunNames, runNames } from '../support/run-names.ts';
import { killSchedule } from './kill-schedule.ts';

const KILLS = 20;
/** Kills before which the process sleeps for longer than its session. */
const SLEEPERS = new Set([6, 13]);
const SESSION_TIMEOUT_MS = 6_000;
const PARTITIONS = 4;
/** Appended right before a kill. */
const LAST_VOTES = 100;
const BUCKETS = ['vote-latencies-raw', 'vote-latencies-5m', 'validator-metrics'];
const servers = ['KAFKA_BROKERS', 'CASSANDRA_HOSTS', 'CASSANDRA_DC', ...INFLUX_NAMES];
const script = fileURLToPath(new URL('../support/engine-main.ts', import.meta.url));

const { KAFKA_BROKERS = '', CASSANDRA_HOSTS = '', CASSANDRA_DC = '' } = process.env;

const votes: readonly ProducerRecord[] = [
  ...simulateVotes({
    seed: 13,
    startMs: 1_757_500_000_000,
    validators: 40,
    ratePerSecond: 10,
    count: 45_000,
    duplicateShare: 0.02,
    lateShare: 0.002,
  }),
];

/** A run's own topics, buckets and keyspace, cleared away when the test is over. */
async function prepare(broker: Broker): Promise<{ name: string; names: RunNames }> {
  const name = newRun();
  const names = runNames(name);
  const influx = influxFromEnvironment();
  const cassandra = cassandraOf(names);
  onTestFinished(async () => {
    await broker.deleteNamespace(names.namespace);
    for (const bucket of BUCKETS) await dropBucket(influx, names.bucket(bucket));
    await dropKeyspace(cassandra);
  });
  await broker.createTopics([{ name: names.topics.votes, partitions: PARTITIONS }]);
  await setupBuckets(
    influx,
    BUCKETS.map((bucket) => ({ name: names.bucket(bucket), retentionMs: 0 })),
  );
  await setupKairos(cassandra);
  return { name, names };
}

const cassandraOf = (names: RunNames) => ({
  hosts: CASSANDRA_HOSTS.split(','),
  datacenter: CASSANDRA_DC,
  keyspace: names.keyspace,
});

async function launch(name: string, names: RunNames): Promise<EngineProcess> {
  const environment = Object.fromEntries(
    servers.map((server) => [server, process.env[server] ?? '']),
  );
  return EngineProcess.forThisTest({
    data: await temporaryDirectory(),
    script,
    flags: ['--run', name],
    environment: {
      ...environment,
      CASSANDRA_KEYSPACE: names.keyspace,
      KAFKA_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
      TIDEMARK_EPOCH_INTERVAL_MS: '200',
      SINK_BACKOFF_BASE_MS: '100',
    },
  });
}

interface Contents {
  readonly derived: Lines;
  readonly influx: Lines;
  readonly cassandra: Lines;
}

async function contentsOf(broker: Broker, names: RunNames): Promise<Contents> {
  const records = await recordsOf(broker, names.derived);
  const influx = new Map<string, string>();
  for (const bucket of BUCKETS) {
    const points = await pointsInBucket(influxFromEnvironment(), names.bucket(bucket));
    for (const [about, value] of points) influx.set(`${bucket} ${about}`, value);
  }
  const rows = cassandraWideRows({ config: cassandraOf(names), clock: systemClock });
  const store = new KairosStore({ rows, clock: systemClock, readOnly: true });
  await store.connect();
  const cassandra = await pointsOf(store);
  await store.close();
  // The runs differ in their names only.
  const derived = records.map(({ topic, key, value }) => ({
    topic: topic.replace(names.namespace, ''),
    key,
    value: value.replace(names.namespace, ''),
  }));
  return { derived: linesOf(derived), influx, cassandra };
}

async function settleAndStop(
  broker: Broker,
  names: RunNames,
  engines: readonly EngineProcess[],
): Promise<Contents> {
  const { topology, feeds } = names;
  // History is each process's own, in a group of its own.
  const all = [topology, ...feeds.influx, ...feeds.kairos];
  await settled(engines, {
    quietMs: 7_000,
    alsoUnfinished: () => unfinishedIn(engines, broker, all),
  });
  for (const engine of engines) expect(await engine.stop(), engine.report).toBe(0);
  return contentsOf(broker, names);
}

describe.skipIf(!needs(servers))('two processes in one group on Kafka', () => {
  test('twenty kills -9 change nothing of derived topics, InfluxDB and Cassandra', async () => {
    const broker = await openKafkaBroker({
      brokers: KAFKA_BROKERS.split(','),
      clock: systemClock,
      logger: silentLogger,
    });
    onTestFinished(() => broker.close());

    const calm = await prepare(broker);
    await broker.append(calm.names.topics.votes, votes);
    const wanted = await settleAndStop(broker, calm.names, [await launch(calm.name, calm.names)]);
    expect(wanted.derived.size).toBeGreaterThan(500);
    expect(wanted.influx.size).toBeGreaterThan(4 * 0.95 * votes.length);
    expect(wanted.cassandra.size).toBeGreaterThan(0.95 * votes.length);

    const { name, names } = await prepare(broker);
    const kills = killSchedule(KILLS, 3, { lifeMsMax: 7_000 });
    let appended = 0;
    let before = Promise.resolve();
    // One after the other, as their order is part of what is compared.
    const append = (count: number) => {
      before = before.then(async () => {
        const records = votes.slice(appended, appended + count);
        appended += records.length;
        if (records.length > 0) await broker.append(names.topics.votes, records);
      });
      return before;
    };
    // A portion for each life, so that there is work for all of them, however long they take.
    const portion = Math.floor(votes.length / (KILLS + 2));
    let allowed = 0;
    let stopped = false;
    const producing = (async () => {
      while (!stopped) {
        await append(Math.max(0, Math.min(50, allowed - appended)));
        await systemClock.sleep(100);
      }
    })();
    const engines = [await launch(name, names), await launch(name, names)];
    const committed: number[] = [];
    let atWork = 0;
    for (const [kill, { from, delayMs }] of kills.entries()) {
      const victim = kill % 2;
      allowed += portion;
      if (from === 'listening') await (engines[victim] as EngineProcess).url();
      await systemClock.sleep(delayMs);
      if (SLEEPERS.has(kill)) {
        // When it wakes, its partitions are another's, and it has to learn that before it does harm.
        await engines[victim]?.sleep(SESSION_TIMEOUT_MS + 3_000);
        await systemClock.sleep(1_000);
      }
      // In hand when it dies, whatever was done before.
      await append(LAST_VOTES);
      await engines[victim]?.kill();
      engines[victim] = await launch(name, names);
      const offsets = await broker.committedOffsets(names.topology.group(0));
      committed.push(offsets.reduce((sum, { offset }) => sum + offset, 0));
      if ((committed.at(-1) ?? 0) < appended) atWork++;
    }
    stopped = true;
    await producing;
    // The kills fell into real work, and between them it went on; otherwise the test proves nothing.
    expect(atWork).toBeGreaterThanOrEqual(KILLS / 2);
    expect(new Set(committed).size).toBeGreaterThanOrEqual(5);
    await append(votes.length);
    const found = await settleAndStop(broker, names, engines);
    expect(differences(found.derived, wanted.derived)).toEqual([]);
    expect(differences(found.influx, wanted.influx)).toEqual([]);
    expect(differences(found.cassandra, wanted.cassandra)).toEqual([]);
  });
});
