/** Votes through the whole engine into real databases: what is stored there is exactly what the contract says. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { BacklogView } from '../../src/api/index.ts';
import type { ProducerRecord } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { encodeLine, InfluxSink, setupBuckets } from '../../src/databases/influx/index.ts';
import { cassandraWideRows, KairosStore, setupKairos } from '../../src/databases/kairos/index.ts';
import { type Engine, startEngine } from '../../src/main.ts';
import type { Rollup } from '../../src/model/index.ts';
import { loadSettings, silentLogger, systemClock } from '../../src/runtime/index.ts';
import { dropKeyspace } from '../support/cassandra.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { differences, type Lines, pointsOf, recordsOf } from '../support/engine-contents.ts';
import {
  dropBucket,
  INFLUX_NAMES,
  influxFromEnvironment,
  pointsInBucket,
} from '../support/influx.ts';
import { needs } from '../support/require.ts';
import { newRun, type RunNames, runNames } from '../support/run-names.ts';

const CASSANDRA_NAMES = ['CASSANDRA_HOSTS', 'CASSANDRA_DC'];
const BUCKETS = ['vote-latencies-raw', 'vote-latencies-5m', 'validator-metrics'];
const HOUR_MS = 3_600_000;
const START_MS = 1_757_500_000_000;

interface Vote {
  readonly validator: string;
  readonly voteAccount: string;
  readonly network: string;
  readonly votedSlot: number;
  readonly landedSlot: number;
  readonly timestamp: number;
}

const votesOf = (seed: number, count: number): ProducerRecord[] => [
  ...simulateVotes({
    seed,
    startMs: START_MS,
    validators: 12,
    ratePerSecond: count / 5_000,
    count,
    duplicateShare: 0.05,
    lateShare: 0.01,
  }),
];
const voteOf = (record: ProducerRecord) => JSON.parse(String(record.value)) as Vote;

/** Each vote once: the simulator repeats within ten minutes only, byte for byte. Late ones count. */
const uniqueVotes = (votes: readonly ProducerRecord[]): readonly Vote[] =>
  [...new Set(votes.map(({ value }) => String(value)))].map((value) => JSON.parse(value) as Vote);

async function makeBuckets(names: RunNames): Promise<void> {
  await setupBuckets(
    influxFromEnvironment(),
    BUCKETS.map((bucket) => ({ name: names.bucket(bucket), retentionMs: 0 })),
  );
}

async function dropBuckets(names: RunNames): Promise<void> {
  for (const bucket of BUCKETS) await dropBucket(influxFromEnvironment(), names.bucket(bucket));
}

/** The engine of one run in this process, on an embedded log of its own. */
function launch(
  names: RunNames,
  data: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Engine> {
  const { settings } = loadSettings({
    environment: {
      TIDEMARK_EPOCH_INTERVAL_MS: '50',
      SINK_BACKOFF_BASE_MS: '50',
      SINK_BACKOFF_CAP_MS: '500',
      ...environment,
    },
    flags: { data },
  });
  return startEngine(settings, {
    roles: ['engine', 'sinks'],
    topologies: [names.topology],
    feeds: names.feeds,
    logger: silentLogger,
  });
}

const environmentOf = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, process.env[name]]));

/** To the millisecond: what lies below it keeps two votes of one millisecond apart. */
const inMs = (points: Lines): Lines =>
  new Map(
    [...points].map(([about, value]) => [
      about.replace(/ (\S+)$/, (_, time: string) => ` ${new Date(time).getTime()}`),
      value,
    ]),
  );

function rawInflux(votes: readonly Vote[]): Lines {
  const lines = new Map<string, string>();
  for (const { validator, voteAccount, network, votedSlot, landedSlot, timestamp } of votes) {
    const tags = `network=${network},validator_id=${validator.slice(0, 8)},vote_account=${voteAccount.slice(0, 8)}`;
    const latency = landedSlot - votedSlot;
    const fields = {
      latency_slots: latency,
      voted_slot: votedSlot,
      landed_slot: landedSlot,
      latency_ms: latency * 400,
    };
    for (const [field, value] of Object.entries(fields))
      lines.set(`vote_latency,${tags} ${field} ${timestamp}`, `long ${value}`);
  }
  return lines;
}

const stepOf = ({ window }: Rollup): '5m' | '1h' | '1d' =>
  window.end - window.start === 300_000
    ? '5m'
    : window.end - window.start === HOUR_MS
      ? '1h'
      : '1d';

