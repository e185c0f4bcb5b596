/** The named queries against a real InfluxDB, over HTTP and as a library call [V6]. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  fleetBuckets,
  InfluxSink,
  setupBuckets,
  voteBuckets,
} from '../../src/databases/influx/index.ts';
import { InfluxReader, type Rollup } from '../../src/index.ts';
import { type Engine, startEngine } from '../../src/main.ts';
import { loadSettings, silentLogger } from '../../src/runtime/index.ts';
import { metricPoint, rollupPoint, votePoint } from '../../topologies/index.ts';
import { INFLUX_NAMES, influxFromEnvironment, uniqueName } from '../support/influx.ts';
import { needs } from '../support/require.ts';

const MINUTES_5 = 300_000;

describe.skipIf(!needs(INFLUX_NAMES))('named queries', () => {
  // The buckets are the real ones, so names of this run's own keep it apart.
  const run = uniqueName('q');
  const network = run.slice(0, 24);
  const slow = `S${run.slice(7)}`;
  const quick = `Q${run.slice(7)}`;
  const host = `h${run}`;
  const cpu = 'metricType=cpu&field=usage_percent';
  const start = Math.floor(Date.now() / MINUTES_5 - 6) * MINUTES_5;
  let engine: Engine;
  let data: string;

  const rollup = (scope: Rollup['scope'], id: string, index: number, p99: number) =>
    rollupPoint({
      window: { start: start + index * MINUTES_5, end: start + (index + 1) * MINUTES_5 },
      scope,
      id,
      network,
      count: 10 + index,
      sum: 30,
      min: 1,
      max: p99,
      mean: 3,
      stddev: 1,
      p50: 2,
      p95: 4,
      p99,
      movingAverage: 3,
      digest: '',
      revision: 0,
      lineage: {
        topic: 'votes',
        partition: 0,
        firstOffset: 0,
        lastOffset: 1,
        late: 0,
        duplicates: 0,
      },
    });

  beforeAll(async () => {
    const config = influxFromEnvironment();
    await setupBuckets(config, [...voteBuckets, ...fleetBuckets]);
    await new InfluxSink({ config, bucket: 'system_metrics_raw' }).write(
      [0, 1].map((index) =>
        metricPoint({
          host,
          region: 'r',
          environment: 'e',
          metricType: 'cpu',
          timestamp: start + index * MINUTES_5,
          fields: { usage_percent: 10 + 10 * index },
        }),
      ),
    );
    await new InfluxSink({ config, bucket: 'vote-latencies-5m' }).write(
      [0, 1, 2].flatMap((index) => [
        rollup('validator', slow, index, index === 1 ? 40 : 5),
        rollup('validator', quick, index, 6),
        rollup('network', network, index, 9),
      ]),
    );
    await new InfluxSink({ config, bucket: 'vote-latencies-raw' }).write(
      [1, 2, 3].map((latency) =>
        votePoint({
          validator: slow,
          voteAccount: quick,
          network: 'testnet',
          votedSlot: 1_000 + latency,
          landedSlot: 1_000 + 2 * latency,
          timestamp: start + latency,
        }),
      ),
    );
    const { INFLUX_URL, INFLUX_ORG, INFLUX_TOKEN } = process.env;
    data = await mkdtemp(join(tmpdir(), 'tidemark-queries-'));
    const { settings } = loadSettings({
      environment: {
        INFLUX_URL,
        INFLUX_ORG,
        INFLUX_TOKEN,
        TIDEMARK_DATA: data,
        TIDEMARK_PORT: '0',
      },
    });
    engine = await startEngine(settings, { roles: ['api'], logger: silentLogger });
  });
  afterAll(async () => {
    await engine?.stop();
    await rm(data, { recursive: true, force: true });
  });

  const ask = async (query: string) => {
    const range = `from=${start}&to=${start + 3 * MINUTES_5}`;
    const response = await fetch(
      `${engine.url}/v1/influx/queries/${query}${query.includes('?') ? '&' : '?'}${range}`,
    );
    expect(response.status).toBe(200);
    return ((await response.json()) as { rows: Record<string, unknown>[] }).rows;
  };

  test('each that is listed answers from what is stored', async () => {
    const listed = await fetch(`${engine.url}/v1/influx/queries`);
    const { queries } = (await listed.json()) as { queries: { name: string }[] };
    const answers = {
      'validator-metrics': await ask(`validator-metrics?id=${slow}&network=${network}`),
      'network-stats': await ask(`network-stats?network=${network}`),
      'slowest-validators': await ask(`slowest-validators?limit=5&network=${network}`),
      'vote-counts': await ask(`vote-counts?network=${network}`),
      'raw-votes': await ask(`raw-votes?id=${slow}&limit=2`),
    };
    const ofFleet = {
      'fleet-status': await ask(`fleet-status?host=${host}`),
      'fleet-trend': await ask(`fleet-trend?host=${host},b&${cpu}`),
      'fleet-compare': await ask(`fleet-compare?host=${host}&${cpu}`),
      'fleet-anomalies': await ask(`fleet-anomalies?host=${host}&${cpu}`),
      'fleet-forecast': await ask(`fleet-forecast?host=${host}&${cpu}&limit=1`),
    };
    expect(Object.keys({ ...answers, ...ofFleet }).sort()).toEqual(
      queries.map(({ name }) => name).sort(),
    );
    // Their numbers are held to the stream's in a file of their own.
    expect(ofFleet['fleet-status']).toMatchObject([
      { host, lastSeen: start + MINUTES_5, cpu: 20, memory: null, disk: null },
    ]);
    expect(ofFleet['fleet-trend']).toEqual([
      { host, tags: {}, start, mean: 10 },
      { host, tags: {}, start: start + MINUTES_5, mean: 20 },
    ]);
    expect(ofFleet['fleet-compare']).toEqual([
      { host, tags: {}, count: 2, mean: 15, min: 10, max: 20 },
    ]);
    expect(ofFleet['fleet-anomalies']).toEqual([]);
    expect(ofFleet['fleet-forecast'].length).toBeLessThanOrEqual(1);
    expect(answers['validator-metrics'].map(({ p99 }) => p99)).toEqual([5, 40, 5]);
    expect(answers['network-stats']).toMatchObject([{ start, network, count: 10, p99: 9 }, {}, {}]);
    expect(answers['slowest-validators']).toEqual([
      { validatorId: slow.slice(0, 8), network, p99: 40, votes: 33 },
      { validatorId: quick.slice(0, 8), network, p99: 6, votes: 33 },
    ]);
    expect(answers['vote-counts'].map(({ votes }) => votes)).toEqual([10, 11, 12]);
    expect(answers['raw-votes']).toMatchObject([
      { timeMs: start + 3, latencySlots: 3, votedSlot: 1_003 },
      { timeMs: start + 2, latencySlots: 2, votedSlot: 1_002 },
    ]);
  });

  test('text in a question is text, whatever is in it', async () => {
    const id = encodeURIComponent('" or true or r.x == "');
    expect(await ask(`validator-metrics?id=${id}`)).toEqual([]);
    expect(await ask(`raw-votes?id=${id}`)).toEqual([]);
    expect(await ask(`fleet-status?host=${id}`)).toEqual([]);
    expect(await ask(`fleet-compare?metricType=cpu&field=${id}`)).toEqual([]);
    expect(await ask(`fleet-compare?step=1h&metricType=cpu&field=${id}`)).toEqual([]);
  });

  test('the library answers the same', async () => {
    const reader = new InfluxReader({ config: influxFromEnvironment() });
    const range = { from: start, to: start + 3 * MINUTES_5, step: '5m' } as const;
    const metrics = await reader.getValidatorMetrics({ ...range, id: slow, network });
    expect(metrics).toEqual(await ask(`validator-metrics?id=${slow}&network=${network}`));
    expect(await reader.ask('slowest-validators', { ...range, network, limit: 1 })).toEqual([
      { validatorId: slow.slice(0, 8), network, p99: 40, votes: 33 },
    ]);
  });
});
