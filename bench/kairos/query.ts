/**
 * Queries on a Java KairosDB and on Tidemark, side by side: on one keyspace of one Cassandra, and the embedded store
 * against Java on H2. 1,000 series in 20 groups, a day and a week, percentile and sum by tag; all answer the same
 * questions in turn, and their answers are compared. What Cassandra alone needs for the same cells is the floor of all.
 * Each question is about a time one point of each series later than the one before, as a dashboard's that is open. On
 * Cassandra a second Tidemark answers them with the cell cache on, after the same two questions of each shape to warm up.
 * `npm run bench -- kairos query [--queries N] [--series N] [--step-seconds N] [--embedded] [--cassandra]`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { cassandraWideRows, KairosStore, setupKairos } from '../../src/databases/kairos/index.ts';
import type { DataPoint } from '../../src/model/index.ts';
import { dropKeyspace, type KeyspaceAddress } from '../../test/support/cassandra.ts';
import { startJavaKairos } from '../../test/support/java-kairosdb.ts';
import { benchArguments, required } from '../support/arguments.ts';
import { number, percentile, rounded } from '../support/figures.ts';
import { noiseNow, warnOfNoise, writeResults } from '../support/results.ts';
import { type CellSlice, countingMs } from './floors.ts';
import { cpuSeconds, type Memory, residentMemory } from './processes.ts';
import { startTidemark } from './tidemark-process.ts';

const METRIC = 'bench.query';
const DAY_MS = 86_400_000;
const GROUPS = 20;
/** A Monday, in the middle of a row of three weeks. */
const WEEK_START = Date.UTC(2026, 0, 12);
const CACHED = 'tidemarkCached';
const CELL_CACHE = { CASSANDRA_CELL_CACHE_BYTES_MAX: String(64 * 1_024 * 1_024) };
/** Questions of each shape before those that count. */
const WARM_UPS = 2;
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
  /** Of its figures to Java's, among the results. */
  readonly ratiosName: string;
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

/** Of one series: a week, and one for each question. */
const POINTS = Math.ceil((7 * DAY_MS) / stepMs) + shapes.length * (WARM_UPS + queries);
const DATA_END = WEEK_START + POINTS * stepMs;

/** All points of the week and of what questions move on by, series by series: how they came in makes no difference to who reads them. */
function* batches(): Generator<DataPoint[]> {
  const tags = Array.from({ length: series }, (_, n) => ({
    host: `host-${n}`,
    group: `group-${n % GROUPS}`,
    region: n % 2 === 0 ? 'east' : 'west',
  }));
  let batch: DataPoint[] = [];
  for (const [n, each] of tags.entries()) {
    for (let at = WEEK_START; at < DATA_END; at += stepMs) {
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
    end_absolute: DATA_END - 1,
    metrics: [
      { name: METRIC, aggregators: [{ name: 'count', sampling: { value: 1, unit: 'years' } }] },
    ],
  });
  const wanted = series * POINTS;
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
  /** Of the first question of its shape, which does not count: what a cache has not seen. */
  firstMs: number;
  readonly ms: number[];
  cpuSeconds: number;
}

const zeroed = (): Figures => ({ firstMs: 0, ms: [], cpuSeconds: 0 });

