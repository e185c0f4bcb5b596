/**
 * Rollup tasks of three processes on one Cassandra: each due run is one process's alone, and when that is killed -9 inside
 * it, one other goes on from the place that was kept, and nobody writes a bucket twice but those behind that place. By
 * what each process counts of its writes, since a bucket written twice lands on itself. The processes' clocks jump, so
 * that nobody waits for what is due, or for a claim to run out.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { cassandraWideRows, setupKairos } from '../../src/databases/kairos/index.ts';
import { minutes, seconds } from '../../src/model/index.ts';
import { dropKeyspace } from '../support/cassandra.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { EngineProcess, getJson } from '../support/engine-process.ts';
import { needs } from '../support/require.ts';
import { newRun, runNames } from '../support/run-names.ts';

const here = needs(['CASSANDRA_HOSTS', 'CASSANDRA_DC']);
const { CASSANDRA_HOSTS = '', CASSANDRA_DC = '' } = process.env;
const script = fileURLToPath(new URL('../support/engine-ahead.ts', import.meta.url));

const JUMP_MS = minutes(25);
/** Due behind the first jump, and again only behind the second. */
const SHORT = { tasks: 8, minutes: 20, bucketMs: seconds(10) };
/** Due behind the second jump, and not again in this test. */
const LONG = { minutes: 40, bucketMs: seconds(2) };
const POLL = { timeout: 90_000, interval: 20 };

interface View {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly doneTo: number | null;
  readonly nextRunAt: number;
  readonly failures: number;
}
interface Counted {
  readonly points: number;
  readonly runs: number;
}
type Values = readonly (readonly [number, number])[];