function rollupInflux(rollups: readonly Rollup[]): Lines {
  const lines = new Map<string, string>();
  for (const rollup of rollups) {
    const step = stepOf(rollup);
    const bucket = step === '5m' ? 'vote-latencies-5m' : 'validator-metrics';
    const tags = [
      `network=${rollup.network}`,
      `scope=${rollup.scope}`,
      ...(step === '5m' ? [] : [`step=${step}`]),
      ...(rollup.scope === 'validator'
        ? [
            `validator_id=${rollup.id.slice(0, 8)}`,
            `vote_account=${rollup.voteAccount?.slice(0, 8)}`,
          ]
        : []),
    ].join(',');
    const { mean, min, max, stddev, p50, p95, p99, movingAverage: moving_average } = rollup;
    const about = (field: string) =>
      `${bucket} vote_latency_rollup,${tags} ${field} ${rollup.window.start}`;
    lines.set(about('count'), `long ${rollup.count}`);
    for (const [field, value] of Object.entries({
      mean,
      min,
      max,
      stddev,
      p50,
      p95,
      p99,
      moving_average,
    }))
      lines.set(about(field), `double ${value}`);
  }
  return lines;
}

function kairosLines(votes: readonly Vote[], rollups: readonly Rollup[]): Lines {
  const lines = new Map<string, string>();
  const put = (
    metric: string,
    tags: Record<string, string>,
    timeMs: number,
    value: bigint | number,
  ) => {
    const series = JSON.stringify(Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)));
    lines.set(`${metric} ${series} ${timeMs}`, `${typeof value} ${value}`);
  };
  for (const {
    validator,
    voteAccount: vote_account,
    network,
    votedSlot,
    landedSlot,
    timestamp,
  } of votes)
    put(
      'vote_latency',
      { validator, vote_account, network },
      timestamp,
      BigInt(landedSlot - votedSlot),
    );
  for (const rollup of rollups) {
    const { scope, id, network, count, mean, p50, p95, p99 } = rollup;
    const tags = { scope, id, network, step: stepOf(rollup) };
    put('vote_latency.count', tags, rollup.window.start, BigInt(count));
    for (const [figure, value] of Object.entries({ mean, p50, p95, p99 }))
      put(`vote_latency.${figure}`, tags, rollup.window.start, value);
  }
  return lines;
}

async function rollupsOf(engine: Engine, names: RunNames): Promise<readonly Rollup[]> {
  const topics = (['5m', '1h', '1d'] as const).map((step) => names.topics.rollups(step, 'network'));
  return (await recordsOf(engine.broker, topics)).map(({ value }) => JSON.parse(value) as Rollup);
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1_600; tries++) {
    if (await condition()) return;
    await systemClock.sleep(50);
  }
  throw new Error(`not within 80 s: ${what}`);
}

const backlogOf = async (engine: Engine, feed: string): Promise<BacklogView> =>
  (await engine.view.backlog()).find(({ sink }) => sink.endsWith(feed)) as BacklogView;

describe.skipIf(!needs([...INFLUX_NAMES, ...CASSANDRA_NAMES]))('InfluxDB and Cassandra', () => {
  const names = runNames(newRun());
  const votes = votesOf(41, 4_000);
  const cassandra = {
    hosts: (process.env.CASSANDRA_HOSTS ?? '').split(','),
    datacenter: process.env.CASSANDRA_DC ?? '',
    keyspace: names.keyspace,
  };
  let data: string;
  let engine: Engine;
  let rollups: readonly Rollup[];

  beforeAll(async () => {
    await makeBuckets(names);
    await setupKairos(cassandra);
    data = await mkdtemp(join(tmpdir(), 'tidemark-databases-'));
    engine = await launch(names, data, {
      ...environmentOf([...INFLUX_NAMES, ...CASSANDRA_NAMES]),
      CASSANDRA_KEYSPACE: names.keyspace,
    });
    await engine.broker.append(names.topics.votes, votes);
    await engine.finish(names.topology.name);
    rollups = await rollupsOf(engine, names);
  });
  afterAll(async () => {
    await engine?.stop();
    await dropBuckets(names);
    await dropKeyspace(cassandra);
    await rm(data, { recursive: true, force: true });
  });

  test('hold every vote once, late ones too, as the points that the contract names', async () => {
    const late = await recordsOf(engine.broker, [names.topics.late]);
    expect(late.length).toBeGreaterThan(5);
    const unique = uniqueVotes(votes);
    expect(unique.length).toBeLessThan(votes.length - 100);
    const raw = await pointsInBucket(influxFromEnvironment(), names.bucket('vote-latencies-raw'));
    expect(differences(inMs(raw), rawInflux(unique))).toEqual([]);
    expect(raw.size).toBe(4 * unique.length);
  });

  test('hold every rollup as the contract names it', async () => {
    expect(new Set(rollups.map((rollup) => `${rollup.scope} ${stepOf(rollup)}`)).size).toBe(6);
    const found = new Map<string, string>();
    for (const bucket of ['vote-latencies-5m', 'validator-metrics']) {
      const points = inMs(await pointsInBucket(influxFromEnvironment(), names.bucket(bucket)));
      for (const [about, value] of points) found.set(`${bucket} ${about}`, value);
    }
    expect(differences(found, rollupInflux(rollups))).toEqual([]);
  });

  test('hold votes and rollups as KairosDB series with full keys', async () => {
    const rows = cassandraWideRows({ config: cassandra, clock: systemClock });
    const store = new KairosStore({ rows, clock: systemClock, readOnly: true });
    await store.connect();
    onTestFinished(() => store.close());
    expect(differences(await pointsOf(store), kairosLines(uniqueVotes(votes), rollups))).toEqual(
      [],
    );
  });
});