/** One contender after the other, with the same questions; the first two of each shape only warm up. */
async function compare(
  title: string,
  java: Contender,
  ours: readonly Contender[],
): Promise<object> {
  const rows: Record<string, object> = {};
  const contenders = [java, ...ours];
  process.stdout.write(`${title}\n`);
  for (const [at, shape] of shapes.entries()) {
    const figures = contenders.map(zeroed);
    for (let n = -WARM_UPS; n < queries; n++) {
      // A time that no question before was about, so that everybody has to read something.
      const shiftMs = (at * (WARM_UPS + queries) + WARM_UPS + n) * stepMs;
      const answers: unknown[] = [];
      for (const [i, contender] of contenders.entries()) {
        const before = cpuSeconds(contender.pid);
        const { ms, text } = await ask(contender, shape, shiftMs);
        answers.push(JSON.parse(text));
        const own = figures[i] as Figures;
        if (n === -WARM_UPS) own.firstMs = ms;
        if (n < 0) continue;
        own.ms.push(ms);
        own.cpuSeconds += cpuSeconds(contender.pid) - before;
      }
      if (n > 0) continue;
      for (const answer of answers) {
        if (!isDeepStrictEqual(answers[0], answer)) {
          throw new Error(`${shape.name}: the answers differ`);
        }
      }
    }
    const line = ({ firstMs, ms, cpuSeconds }: Figures) => {
      const sorted = [...ms].sort((a, b) => a - b);
      return {
        firstMs: rounded(firstMs, 1),
        p50Ms: rounded(percentile(sorted, 0.5), 1),
        p95Ms: rounded(percentile(sorted, 0.95), 1),
        cpuMs: rounded((cpuSeconds / queries) * 1_000, 1),
      };
    };
    const a = line(figures[0] as Figures);
    const row: Record<string, object> = { java: a };
    for (const [i, { name, ratiosName }] of ours.entries()) {
      const b = line(figures[i + 1] as Figures);
      const ratios = {
        p50: rounded(b.p50Ms / a.p50Ms, 3),
        p95: rounded(b.p95Ms / a.p95Ms, 3),
        cpu: rounded(b.cpuMs / a.cpuMs, 3),
      };
      row[name] = b;
      row[ratiosName] = ratios;
      process.stdout.write(
        `  ${labelOf(shape.name, name)} P50 ${number(a.p50Ms)} → ${number(b.p50Ms)} ms (${ratios.p50})  ` +
          `P95 ${number(a.p95Ms)} → ${number(b.p95Ms)} ms (${ratios.p95})  ` +
          `CPU ${number(a.cpuMs)} → ${number(b.cpuMs)} ms (${ratios.cpu})\n`,
      );
    }
    rows[shape.name] = row;
  }
  const javas = residentMemory(java.pid);
  const memory: Record<string, object> = { java: javas };
  for (const { name, ratiosName, pid } of ours) {
    const own = residentMemory(pid);
    const ratio = (of: keyof Memory) => rounded(own[of] / javas[of], 3);
    const ratios = { now: ratio('nowMiB'), peak: ratio('peakMiB') };
    memory[name] = own;
    memory[ratiosName] = ratios;
    process.stdout.write(
      `  ${labelOf('resident', name)} ${javas.nowMiB} → ${own.nowMiB} MiB (${ratios.now})  ` +
        `at most ${javas.peakMiB} → ${own.peakMiB} MiB (${ratios.peak})\n`,
    );
  }
  return { queries: rows, memory };
}

const labelOf = (what: string, name: string): string =>
  `${what}${name === CACHED ? ', cells cached' : ''}`.padEnd(34);

async function withBoth<T>(
  java: Parameters<typeof startJavaKairos>[0]['store'],
  environment: Readonly<Record<string, string>>,
  body: (java: Contender, ours: readonly Contender[]) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-'));
  const started: { stop(): Promise<unknown> }[] = [];
  try {
    const ours: Contender[] = [];
    const start = async (name: string, ratiosName: string, more: Record<string, string>) => {
      const tidemark = await startTidemark({
        directory: join(directory, name),
        environment: { ...environment, ...more, TIDEMARK_TELNET_PORT: '0' },
      });
      started.push(tidemark);
      ours.push({ name, ratiosName, url: tidemark.url, pid: tidemark.pid });
    };
    await start('tidemark', 'ratios', {});
    if (java !== 'h2') await start(CACHED, 'ratiosCached', CELL_CACHE);
    const theirs = await startJavaKairos({ directory: join(directory, 'java'), store: java });
    started.push(theirs);
    return await body({ name: 'java', ratiosName: '', url: theirs.url, pid: theirs.pid }, ours);
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
        java,
        ours,
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
    for (const contender of [java, ...ours]) {
      const { url } = contender;
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
      await filled(contender);
    }
    return compare('Each on its own disk, Java on H2 → Tidemark embedded:', java, ours);
  });
}

warnOfNoise(noise);
process.stdout.write(
  `${number(series)} series, a point every ${stepMs / 1_000} s: ${number(series * POINTS)} points; ${queries} queries a shape\n`,
);
const setup = { series, stepMs, queries };
if (both || options.flag('cassandra')) {
  writeResults('kairos-query-cassandra', noise, { ...setup, ...(await onCassandra()) });
}
if (both || options.flag('embedded')) {
  writeResults('kairos-query-embedded', noise, { ...setup, ...(await embedded()) });
}
