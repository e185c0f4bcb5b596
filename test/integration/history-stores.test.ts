/** History out of a real InfluxDB and out of the engine's own store: the same figures, and one for the other. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { HistoryPoint } from '../../src/api/index.ts';
import { RollupStore } from '../../src/databases/embedded/index.ts';
import { InfluxSink, setupBuckets, voteBuckets } from '../../src/databases/influx/index.ts';
import type { Rollup } from '../../src/index.ts';
import { startEngine } from '../../src/main.ts';
import { loadSettings, silentLogger } from '../../src/runtime/index.ts';
import { TDigest } from '../../src/stats/index.ts';
import { rollupPoint } from '../../topologies/index.ts';
import { INFLUX_NAMES, influxFromEnvironment, uniqueName } from '../support/influx.ts';
import { OutageProxy } from '../support/outage-proxy.ts';
import { needs } from '../support/require.ts';

const STEPS = { '5m': 300_000, '1h': 3_600_000 } as const;
type Step = keyof typeof STEPS;

interface Answer {
  readonly store: string | null;
  readonly points: HistoryPoint[];
}

describe.skipIf(!needs(INFLUX_NAMES))('stores of history', () => {
  // The buckets are the real ones, so names of this run's own keep it apart.
  const run = uniqueName('h').slice(7);
  const network = `h${run}`;
  const validator = `H${run}`;
  const now = Date.now();
  let data: string;

  const rollups = (step: Step): readonly Rollup[] =>
    (['validator', 'network'] as const).flatMap((scope) =>
      [3, 2, 1].map((ago): Rollup => {
        const start = Math.floor(now / STEPS[step] - ago) * STEPS[step];
        const digest = new TDigest();
        for (const latency of [1, 2, 3 + ago]) digest.add(latency);
        return {
          window: { start, end: start + STEPS[step] },
          scope,
          id: scope === 'validator' ? validator : network,
          network,
          ...{ count: 3, sum: 6 + ago, min: 1, max: 3 + ago, mean: (6 + ago) / 3 },
          ...{ stddev: Math.sqrt(ago) / 3, p50: 2, p95: 3 + ago, p99: 3 + ago },
          movingAverage: Math.PI * ago,
          digest: Buffer.from(digest.toBytes()).toString('base64'),
          revision: 0,
          lineage: {
            topic: 'votes',
            ...{ partition: 0, firstOffset: 0, lastOffset: 1, late: 0, duplicates: 0 },
          },
        };
      }),
    );

  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), 'tidemark-history-'));
    const config = influxFromEnvironment();
    await setupBuckets(config, voteBuckets);
    const write = (bucket: string, points: Parameters<InfluxSink['write']>[0]) =>
      new InfluxSink({ config, bucket }).write(points);
    await write(
      'vote-latencies-5m',
      rollups('5m').map((r) => rollupPoint(r)),
    );
    await write(
      'validator-metrics',
      rollups('1h').map((r) => rollupPoint(r, '1h')),
    );
    const store = new RollupStore(join(data, 'rollups'));
    await store.put([...rollups('5m'), ...rollups('1h')]);
    await store.close();
  });
  afterAll(() => rm(data, { recursive: true, force: true }));

  /** An engine that reads where it is told; stopped when the test ends. */
  const engineWith = async (environment: Record<string, string>) => {
    const { INFLUX_URL, INFLUX_ORG, INFLUX_TOKEN } = process.env;
    const { settings } = loadSettings({
      environment: {
        ...{ INFLUX_URL, INFLUX_ORG, INFLUX_TOKEN, TIDEMARK_DATA: data, TIDEMARK_PORT: '0' },
        TIDEMARK_HISTORY_TIMEOUT_MS: '60000',
        ...environment,
      },
    });
    const engine = await startEngine(settings, { roles: ['api'], logger: silentLogger });
    onTestFinished(() => engine.stop());
    return engine;
  };
  const get = async (url: string | undefined, path: string): Promise<Answer> => {
    const reply = await fetch(`${url}${path}from=${now - 86_400_000}&to=${now}`);
    expect(reply.status).toBe(200);
    const { points } = (await reply.json()) as { points: HistoryPoint[] };
    return { store: reply.headers.get('x-tidemark-store'), points };
  };
  const questions = (['5m', '1h'] as const).flatMap((step) => [
    `/v1/validators/${validator}/metrics?step=${step}&`,
    `/v1/networks/${network}/stats?step=${step}&`,
  ]);
  const askAll = (url: string | undefined) => Promise.all(questions.map((path) => get(url, path)));

  test('both give the same windows and figures, but for what InfluxDB has not', async () => {
    const own = await engineWith({});
    const wanted = await askAll(own.url);
    expect(wanted.map(({ store, points }) => [store, points.length])).toEqual(
      questions.map(() => ['embedded', 3]),
    );
    await own.stop();
    const influx = await engineWith({ TIDEMARK_HISTORY_PRIMARY: 'influx' });
    expect(await askAll(influx.url)).toEqual(
      wanted.map(({ points }) => ({
        store: 'influx',
        points: points.map(({ sum: _, revision: __, ...same }) => same),
      })),
    );
    const quantile = await fetch(
      `${influx.url}/v1/quantile?q=0.5&group=network:${network}&from=${now - 86_400_000}`,
    );
    expect(await quantile.json()).toMatchObject({ count: 9, windows: 3 });
  });

  test('when InfluxDB goes the own store answers, and InfluxDB again when it is back', async () => {
    const proxy = new OutageProxy(process.env.INFLUX_URL as string);
    const url = await proxy.start();
    onTestFinished(() => proxy.stop());
    const engine = await engineWith({
      INFLUX_URL: url,
      TIDEMARK_HISTORY_PRIMARY: 'influx',
      TIDEMARK_HISTORY_FALLBACK: 'embedded',
    });
    expect((await get(engine.url, questions[0]!)).store).toBe('influx');
    await proxy.set('refuse');
    // Another question each: an answer is kept for two seconds.
    for (const path of questions.slice(1)) {
      const { store, points } = await get(engine.url, path);
      expect([store, points.length, points[0]?.revision]).toEqual(['embedded', 3, 0]);
    }
    const metrics = await (await fetch(`${engine.url}/metrics`)).text();
    expect(metrics).toMatch(
      /history_fallbacks_total\{primary="influx",code="SINK_UNREACHABLE"\} 3/,
    );
    await proxy.set('none');
    await expect
      .poll(async () => (await get(engine.url, questions[1]!)).store, { timeout: 60_000 })
      .toBe('influx');
  }, 90_000);

  test('a dead port and no fallback: the reason is told, with a 424', async () => {
    const engine = await engineWith({
      INFLUX_URL: 'http://127.0.0.1:9',
      TIDEMARK_HISTORY_PRIMARY: 'influx',
    });
    const reply = await fetch(`${engine.url}/v1/networks/${network}/stats`);
    expect(reply.status).toBe(424);
    expect(await reply.json()).toMatchObject({
      code: 'HISTORY_UNANSWERED',
      detail: expect.stringContaining('influx: InfluxDB at http://127.0.0.1:9 does not answer'),
    });
  });
});
