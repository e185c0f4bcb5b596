/**
 * Queries on a Java KairosDB and on Tidemark, side by side: on one keyspace of one Cassandra, and the embedded store
 * against Java on H2. 1,000 series in 20 groups, a day and a week, percentile and sum by tag; both answer the same
 * questions in turn, and their answers are compared. What Cassandra alone needs for the same cells is the floor of both.
 * `npm run bench -- kairos query [--queries N] [--series N] [--step-seconds N] [--embedded] [--cassandra]`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { cassandraWideRows, KairosStore, setupKairos } from '../../src/databases/kairos/index.ts';
import type { DataPoint } from '../../src/model/index.ts';
import { dropKeyspace, type KeyspaceAddress } from '../../test/support/cassandra.ts';
import { type JavaKairos, startJavaKairos } from '../../test/support/java-kairosdb.ts';
import { benchArguments, required } from '../support/arguments.ts';
import { number, percentile, rounded } from '../support/figures.ts';
import { noiseNow, warnOfNoise, writeResults } from '../support/results.ts';
import { type CellSlice, countingMs } from './floors.ts';
import { cpuSeconds, type Memory, residentMemory } from './processes.ts';
import { startTidemark, type TidemarkProcess } from './tidemark-process.ts';

const METRIC = 'bench.query';
const DAY_MS = 86_400_000;
const GROUPS = 20;
/** A Monday, in the middle of a row of three weeks. */
const WEEK_START = Date.UTC(2026, 0, 12);
/** Points of one write. */
const WRITE_POINTS = 20_000;

const options = benchArguments({ queries: 20, series: 1_000, 'step-seconds': 300 }, [
  'cassandra',
  'embedded',
]);
const queries = options.number('queries');
const series = options.number('series');
const stepMs = options.number('step-seconds') * 1_000;
const both = !options.flag('cassandra') && !options.flag('embedded');
const noise = noiseNow();

interface Contender {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
}

interface Shape {
  readonly name: string;
  readonly aggregator: object;
  readonly days: number;
}

const shapes: readonly Shape[] = [1, 7].flatMap((days) =>
  [
    { name: 'sum', aggregator: { name: 'sum' } },
    { name: 'percentile', aggregator: { name: 'percentile', percentile: 0.95 } },
  ].map(({ name, aggregator }) => ({
    name: `${name}, ${days === 1 ? 'a day' : 'a week'}`,
    days,
    aggregator: { ...aggregator, sampling: { value: 1, unit: 'hours' }, align_start_time: true },
  })),
);

/** All points of the week, series by series: how they came in makes no difference to who reads them. */
function* batches(): Generator<DataPoint[]> {
  const tags = Array.from({ length: series }, (_, n) => ({
    host: `host-${n}`,
    group: `group-${n % GROUPS}`,
    region: n % 2 === 0 ? 'east' : 'west',
  }));
  let batch: DataPoint[] = [];
  for (const [n, each] of tags.entries()) {
    for (let at = WEEK_START; at < WEEK_START + 7 * DAY_MS; at += stepMs) {
      const value = Math.round((50 + 40 * Math.sin(at / 3_600_000 + n)) * 1_000) / 1_000;
      batch.push({ metric: METRIC, tags: each, timestampMs: at + (n % 1_000), value });
      if (batch.length === WRITE_POINTS) {
        yield batch;
        batch = [];
      }
    }
  }
  if (batch.length > 0) yield batch;
}

