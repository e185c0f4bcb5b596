/** The running program as its callers see it: over HTTP, from the command line, and by its exit codes. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { HistoryPoint, LiveEntry, LiveWindow, ReplayJob } from '../../src/api/index.ts';
import { partitionOfKey } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { embeddedWideRows } from '../../src/databases/embedded/index.ts';
import { KairosStore } from '../../src/databases/kairos/index.ts';
import { systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { differences, embeddedPoints } from '../support/engine-contents.ts';
import { EngineProcess, getJson, settled } from '../support/engine-process.ts';
import { rankError } from '../support/expected-rollups.ts';
import { type ExpectedWindow, VoteTruth } from '../support/vote-truth.ts';

const PARTITIONS = 2;
const environment = { TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_EPOCH_INTERVAL_MS: '100' };
const tidemark = fileURLToPath(new URL('../../bin/tidemark', import.meta.url));

const votes = [
  ...simulateVotes({
    seed: 31,
    startMs: 1_757_500_000_000,
    validators: 20,
    ratePerSecond: 5,
    count: 30_000,
    lateShare: 0.002,
  }),
];
const parsed = votes.map(
  ({ value }) =>
    JSON.parse(String(value)) as {
      timestamp: number;
      landedSlot: number;
      votedSlot: number;
      validator: string;
    },
);
const truth = new VoteTruth();
for (const { key, value } of votes) truth.add(partitionOfKey(key, PARTITIONS), value);
const times = parsed.map(({ timestamp }) => timestamp);
const whole = `from=${Math.min(...times) - 3_600_000}&to=${Math.max(...times) + 3_600_000}`;

const figures = ({
  count,
  sum,
  min,
  max,
}: {
  count: number;
  sum?: number;
  min: number;
  max: number;
}) => ({
  count,
  sum,
  min,
  max,
});

async function publish(url: string): Promise<void> {
  for (let at = 0; at < votes.length; at += 5_000) {
    const response = await fetch(`${url}/v1/topics/votes/records`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: votes
        .slice(at, at + 5_000)
        .map(({ value }) => String(value))
        .join('\n'),
    });
    expect(response.status, await response.text()).toBe(200);
  }
}

async function replay(url: string, request: object): Promise<ReplayJob> {
  const response = await fetch(`${url}/v1/replays`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  const text = await response.text();
  expect(response.status, text).toBe(202);
  const { id } = JSON.parse(text) as ReplayJob;
  let before = -1;
  for (let tries = 0; tries < 600; tries++) {
    const job = await getJson<ReplayJob>(`${url}/v1/replays/${id}`);
    expect(job.progress.done).toBeGreaterThanOrEqual(before);
    before = job.progress.done;
    if (job.state !== 'running') return job;
    await systemClock.sleep(50);
  }
  throw new Error(`replay ${id} does not end`);
}

/** Runs a command of the program; its exit code and what it printed. */
function command(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [tidemark, ...words],
      { env: { PATH: process.env.PATH }, timeout: 60_000 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

describe('a running engine', () => {
  let data: string;
  let engine: EngineProcess;
  let url: string;

  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), 'tidemark-http-'));
    engine = new EngineProcess({ data, environment });
    url = await engine.url();
    await publish(url);
    await settled([engine]);
  });
  afterAll(async () => {
    await engine.kill();
    await rm(data, { recursive: true, force: true });
  });

  const closedOf = (of: (window: ExpectedWindow) => boolean) =>
    truth.windows().filter((window) => window.closed && window.count > 0 && of(window));

  test('is healthy and ready', async () => {
    expect(await getJson(`${url}/health`)).toMatchObject({ status: 'ok', reasons: [] });
    expect(await getJson(`${url}/ready`)).toMatchObject({ status: 'ready', reasons: [] });
  });

  test('tells of each topic how far it goes, in offsets and in event time', async () => {
    const { topics } = await getJson<{
      topics: {
        name: string;
        partitions: { partition: number; nextOffset: number; watermark: number }[];
      }[];
    }>(`${url}/v1/topics`);
    const found = topics.find(({ name }) => name === 'votes')?.partitions;
    const wanted = Array.from({ length: PARTITIONS }, (_, partition) => {
      const own = votes.flatMap(({ key }, i) =>
        partitionOfKey(key, PARTITIONS) === partition ? [times[i] as number] : [],
      );
      return { partition, firstOffset: 0, nextOffset: own.length, watermark: Math.max(...own) };
    });
    expect(found).toEqual(wanted);
    expect(topics.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'votes.late',
        'votes.rollup.5m',
        'votes.rollup.1h',
        'votes.rollup.1d',
      ]),
    );
    expect(topics.filter(({ name }) => name.startsWith('tidemark.'))).toEqual([]);
  });

  test('answers live with the newest open and the last closed window of every validator', async () => {
    const { validators } = await getJson<{ validators: LiveEntry[] }>(
      `${url}/v1/live/validators?sort=id&limit=100`,
    );
    const ids = [...new Set(parsed.map(({ validator }) => validator))].sort();
    expect(validators.map(({ id }) => id)).toEqual(ids);
    for (const id of ids) {
      const own = truth.windows().filter((w) => w.validator === id && w.count > 0);
      const open = own.filter((w) => !w.closed).at(-1);
      const closed = own.filter((w) => w.closed).at(-1) as ExpectedWindow;
      const entry = await getJson<LiveEntry>(`${url}/v1/live/validators/${id}`);
      expect(entry).toEqual(validators.find((v) => v.id === id));
      expect(entry.open === null ? undefined : figures(entry.open)).toEqual(open && figures(open));
      if (open !== undefined)
        expect(entry.open).toMatchObject({
          window: { start: open.start, end: open.end },
          final: false,
        });
      expect(figures(entry.closed as LiveWindow)).toEqual(figures(closed));
      expect(entry.closed).toMatchObject({
        window: { start: closed.start, end: closed.end },
        final: true,
      });
      expect(entry.voteAccount).toBe(closed.voteAccount);
      const slots = parsed
        .filter(({ validator }) => validator === id)
        .map(({ votedSlot }) => votedSlot);
      expect(entry.lastSlot).toBe(Math.max(...slots));
    }
    const { status } = await fetch(`${url}/v1/live/validators/nobody`);
    expect(status).toBe(404);
  });

  test('answers live for a network over all partitions', async () => {
    const entry = await getJson<LiveEntry>(`${url}/v1/live/networks/testnet`);
    const newest = Math.max(...truth.windows().map(({ start }) => start));
    const open = truth.windows().filter((w) => w.start === newest && !w.closed);
    expect(entry.open?.count).toBe(open.reduce((sum, { count }) => sum + count, 0));
    expect(entry.asOf.offset).toBe(votes.length);
    expect(entry.closed?.final).toBe(true);
  });

  test('gives the history of a validator and of a network as they were rolled up', async () => {
    const { validator } = parsed[0] as { validator: string };
    const { points } = await getJson<{ points: HistoryPoint[] }>(
      `${url}/v1/validators/${validator}/metrics?${whole}&step=5m`,
    );
    const wanted = closedOf((window) => window.validator === validator);
    expect(points.map(({ window }) => window.start)).toEqual(wanted.map(({ start }) => start));
    expect(points.map(figures)).toEqual(wanted.map(figures));

    const network = await getJson<{ points: HistoryPoint[] }>(
      `${url}/v1/networks/testnet/stats?${whole}&step=5m`,
    );
    const starts = network.points.map(({ window }) => window.start);
    expect(starts.length).toBeGreaterThan(5);
    for (const point of network.points) {
      const parts = closedOf(({ start }) => start === point.window.start);
      expect(point.count).toBe(parts.reduce((sum, { count }) => sum + count, 0));
      expect(point.sum).toBe(parts.reduce((sum, part) => sum + part.sum, 0));
    }
    const hours = await getJson<{ points: HistoryPoint[] }>(
      `${url}/v1/networks/testnet/stats?${whole}&step=1h`,
    );
    expect(hours.points.length).toBeGreaterThan(0);
    // Half-open on window starts.
    const [first, second] = starts as [number, number];
    const one = await getJson<{ points: HistoryPoint[] }>(
      `${url}/v1/networks/testnet/stats?from=${first}&to=${second}`,
    );
    expect(one.points.map(({ window }) => window.start)).toEqual([first]);
  });

  test('gives any quantile of any range within a rank error of 0.01', async () => {
    const network = await getJson<{ points: HistoryPoint[] }>(
      `${url}/v1/networks/testnet/stats?${whole}&step=5m`,
    );
    const last = network.points.at(-1)?.window.end as number;
    const first = network.points[0]?.window.start as number;
    const seen = new Set<string>();
    const late = truth.totals().late;
    const latencies: number[] = [];
    for (const [i, vote] of parsed.entries()) {
      const line = String(votes[i]?.value);
      if (vote.timestamp >= last || vote.timestamp < first || seen.has(line)) continue;
      seen.add(line);
      latencies.push(vote.landedSlot - vote.votedSlot);
    }
    for (const q of [0.5, 0.9, 0.95, 0.99]) {
      const answer = await getJson<{ value: number; count: number }>(
        `${url}/v1/quantile?q=${q}&${whole}&group=network:testnet`,
      );
      expect(latencies.length - answer.count).toBeLessThanOrEqual(late);
      expect(rankError(latencies, q, answer.value)).toBeLessThanOrEqual(0.01);
    }
    const nothing = await getJson(`${url}/v1/quantile?q=0.5&${whole}&group=network:devnet`);
    expect(nothing).toMatchObject({ value: null, count: 0, windows: 0 });
  });

  test('has no backlog once all is stored', async () => {
    const { sinks } = await getJson<{ sinks: { sink: string }[] }>(`${url}/v1/backlog`);
    expect(sinks.map(({ sink }) => sink)).toEqual([
      ...['history', 'kairos.votes', 'kairos.rollups'],
      ...['fleet-history', 'kairos.metrics', 'kairos.metrics-rollups'],
      ...['kairos.points', 'alerts-send-log'],
    ]);
    for (const sink of sinks)
      expect(sink).toMatchObject({
        points: 0,
        bytes: 0,
        dropped: 0,
        rejected: 0,
        breaker: 'closed',
        lastError: null,
      });
  });

  test('replays into a named sink and changes nothing of what a right replay finds', async () => {
    const path = `${url}/v1/networks/testnet/stats?${whole}&step=5m`;
    const before = await getJson(path);
    const job = await replay(url, { name: 'vote-latency', from: { offset: 0 }, into: ['history'] });
    expect(job).toMatchObject({
      state: 'done',
      error: null,
      into: ['history'],
      progress: { done: votes.length, total: votes.length },
    });
    expect(await getJson(path)).toEqual(before);
  });

  test('finds no difference between a replay and what is stored, from the command line beside the engine', async () => {
    const { code, stdout, stderr } = await command(
      'replay',
      'vote-latency',
      '--from',
      '0',
      '--diff',
      '--data',
      data,
    );
    expect(stdout, stderr).toMatch(/^compared \d{3,}, different 0\n$/);
    expect(code).toBe(0);
  });

  test('refuses a second program on its directory, and says where the first one is', async () => {
    const { code, stderr } = await command('up', '--data', data, '--port', '0');
    expect(code).toBe(1);
    expect(stderr).toContain('DIRECTORY_IN_USE');
    expect(stderr).toContain(data);
  });

  test('refuses a port that another program has, and says how to mend it', async () => {
    const { port } = new URL(url);
    const { code, stderr } = await command(
      'up',
      '--data',
      await temporaryDirectory(),
      '--port',
      port,
    );
    expect(code).toBe(1);
    expect(stderr).toContain(`Port ${port} of 127.0.0.1 is in use`);
    expect(stderr).toContain('[PORT_IN_USE]');
    expect(stderr).not.toContain('    at ');
  });
});

