/**
 * Points per second into the real databases, through the feeds as the engine runs them: 10,000 votes a second
 * into InfluxDB for a minute, every one of them found again by query; what InfluxDB and Cassandra take at most;
 * and SQLite beside them. `npm run bench -- sinks [--seconds N] [--rounds N] [--flood N]`.
 */
import { randomBytes } from 'node:crypto';
import { Client } from 'cassandra-driver';
import { type SimulatedVote, simulateVotes } from '../src/collect/index.ts';
import { influxConfig, setupBuckets } from '../src/databases/influx/index.ts';
import { setupKairos } from '../src/databases/kairos/index.ts';
import { loadSettings, systemClock } from '../src/runtime/index.ts';
import { dropKeyspace } from '../test/support/cassandra.ts';
import { dropBucket, influxCall } from '../test/support/influx.ts';
import type { Vote } from '../topologies/index.ts';
import { benchArguments, required } from './support/arguments.ts';
import { bucketOf, type FeedRun, runFeed } from './support/feed-run.ts';
import { number, rounded, roundedSpread, show, spread } from './support/figures.ts';
import { noiseNow, warnOfNoise, writeResults } from './support/results.ts';
import { sqliteRate } from './support/sqlite-baseline.ts';

const PER_SECOND = 10_000;
const SQLITE_SINGLES = 10_000;
const SQLITE_BATCH = 5_000;

const options = benchArguments({ seconds: 60, rounds: 3, flood: 200_000 });
const seconds = options.number('seconds');
const rounds = options.number('rounds');
const flood = options.number('flood');
const url = required('INFLUX_URL');
const org = required('INFLUX_ORG');
const token = required('INFLUX_TOKEN');
const hosts = required('CASSANDRA_HOSTS');
const datacenter = required('CASSANDRA_DC');
const influx = influxConfig({ url, org, token });
const noise = noiseNow();
const newRunId = () => `bench-${randomBytes(5).toString('hex')}`;

/** Distinct points: no repeats, and no account twice in a millisecond. */
function votesFor(count: number): SimulatedVote[] {
  const startMs = Date.now() - Math.ceil((count / PER_SECOND) * 1_000);
  const shares = { duplicateShare: 0, outOfOrderShare: 0, lateShare: 0 };
  return [...simulateVotes({ seed: 1, startMs, ratePerSecond: PER_SECOND, count, ...shares })];
}

async function intoInflux(count: number, perSecond?: number): Promise<FeedRun> {
  const runId = newRunId();
  const bucket = bucketOf(runId);
  await setupBuckets(influx, [{ name: bucket, retentionMs: 0 }]);
  try {
    const run = await runFeed({
      into: 'influx',
      runId,
      votes: votesFor(count),
      environment: { INFLUX_URL: url, INFLUX_ORG: org, INFLUX_TOKEN: token },
      ...(perSecond === undefined ? {} : { perSecond }),
    });
    const stored = await countInflux(bucket);
    if (stored !== count) throw new Error(`InfluxDB has ${stored} of ${count} points`);
    return run;
  } finally {
    await dropBucket(influx, bucket);
  }
}

async function countInflux(bucket: string): Promise<number> {
  const flux = `from(bucket: "${bucket}") |> range(start: 0) |> filter(fn: (r) => r._field == "latency_slots") |> count() |> group() |> sum()`;
  const { status, text } = await influxCall(influx, `/api/v2/query?org=${org}`, {
    method: 'POST',
    body: JSON.stringify({ query: flux, type: 'flux' }),
  });
  if (status !== 200) throw new Error(`query: ${status} ${text}`);
  return Number(text.trim().split('\n')[1]?.split(',').at(-1));
}

async function intoCassandra(count: number): Promise<FeedRun> {
  const runId = newRunId();
  const keyspace = runId.replaceAll('-', '_');
  const environment = {
    CASSANDRA_HOSTS: hosts,
    CASSANDRA_DC: datacenter,
    CASSANDRA_KEYSPACE: keyspace,
  };
  await setupKairos(loadSettings({ environment, flags: {} }).settings.cassandra, systemClock);
  try {
    const run = await runFeed({ into: 'kairos', runId, votes: votesFor(count), environment });
    const stored = await countCassandra(keyspace);
    if (stored !== count) throw new Error(`Cassandra has ${stored} of ${count} points`);
    return run;
  } finally {
    await dropKeyspace({ hosts: hosts.split(','), datacenter, keyspace });
  }
}

async function countCassandra(keyspace: string): Promise<number> {
  const client = new Client({ contactPoints: hosts.split(','), localDataCenter: datacenter });
  try {
    let count = 0;
    const query = `SELECT column1 FROM "${keyspace}".data_points`;
    for (let pageState: string | undefined; ; ) {
      const page = await client.execute(query, [], {
        fetchSize: 5_000,
        ...(pageState === undefined ? {} : { pageState }),
      });
      count += page.rowLength;
      if (!page.pageState) return count;
      pageState = page.pageState;
    }
  } finally {
    await client.shutdown();
  }
}

async function repeated(measure: () => Promise<number>): Promise<number[]> {
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) rates.push(await measure());
  return rates;
}

const rateOf = (run: FeedRun): number => run.votes / run.seconds;

const paced = await intoInflux(PER_SECOND * seconds, PER_SECOND);
process.stdout.write(
  `InfluxDB, ${number(PER_SECOND)} points/s for ${seconds} s: ${number(paced.votes)} of ${number(paced.votes)} stored (100 %) ` +
    `after ${number(paced.seconds, 1)} s; at most ${number(paced.backlogMax)} waited; ${number(paced.cpuSeconds, 1)} CPU s\n`,
);
const rows = votesFor(flood).map(({ value }) => JSON.parse(value.toString()) as Vote);
const rates = {
  'InfluxDB, as fast as it takes them': await repeated(async () => rateOf(await intoInflux(flood))),
  'Cassandra, as fast as it takes them': await repeated(async () =>
    rateOf(await intoCassandra(flood)),
  ),
  'SQLite, one insert a transaction': await repeated(() =>
    sqliteRate(rows.slice(0, SQLITE_SINGLES), 1),
  ),
  [`SQLite, ${number(SQLITE_BATCH)} a transaction`]: await repeated(() =>
    sqliteRate(rows, SQLITE_BATCH),
  ),
};
const single = spread(rates['SQLite, one insert a transaction'] as number[]).median;
process.stdout.write(
  `Points/s, min / median / max of ${rounds} rounds, all stored and verified:\n`,
);
for (const [name, all] of Object.entries(rates)) {
  const ratio = spread(all).median / single;
  process.stdout.write(
    `  ${name.padEnd(36)} ${show(spread(all)).padEnd(28)} ${number(ratio, 1)} × SQLite's single inserts\n`,
  );
}
warnOfNoise(noise);
writeResults('sinks', noise, {
  paced: {
    pointsPerSecond: PER_SECOND,
    seconds,
    stored: paced.votes,
    storedPercent: 100,
    backlogMax: paced.backlogMax,
    doneAfterSeconds: rounded(paced.seconds),
    cpuSeconds: rounded(paced.cpuSeconds),
  },
  flood,
  rounds,
  pointsPerSecond: Object.fromEntries(
    Object.entries(rates).map(([name, all]) => [name, roundedSpread(spread(all), 0)]),
  ),
  ratiosToSqliteSingles: Object.fromEntries(
    Object.entries(rates).map(([name, all]) => [name, rounded(spread(all).median / single)]),
  ),
});