async function call(url: string, method: string, path: string, body?: object): Promise<string> {
  const reply = await fetch(`${url}/api/v1/${path}`, {
    method,
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await reply.text();
  expect(reply.status, text).toBeLessThan(300);
  return text;
}

async function values(url: string, metric: object, from = 0, to = 1e14): Promise<Values> {
  const query = { start_absolute: from, end_absolute: to, time_zone: 'UTC', metrics: [metric] };
  const { queries } = JSON.parse(await call(url, 'POST', 'datapoints/query', query)) as {
    queries: { results: { values: Values }[] }[];
  };
  return queries[0]?.results[0]?.values ?? [];
}

const sumOf = (bucketMs: number) => ({
  name: 'sum',
  sampling: { value: bucketMs, unit: 'milliseconds' },
});

const taskOf = (name: string, { minutes: value, bucketMs }: typeof LONG) => ({
  name,
  execution_interval: { value, unit: 'minutes' },
  rollups: [
    {
      save_as: name,
      query: {
        start_relative: { value: 1, unit: 'hours' },
        metrics: [{ name: 'in', aggregators: [sumOf(bucketMs)] }],
      },
    },
  ],
});

/** What a process has written in its life. */
async function countedBy(engine: EngineProcess): Promise<Counted> {
  const text = await (await fetch(`${await engine.url()}/metrics`)).text();
  const of = (line: RegExp) => Number(line.exec(text)?.[1] ?? 0);
  return {
    points: of(/^rollup_points_total (\d+)/m),
    runs: of(/^rollup_runs_total\{outcome="done"\} (\d+)/m),
  };
}

const countedByAll = async (engines: readonly EngineProcess[]): Promise<Counted> =>
  (await Promise.all(engines.map(countedBy))).reduce((sum, { points, runs }) => ({
    points: sum.points + points,
    runs: sum.runs + runs,
  }));

const views = async (engine: EngineProcess): Promise<readonly View[]> =>
  (await getJson<{ rollups: View[] }>(`${await engine.url()}/v1/rollups`)).rollups;

/** Resolves when tasks of that name are through with what was due, and none of them has failed. */
async function through(
  engine: EngineProcess,
  name: string,
  { minutes: interval }: typeof LONG,
): Promise<void> {
  const unfinished = async () =>
    (await views(engine)).filter(
      (task) =>
        task.name.startsWith(name) &&
        (task.state !== 'waiting' ||
          task.failures > 0 ||
          task.doneTo !== task.nextRunAt - minutes(interval)),
    );
  await expect.poll(unfinished, POLL).toEqual([]);
}

describe.skipIf(!here)('processes that share a store', () => {
  test('run each rollup task once between them, and go on with that of one that was killed -9', async () => {
    const { keyspace } = runNames(newRun());
    const address = { hosts: CASSANDRA_HOSTS.split(','), datacenter: CASSANDRA_DC, keyspace };
    onTestFinished(() => dropKeyspace(address));
    await setupKairos(address);
    const directories = await Promise.all([1, 2, 3].map(() => temporaryDirectory()));
    const engines = directories.map((data) =>
      EngineProcess.forThisTest({
        data,
        script,
        environment: {
          CASSANDRA_HOSTS,
          CASSANDRA_DC,
          CASSANDRA_KEYSPACE: keyspace,
          JUMP_MS: String(JUMP_MS),
          TIDEMARK_ROLES: 'ingest,sinks,query,api',
          TIDEMARK_ROLLUPS_CHECK_INTERVAL_MS: '100',
          // One at a time, so that there is something left for the others.
          TIDEMARK_ROLLUPS_RUNS_MAX: '1',
        },
      }),
    );
    const [first] = engines as [EngineProcess];
    const [url] = await Promise.all(engines.map((engine) => engine.url()));
    const jump = (some: readonly EngineProcess[]) => {
      for (const engine of some) engine.signal('SIGUSR2');
    };

    const shorts = Array.from({ length: SHORT.tasks }, (_, i) => `short.${i}`);
    for (const name of shorts) await call(url ?? '', 'POST', 'rollups', taskOf(name, SHORT));
    await call(url ?? '', 'POST', 'rollups', taskOf('long', LONG));
    const written = await views(first);
    expect(written).toHaveLength(SHORT.tasks + 1);
    // A point a second, on no edge of a bucket: a bucket's query includes its end, as in KairosDB.
    const edges = [0, ...written.map(({ nextRunAt }) => nextRunAt % 1_000)];
    const offEdges = [...Array(1_000).keys()].find((ms) => !edges.includes(ms)) as number;
    const fromMs = Math.floor(Date.now() / 1_000) * 1_000 + offEdges - minutes(15);
    const points = Array.from({ length: 90 * 60 }, (_, i) => [fromMs + i * 1_000, i]);
    await call(url ?? '', 'POST', 'datapoints', [
      { name: 'in', tags: { host: 'a' }, datapoints: points },
    ]);
    await expect
      .poll(async () => (await values(url ?? '', { name: 'in' })).length, POLL)
      .toBe(points.length);
    expect(await countedByAll(engines)).toEqual({ points: 0, runs: 0 });

    jump(engines);
    await through(first, 'short', SHORT);
    const stored = await Promise.all(
      shorts.map(async (name) => (await values(url ?? '', { name })).length),
    );
    expect(Math.min(...stored)).toBeGreaterThan((minutes(SHORT.minutes) / SHORT.bucketMs) * 0.7);
    expect(await countedByAll(engines)).toEqual({
      points: stored.reduce((sum, count) => sum + count),
      runs: SHORT.tasks,
    });
    const workers = (await Promise.all(engines.map(countedBy))).filter(({ runs }) => runs > 0);
    expect(workers.length).toBeGreaterThan(1);
    for (const { id, name } of written)
      if (name !== 'long') await call(url ?? '', 'DELETE', `rollups/${id}`);

    // Inside its run: by the place that it keeps in the store, after each fifty buckets.
    const rows = cassandraWideRows({ config: address });
    onTestFinished(() => rows.close());
    await rows.connect();
    const { id = '' } = written.find(({ name }) => name === 'long') ?? {};
    const ledger = async () =>
      JSON.parse(
        (await rows.readServiceValue('_Tidemark', 'Rollups', id))?.value ?? '{}',
      ) as Readonly<{ doneMs: number; at?: Record<string, number>; claim?: object }>;
    const before = await Promise.all(engines.map(countedBy));
    jump(engines);
    await expect.poll(async () => (await ledger()).at?.['0'] ?? 0, POLL).toBeGreaterThan(0);
    const now = await Promise.all(engines.map(countedBy));
    const busy = engines.filter((_, i) => now[i]?.points !== before[i]?.points);
    expect(busy).toHaveLength(1);
    const [victim] = busy as [EngineProcess];
    await victim.kill();
    const left = await ledger();
    expect(left).toMatchObject({ doneMs: 0, claim: expect.anything() });
    const place = left.at?.['0'] as number;

    // As long as the claim holds nobody else takes it.
    const others = engines.filter((engine) => engine !== victim);
    const [survivor] = others as [EngineProcess];
    for (const each of others) expect(await views(each)).toMatchObject([{ state: 'running' }]);
    const untouched = await countedByAll(others);
    jump(others);
    await through(survivor, 'long', LONG);
    const made = await values(await survivor.url(), { name: 'long' });
    const after = await countedByAll(others);
    expect(after).toEqual({
      points: untouched.points + made.filter(([ms]) => ms >= place).length,
      runs: untouched.runs + 1,
    });
    expect(made.filter(([ms]) => ms >= place).length).toBeGreaterThan(0);
    expect(made.filter(([ms]) => ms < place).length).toBeGreaterThan(0);

    const [[firstMs] = [0]] = made;
    const summed = { name: 'in', aggregators: [sumOf(LONG.bucketMs)] };
    const lastMs = made.at(-1)?.[0] ?? 0;
    expect(made).toEqual(
      await values(await survivor.url(), summed, firstMs, lastMs + LONG.bucketMs - 1),
    );
    for (const each of others) expect(await each.stop(), each.report).toBe(0);
  });
});