test('a replay into the KairosDB store brings back what was deleted, point by point', async () => {
  const data = await temporaryDirectory();
  const first = EngineProcess.forThisTest({ data, environment });
  await publish(await first.url());
  await settled([first]);
  expect(await first.stop(), first.report).toBe(0);
  const before = await embeddedPoints(data);
  expect(before.size).toBeGreaterThan(25_000);

  const store = new KairosStore({
    rows: embeddedWideRows({ dataDirectory: data, clock: systemClock }),
  });
  await store.connect();
  await store.deleteMetric('vote_latency');
  await store.deleteMetric('vote_latency.p99');
  await store.close();
  expect((await embeddedPoints(data)).size).toBeLessThan(before.size / 2);

  const second = EngineProcess.forThisTest({ data, environment });
  const url = await second.url();
  const votesAgain = await replay(url, { name: 'kairos.votes', from: { offset: 0 } });
  expect(votesAgain).toMatchObject({ state: 'done', into: ['kairos.votes'] });
  const rollupsAgain = await replay(url, {
    name: 'vote-latency',
    from: { offset: 0 },
    into: ['kairos.rollups'],
  });
  expect(rollupsAgain.state).toBe('done');
  expect(await second.stop(), second.report).toBe(0);
  expect(differences(await embeddedPoints(data), before)).toEqual([]);
});

