/**
 * Points into a Java KairosDB and into Tidemark, side by side: on one Cassandra, a keyspace each, and the embedded
 * store against Java on H2. The same bodies from the same generator, in turns; a round is over when the last point can
 * be read, and at the end what is stored is counted: every point must be there. Tidemark's acknowledgement means
 * fsynced in its log. On Cassandra a bare driver then inserts as many cells, which is the floor of both.
 * `npm run bench -- kairos ingest [--points N] [--rounds N] [--series N] [--per-series N] [--connections N] [--cassandra]
 * [--embedded]`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setupKairos } from '../../src/databases/kairos/index.ts';
import { dropKeyspace } from '../../test/support/cassandra.ts';
import { startJavaKairos } from '../../test/support/java-kairosdb.ts';
import { benchArguments, required } from '../support/arguments.ts';
import { noiseNow, warnOfNoise, writeResults } from '../support/results.ts';
import { insertedPerSecond } from './floors.ts';
import { cpuSeconds, residentMemory } from './processes.ts';
import { startTidemark } from './tidemark-process.ts';

const METRIC = 'bench.ingest';
const START_MS = Date.UTC(2026, 0, 12);
const STEP_MS = 1_000;
/** Of a body. */
const BODY_POINTS = 1_000;
const DURABLE_WITHIN_MS = 300_000;
/** Between two turns, so that nobody's points are written while the database tidies up behind the other's. */
const REST_MS = 5_000;

const options = benchArguments(
  { points: 300_000, rounds: 4, series: 1_000, 'per-series': 10, connections: 4 },
  ['cassandra', 'embedded'],
);
const rounds = options.number('rounds');
const series = options.number('series');
const perSeries = options.number('per-series');
const connections = options.number('connections');
const steps = Math.ceil(options.number('points') / series / perSeries) * perSeries;
const points = steps * series;
const both = !options.flag('cassandra') && !options.flag('embedded');
const noise = noiseNow();

interface Contender {
  readonly name: 'java' | 'tidemark';
  readonly url: string;
  readonly pid: number;
}

interface Round {
  readonly acknowledgedPerSecond: number;
  /** Acknowledged and in the database. */
  readonly durablePerSecond: number;
  readonly cpuMicrosecondsPerPoint: number;
  readonly residentMiB: number;
}

const tagsOf = (i: number) => ({ host: `host-${i}`, dc: `dc-${i % 3}`, role: 'bench' });

/** All bodies of a round: each some series with some points, in order of time. */
function* bodies(metric: string): Generator<Buffer> {
  const seriesInBody = Math.max(1, Math.floor(BODY_POINTS / perSeries));
  for (let step = 0; step < steps; step += perSeries) {
    for (let from = 0; from < series; from += seriesInBody) {
      const metrics = Array.from({ length: Math.min(seriesInBody, series - from) }, (_, i) => ({
        name: metric,
        tags: tagsOf(from + i),
        datapoints: Array.from({ length: perSeries }, (_unused, k) => [
          START_MS + (step + k) * STEP_MS,
          // Longs, as counters send them; every hundredth series has doubles.
          (from + i) % 100 === 0 ? (step + k) * 1.5 + 0.25 : (step + k) * 7 + from + i,
        ]),
      }));
      yield Buffer.from(JSON.stringify(metrics));
    }
  }
}

const agent = new Agent({ keepAlive: true, maxSockets: connections });