async function ask({ url }: Contender, { aggregator, days }: Shape, shiftMs: number) {
  const body = JSON.stringify({
    start_absolute: WEEK_START + shiftMs,
    end_absolute: WEEK_START + shiftMs + days * DAY_MS - 1,
    time_zone: 'UTC',
    metrics: [
      { name: METRIC, aggregators: [aggregator], group_by: [{ name: 'tag', tags: ['group'] }] },
    ],
  });
  const beganAt = performance.now();
  const response = await fetch(`${url}/api/v1/datapoints/query`, { method: 'POST', body });
  const text = await response.text();
  const ms = performance.now() - beganAt;
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${text}`);
  return { ms, text };
}

/** Until the last point of each series is found: writes of the Java server are done later. */
async function filled({ url }: Contender): Promise<void> {
  const body = JSON.stringify({
    start_absolute: WEEK_START,
    end_absolute: WEEK_START + 7 * DAY_MS - 1,
    metrics: [
      { name: METRIC, aggregators: [{ name: 'count', sampling: { value: 1, unit: 'years' } }] },
    ],
  });
  const wanted = series * Math.ceil((7 * DAY_MS) / stepMs);
  for (;;) {
    const response = await fetch(`${url}/api/v1/datapoints/query`, { method: 'POST', body });
    const answer = (await response.json()) as { queries: { sample_size: number }[] };
    const found = answer.queries[0]?.sample_size ?? 0;
    if (found === wanted) return;
    process.stdout.write(`  ${number(found)} of ${number(wanted)} points\n`);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
}

interface Figures {
  readonly ms: number[];
  cpuSeconds: number;
}

const zeroed = (): Figures => ({ ms: [], cpuSeconds: 0 });

/** One contender after the other, with the same questions; the first of each shape only warms up. */
async function compare(title: string, java: Contender, ours: Contender): Promise<object> {
  const rows: Record<string, object> = {};
  process.stdout.write(`${title}\n`);
  for (const shape of shapes) {
    const [javas, own] = [zeroed(), zeroed()];
    for (let n = -2; n < queries; n++) {
      // A different hour each time, so that nobody answers from memory; a week has no room for that.
      const shiftMs = shape.days === 7 ? 0 : (((n + 2) * 7) % 144) * 3_600_000;
      const answers: unknown[] = [];
      for (const [contender, figures] of [
        [java, javas],
        [ours, own],
      ] as const) {
        const before = cpuSeconds(contender.pid);
        const { ms, text } = await ask(contender, shape, shiftMs);
        answers.push(JSON.parse(text));
        if (n < 0) continue;
        figures.ms.push(ms);
        figures.cpuSeconds += cpuSeconds(contender.pid) - before;
      }
      if (n <= 0 && !isDeepStrictEqual(answers[0], answers[1])) {
        throw new Error(`${shape.name}: the answers differ`);
      }
    }
    const line = (figures: Figures) => {
      const sorted = [...figures.ms].sort((a, b) => a - b);
      return {
        p50Ms: rounded(percentile(sorted, 0.5), 1),
        p95Ms: rounded(percentile(sorted, 0.95), 1),
        cpuMs: rounded((figures.cpuSeconds / queries) * 1_000, 1),
      };
    };
    const [a, b] = [line(javas), line(own)];
    const ratios = {
      p50: rounded(b.p50Ms / a.p50Ms, 3),
      p95: rounded(b.p95Ms / a.p95Ms, 3),
      cpu: rounded(b.cpuMs / a.cpuMs, 3),
    };
    rows[shape.name] = { java: a, tidemark: b, ratios };
    process.stdout.write(
      `  ${shape.name.padEnd(20)} P50 ${number(a.p50Ms)} → ${number(b.p50Ms)} ms (${ratios.p50})  ` +
        `P95 ${number(a.p95Ms)} → ${number(b.p95Ms)} ms (${ratios.p95})  ` +
        `CPU ${number(a.cpuMs)} → ${number(b.cpuMs)} ms (${ratios.cpu})\n`,
    );
  }
  const memory = { java: residentMemory(java.pid), tidemark: residentMemory(ours.pid) };
  const ratio = (of: keyof Memory) => rounded(memory.tidemark[of] / memory.java[of], 3);
  const ratios = { now: ratio('nowMiB'), peak: ratio('peakMiB') };
  process.stdout.write(
    `  resident             ${memory.java.nowMiB} → ${memory.tidemark.nowMiB} MiB (${ratios.now})  ` +
      `at most ${memory.java.peakMiB} → ${memory.tidemark.peakMiB} MiB (${ratios.peak})\n`,
  );
  return { queries: rows, memory: { ...memory, ratios } };
}

async function withBoth<T>(
  java: Parameters<typeof startJavaKairos>[0]['store'],
  environment: Readonly<Record<string, string>>,
  body: (java: JavaKairos, ours: TidemarkProcess) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-'));
  const started: { stop(): Promise<unknown> }[] = [];
  try {
    const ours = await startTidemark({
      directory: join(directory, 'tidemark'),
      environment: { ...environment, TIDEMARK_TELNET_PORT: '0' },
    });
    started.push(ours);
    const theirs = await startJavaKairos({ directory: join(directory, 'java'), store: java });
    started.push(theirs);
    return await body(theirs, ours);
  } finally {
    for (const each of started) await each.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** How long Cassandra takes to count the cells that a query of so many days reads. */
async function floors(config: KeyspaceAddress, store: KairosStore): Promise<object> {
  const found: Record<string, object> = {};
  for (const days of [1, 7]) {
    const slices: CellSlice[] = [];
    const range = { fromMs: WEEK_START, toMs: WEEK_START + days * DAY_MS };
    const column = (offsetMs: number) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(offsetMs);
      return bytes;
    };
    for await (const page of store.findRows({ metric: METRIC, ...range })) {
      for (const { key, row } of page) {
        const first = column(range.fromMs - row.rowTimeMs);
        const last = column(range.toMs - 1 - row.rowTimeMs);
        slices.push({ key, first, last });
      }
    }
    const cells = series * Math.ceil((days * DAY_MS) / stepMs);
    const ms = await countingMs(config, slices, { cells, times: queries });
    const sorted = ms.sort((a, b) => a - b);
    const [p50Ms, p95Ms] = [0.5, 0.95].map((q) => rounded(percentile(sorted, q), 1));
    const name = days === 1 ? 'a day' : 'a week';
    found[name] = { p50Ms, p95Ms };
    process.stdout.write(
      `  floor, ${name.padEnd(13)} P50 ${number(p50Ms as number)} ms  P95 ${number(p95Ms as number)} ms: Cassandra counts the same cells\n`,
    );
  }
  return found;
}

async function onCassandra(): Promise<object> {
  const hosts = required('CASSANDRA_HOSTS').split(',');
  const datacenter = required('CASSANDRA_DC');
  const keyspace = `bench_kairos_${Date.now().toString(36)}`;
  const config = { hosts, datacenter, keyspace };
  await setupKairos(config);
  const store = new KairosStore({ rows: cassandraWideRows({ config }) });
  try {
    await store.connect();
    for (const batch of batches()) {
      const rejections = await store.write(batch);
      if (rejections.length > 0) throw new Error(rejections[0]?.message);
    }
    const environment = {
      CASSANDRA_HOSTS: hosts.join(','),
      CASSANDRA_DC: datacenter,
      CASSANDRA_KEYSPACE: keyspace,
    };
    return await withBoth({ hosts, keyspace }, environment, async (java, ours) => {
      const compared = await compare(
        'On one keyspace of one Cassandra, Java → Tidemark:',
        { name: 'java', ...java },
        { name: 'tidemark', ...ours },
      );
      return { ...compared, floor: await floors(config, store) };
    });
  } finally {
    await store.close();
    await dropKeyspace(config);
  }
}

async function embedded(): Promise<object> {
  return withBoth('h2', {}, async (java, ours) => {
    for (const { url } of [java, ours]) {
      for (const batch of batches()) {
        const body = JSON.stringify(
          batch.map(({ metric, tags, timestampMs, value }) => ({
            name: metric,
            tags,
            datapoints: [[timestampMs, value, 'double']],
          })),
        );
        const response = await fetch(`${url}/api/v1/datapoints`, { method: 'POST', body });
        if (response.status !== 204) throw new Error(await response.text());
      }
      await filled({ name: '', url, pid: 0 });
    }
    return compare(
      'Each on its own disk, Java on H2 → Tidemark embedded:',
      { name: 'java', ...java },
      { name: 'tidemark', ...ours },
    );
  });
}

warnOfNoise(noise);
process.stdout.write(
  `${number(series)} series, a point every ${stepMs / 1_000} s: ${number(series * Math.ceil((7 * DAY_MS) / stepMs))} points; ${queries} queries a shape\n`,
);
const setup = { series, stepMs, queries };
if (both || options.flag('cassandra')) {
  writeResults('kairos-query-cassandra', noise, { ...setup, ...(await onCassandra()) });
}
if (both || options.flag('embedded')) {
  writeResults('kairos-query-embedded', noise, { ...setup, ...(await embedded()) });
}
