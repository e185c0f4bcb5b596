/** The running program as its callers see it: over HTTP, from the command line, and by its exit codes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HistoryPoint, LiveEntry, LiveWindow } from '../../src/api/index.ts';
import { partitionOfKey } from '../../src/broker/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { EngineProcess, getJson, settled } from '../support/engine-process.ts';
import { rankError } from '../support/expected-rollups.ts';
import {
  command,
  environment,
  figures,
  PARTITIONS,
  parsed,
  publish,
  replay,
  times,
  truth,
  votes,
  whole,
} from '../support/published-votes.ts';
import type { ExpectedWindow } from '../support/vote-truth.ts';

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
    const names = [
      ...['history', 'kairos.votes', 'kairos.rollups'],
      ...['fleet-history', 'kairos.metrics', 'kairos.metrics-rollups'],
      ...['kairos.points', 'alerts-send-log'],
    ];
    const stored = { points: 0, bytes: 0, dropped: 0, rejected: 0 };
    // An engine that watches itself may have just said something of a busy machine.
    await expect
      .poll(async () => (await getJson<{ sinks: object[] }>(`${url}/v1/backlog`)).sinks)
      .toMatchObject(
        names.map((sink) => ({ sink, ...stored, breaker: 'closed', lastError: null })),
      );
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