function post(url: string, path: string, body: Buffer): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}/api/v1/${path}`,
      { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    sent.on('error', reject).end(body);
  });
}

/** How many points of a metric can be read; with `tags`, of one series. */
async function counted(url: string, metric: string, from: number, tags: object): Promise<number> {
  const aggregators = [{ name: 'count', sampling: { value: 100, unit: 'years' } }];
  const query = {
    start_absolute: from,
    end_absolute: START_MS + steps * STEP_MS,
    time_zone: 'UTC',
    metrics: [{ name: metric, tags, aggregators }],
  };
  const { status, text } = await post(url, 'datapoints/query', Buffer.from(JSON.stringify(query)));
  if (status !== 200) throw new Error(`${status} ${text.slice(0, 500)}`);
  const answer = JSON.parse(text) as { queries: { sample_size: number }[] };
  return answer.queries[0]?.sample_size ?? 0;
}

async function run({ url, pid }: Contender, metric: string): Promise<Round> {
  const all = [...bodies(metric)];
  const cpuBefore = cpuSeconds(pid);
  const start = performance.now();
  let residentMiB = 0;
  const watch = setInterval(() => {
    residentMiB = Math.max(residentMiB, residentMemory(pid).nowMiB);
  }, 200);
  let next = 0;
  const sender = async () => {
    while (next < all.length) {
      const body = all[next++] as Buffer;
      for (;;) {
        const { status, text } = await post(url, 'datapoints', body);
        if (status === 204) break;
        if (status !== 503) throw new Error(`${status} ${text.slice(0, 500)}`);
        await sleep(100);
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, sender));
  const acknowledgedMs = performance.now() - start;
  // The series whose last points were sent last, a few of them; then everything.
  const lastMs = START_MS + (steps - 1) * STEP_MS;
  const isIn = async () => {
    for (const i of [0, series >> 1, series - 1]) {
      if ((await counted(url, metric, lastMs, { host: [`host-${i}`] })) === 0) return false;
    }
    return true;
  };
  while (!(await isIn())) {
    if (performance.now() - start > DURABLE_WITHIN_MS)
      throw new Error(`${metric}: not all arrived`);
    await sleep(50);
  }
  const durableMs = performance.now() - start;
  const cpu = cpuSeconds(pid) - cpuBefore;
  clearInterval(watch);
  let count = 0;
  for (const begun = performance.now(); count < points; await sleep(500)) {
    count = await counted(url, metric, 0, {});
    if (performance.now() - begun > DURABLE_WITHIN_MS)
      throw new Error(`${metric}: ${count} of ${points} points are stored`);
  }
  return {
    acknowledgedPerSecond: Math.round(points / (acknowledgedMs / 1_000)),
    durablePerSecond: Math.round(points / (durableMs / 1_000)),
    cpuMicrosecondsPerPoint: Number(((cpu * 1e6) / points).toFixed(2)),
    residentMiB,
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** Paired rounds, who goes first takes turns; the first pair warms up and is left out. */
async function race(where: string, java: Contender, tidemark: Contender) {
  const pairs: { java: Round; tidemark: Round }[] = [];
  for (let round = 0; round <= rounds; round++) {
    const found: Partial<Record<Contender['name'], Round>> = {};
    for (const each of round % 2 === 0 ? [java, tidemark] : [tidemark, java]) {
      await sleep(REST_MS);
      found[each.name] = await run(each, `${METRIC}.${round}`);
      process.stdout.write(
        `  ${where} round ${round} ${each.name.padEnd(8)} ${JSON.stringify(found[each.name])}\n`,
      );
    }
    if (round > 0) pairs.push(found as { java: Round; tidemark: Round });
  }
  const ratio = (of: (round: Round) => number) =>
    Number(median(pairs.map((pair) => of(pair.tidemark) / of(pair.java))).toFixed(2));
  const figures = {
    points,
    acknowledgedRatio: ratio((r) => r.acknowledgedPerSecond),
    durableRatio: ratio((r) => r.durablePerSecond),
    cpuPerPointRatio: ratio((r) => r.cpuMicrosecondsPerPoint),
    residentRatio: ratio((r) => r.residentMiB),
    pairs,
  };
  process.stdout.write(
    `${where}: ${figures.durableRatio} × Java's points per second into the database (${figures.acknowledgedRatio} × acknowledged), ${figures.cpuPerPointRatio} × its CPU per point, ${figures.residentRatio} × its memory\n`,
  );
  return figures;
}

async function withBoth<T>(
  java: Parameters<typeof startJavaKairos>[0]['store'],
  environment: Readonly<Record<string, string>>,
  each: (java: Contender, tidemark: Contender) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-kairos-ingest-'));
  const stops: (() => Promise<void>)[] = [];
  try {
    const original = await startJavaKairos({ directory: join(directory, 'java'), store: java });
    stops.push(original.stop);
    const ours = await startTidemark({
      directory: join(directory, 'tidemark'),
      environment: { TIDEMARK_TELNET_PORT: '0', ...environment },
      flags: ['--roles', 'ingest,query,sinks'],
    });
    stops.push(ours.stop);
    return await each({ name: 'java', ...original }, { name: 'tidemark', ...ours });
  } finally {
    for (const stop of stops) await stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function onCassandra() {
  const hosts = required('CASSANDRA_HOSTS').split(',');
  const datacenter = required('CASSANDRA_DC');
  const name = `bench_ingest_${Date.now().toString(36)}`;
  const keyspaces = [`${name}_java`, `${name}_ours`, `${name}_floor`] as const;
  for (const keyspace of keyspaces) await setupKairos({ hosts, datacenter, keyspace });
  try {
    const environment = {
      CASSANDRA_HOSTS: hosts.join(','),
      CASSANDRA_DC: datacenter,
      CASSANDRA_KEYSPACE: keyspaces[1],
    };
    return await withBoth(
      { hosts, keyspace: keyspaces[0] },
      environment,
      async (java, tidemark) => {
        const figures = await race('on Cassandra', java, tidemark);
        // As many cells to a request as a body has of a series, and five times as many.
        const floor: Record<string, number> = {};
        for (const perBatch of [perSeries, perSeries * 5]) {
          const address = { hosts, datacenter, keyspace: keyspaces[2] };
          floor[perBatch] = await insertedPerSecond(address, { series, steps, perBatch });
          process.stdout.write(
            `  floor: a bare driver inserts ${floor[perBatch]} cells a second, ${perBatch} to a request\n`,
          );
        }
        return { ...figures, floor };
      },
    );
  } finally {
    for (const keyspace of keyspaces) await dropKeyspace({ hosts, datacenter, keyspace });
  }
}

warnOfNoise(noise);
const setup = { series, perSeries, connections };
if (both || options.flag('cassandra')) {
  writeResults('kairos-ingest-cassandra', noise, { ...setup, ...(await onCassandra()) });
}
if (both || options.flag('embedded')) {
  const figures = await withBoth('h2', {}, (java, tidemark) =>
    race('embedded beside H2', java, tidemark),
  );
  writeResults('kairos-ingest-embedded', noise, { ...setup, ...figures });
}
agent.destroy();