describe.skipIf(!needs([...CASSANDRA_NAMES, 'KAIROSDB_URL']))('a Java KairosDB', () => {
  test('reads from the shared keyspace every vote and rollup that the engine wrote', async () => {
    const names = runNames(newRun());
    // Validators that nobody else has: the keyspace is everybody's.
    const votes = votesOf(Number.parseInt(names.namespace.slice(-8), 16), 1_500);
    const engine = await launch(names, await temporaryDirectory(), {
      ...environmentOf(CASSANDRA_NAMES),
      CASSANDRA_KEYSPACE: 'kairosdb',
    });
    onTestFinished(() => engine.stop());
    await engine.broker.append(names.topics.votes, votes);
    await engine.finish(names.topology.name);
    const rollups = (await rollupsOf(engine, names)).filter(({ scope }) => scope === 'validator');

    const ids = [...new Set(votes.map((vote) => voteOf(vote).validator))];
    const found = new Map<string, string>();
    for (const [metric, tag] of [
      ['vote_latency', 'validator'],
      ...['count', 'mean', 'p50', 'p95', 'p99'].map((figure) => [`vote_latency.${figure}`, 'id']),
    ] as [string, string][]) {
      const response = await fetch(`${process.env.KAIROSDB_URL}/api/v1/datapoints/query`, {
        method: 'POST',
        body: JSON.stringify({
          start_absolute: START_MS - 48 * HOUR_MS,
          end_absolute: START_MS + 48 * HOUR_MS,
          metrics: [
            {
              name: metric,
              tags: { [tag]: ids },
              group_by: [{ name: 'tag', tags: tag === 'id' ? ['id', 'step'] : [tag] }],
            },
          ],
        }),
      });
      const text = await response.text();
      expect(response.status, text.slice(0, 500)).toBe(200);
      const { queries } = JSON.parse(text) as {
        queries: {
          results: {
            tags: Record<string, string[]>;
            group_by: { name: string; type?: string }[];
            values: [number, number][];
          }[];
        }[];
      };
      for (const { tags, values, group_by } of queries[0]?.results ?? []) {
        const type = group_by.find(({ name }) => name === 'type')?.type;
        expect(type).toBe('number');
        const series = JSON.stringify(
          Object.entries(tags)
            .map(([name, [value]]) => [name, value])
            .sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
        );
        for (const [timeMs, value] of values)
          found.set(`${metric} ${series} ${timeMs}`, String(value));
      }
    }
    // JSON has one kind of number.
    const wanted = new Map(
      [...kairosLines(uniqueVotes(votes), rollups)].map(([about, line]) => [
        about,
        line.replace(/^\w+ /, ''),
      ]),
    );
    expect(wanted.size).toBeGreaterThan(1_400);
    expect(differences(found, wanted)).toEqual([]);
  });
});

/** A way to the real InfluxDB that can be closed: nobody listens at first, and open connections can be cut. */
class Passage {
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(target: string) {
    this.#target = new URL(target);
  }

  /** Reserves the address; nothing listens there. */
  async reserve(): Promise<string> {
    await this.open();
    await this.close();
    return `http://127.0.0.1:${this.#port}`;
  }