test('a replay shows what another grace period would have changed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-mine-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'mine.ts');
  const write = (graceMs: number) =>
    writeFile(
      file,
      `import { closed, integer, recordCodec, summary, text, topology, tumbling, window } from 'tidemark';
       const votes = recordCodec({
         name: 'vote',
         timestamp: 'timestamp',
         fields: { network: text({ maxBytes: 7 }), votedSlot: integer({ min: 0 }), timestamp: integer({ min: 0 }) },
       });
       export default topology('mine', ({ source }) => {
         source('votes', votes)
           .pipe('five minutes', window({
             by: ['network'],
             windows: tumbling({ sizeMs: 300_000, graceMs: ${graceMs} }),
             aggregate: summary('votedSlot'),
           }))
           .pipe('results', closed(({ key: [network], start, end, state }) => ({ network, window: { start, end }, count: state.count })))
           .to('votes.counted', { key: (row) => row.network, value: (row) => JSON.stringify(row) });
       });
      `,
    );
  const data = await temporaryDirectory();
  const flags = ['--topology', file];
  const diff = () => command('replay', 'mine', '--from', '0', '--diff', '--data', data);

  await write(30_000);
  const first = EngineProcess.forThisTest({ data, flags });
  await publish(await first.url());
  await settled([first]);
  const same = await diff();
  expect(same.stdout, same.stderr).toMatch(/^compared \d{2,}, different 0\n$/);
  expect(same.code).toBe(0);
  expect(await first.stop(), first.report).toBe(0);

  await write(900_000);
  const second = EngineProcess.forThisTest({ data, flags });
  await second.url();
  await settled([second]);
  const changed = await diff();
  expect(changed.stdout, changed.stderr).toMatch(/^compared \d{2,}, different [1-9]\d*\n$/);
  expect(changed.code).toBe(1);
});

test('SIGTERM in the middle of the work drains and exits 0; the next start goes on where it ended', async () => {
  const data = await temporaryDirectory();
  const first = EngineProcess.forThisTest({ data, environment });
  await publish(await first.url());
  expect(await first.stop(), first.report).toBe(0);

  const second = EngineProcess.forThisTest({ data, environment });
  const url = await second.url();
  await settled([second]);
  const { points } = await getJson<{ points: HistoryPoint[] }>(
    `${url}/v1/validators/${parsed[0]?.validator}/metrics?${whole}&step=5m`,
  );
  const wanted = truth
    .windows()
    .filter((w) => w.closed && w.count > 0 && w.validator === parsed[0]?.validator);
  expect(points.map(figures)).toEqual(wanted.map(figures));
});