  async open(): Promise<void> {
    const server = createServer((near) => {
      const far = connect(Number(this.#target.port), this.#target.hostname);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('close', () => this.#sockets.delete(socket));
        socket.on('error', () => {});
      }
      near.pipe(far).pipe(near);
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

describe.skipIf(!needs(INFLUX_NAMES))('InfluxDB', () => {
  test('away at start and cut off in between loses nothing, and holds nobody else up', async () => {
    const names = runNames(newRun());
    const votes = votesOf(42, 6_000);
    await makeBuckets(names);
    onTestFinished(() => dropBuckets(names));
    const passage = new Passage(process.env.INFLUX_URL ?? '');
    onTestFinished(() => passage.close());
    const engine = await launch(names, await temporaryDirectory(), {
      ...environmentOf(INFLUX_NAMES),
      INFLUX_URL: await passage.reserve(),
      INFLUX_BATCH_SIZE: '200',
    });
    onTestFinished(() => engine.stop());

    await engine.broker.append(names.topics.votes, votes.slice(0, 3_000));
    const stored = async (feed: string) => (await backlogOf(engine, feed)).points === 0;
    await until('the other sinks store what there is', async () => {
      const offsets = await engine.broker.committedOffsets(names.feeds.kairos[0]?.group(0) ?? '');
      return offsets.some(({ offset }) => offset === 3_000);
    });
    await until('the outage shows in the backlog', async () => {
      const { points, lastError } = await backlogOf(engine, 'influx.votes');
      return points === 3_000 && lastError !== null;
    });
    await until('they have nothing left', () => stored('kairos.votes'));
    expect(engine.view.health()).toEqual({ healthy: true, reasons: [] });

    await passage.open();
    await until('InfluxDB catches up', () => stored('influx.votes'));
    const appending = engine.broker.append(names.topics.votes, votes.slice(3_000));
    await systemClock.sleep(30);
    await passage.close();
    await appending;
    await systemClock.sleep(500);
    await passage.open();
    await engine.finish(names.topology.name);
    const raw = await pointsInBucket(influxFromEnvironment(), names.bucket('vote-latencies-raw'));
    expect(differences(inMs(raw), rawInflux(uniqueVotes(votes)))).toEqual([]);
    const rollups = await pointsInBucket(
      influxFromEnvironment(),
      names.bucket('vote-latencies-5m'),
    );
    expect(rollups.size).toBe(
      9 * (await rollupsOf(engine, names)).filter((rollup) => stepOf(rollup) === '5m').length,
    );
  });

  test('refuses one point for good: it goes to the dead-letter topic, and all others are stored', async () => {
    const names = runNames(newRun());
    const votes = votesOf(43, 1_000);
    await makeBuckets(names);
    onTestFinished(() => dropBuckets(names));
    // In that week `latency_slots` is text, so a number is a type conflict there.
    const otherWeekMs = START_MS - 30 * 24 * HOUR_MS;
    const bucket = names.bucket('vote-latencies-raw');
    const sink = new InfluxSink({ config: influxFromEnvironment(), bucket, clock: systemClock });
    const conflicting = {
      measurement: 'vote_latency',
      tags: { network: 'testnet' },
      fields: { latency_slots: 'text' },
      timestampNs: BigInt(otherWeekMs) * 1_000_000n,
    };
    expect(encodeLine(conflicting)).toContain('"text"');
    await sink.connect();
    expect(await sink.write([conflicting])).toEqual([]);
    await sink.close();

    const good = voteOf(votes[0] as ProducerRecord);
    const poison = JSON.stringify({ ...good, votedSlot: 7, landedSlot: 9, timestamp: otherWeekMs });
    const engine = await launch(names, await temporaryDirectory(), environmentOf(INFLUX_NAMES));
    onTestFinished(() => engine.stop());
    await engine.broker.append(names.topics.votes, votes.slice(0, 500));
    const [at] = await engine.broker.append(names.topics.votes, [
      { key: good.validator, value: poison },
    ]);
    await engine.broker.append(names.topics.votes, votes.slice(500));
    await engine.finish(names.topology.name);

    const letters = await recordsOf(engine.broker, [`${names.topics.votes}.dead-letter`]);
    expect(letters.map(({ value }) => JSON.parse(value))).toEqual([
      {
        bytes: Buffer.from(poison).toString('base64'),
        topic: names.topics.votes,
        partition: 0,
        offset: at?.offset,
        code: 'SINK_REJECTED',
        message: expect.stringContaining('latency_slots'),
      },
    ]);
    expect(await backlogOf(engine, 'influx.votes')).toMatchObject({ points: 0, rejected: 1 });
    const raw = inMs(
      await pointsInBucket(influxFromEnvironment(), bucket, START_MS - 24 * HOUR_MS),
    );
    expect(differences(raw, rawInflux(uniqueVotes(votes)))).toEqual([]);
  });
});
