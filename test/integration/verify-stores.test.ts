/**
 * `tidemark verify` of what is neither votes in KairosDB nor votes in InfluxDB: the engine's own stores, the fleet
 * wherever it is kept, and what clients sent to KairosDB's doors.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulateFleet, simulateVotes } from '../../src/collect/index.ts';
import {
  type FleetEntry,
  FleetStore,
  type KeptRollup,
  RollupStore,
} from '../../src/databases/embedded/index.ts';
import { setupBuckets } from '../../src/databases/influx/index.ts';
import { setupKairos } from '../../src/databases/kairos/index.ts';
import {
  type FleetAnomaly,
  type FleetRollup,
  hours,
  minutes,
  type Rollup,
} from '../../src/model/index.ts';
import {
  type FleetFeeds,
  fleetFeedsFrom,
  fleetMetrics,
  fleetMetricsTopics,
} from '../../topologies/index.ts';
import { dropKeyspace } from '../support/cassandra.ts';
import { dropBucket, INFLUX_NAMES, influxCall, influxFromEnvironment } from '../support/influx.ts';
import { needs } from '../support/require.ts';
import { newRun, runNames } from '../support/run-names.ts';
import {
  clean,
  hoursThatDiffer,
  sums,
  type VerifiedEngine,
  verifiedEngine,
} from '../support/verified-engine.ts';

const START_MS = Date.UTC(2026, 0, 5);
const EVER = { fromMs: START_MS - hours(48), toMs: START_MS + hours(72) };
const STEPS = ['5m', '1h', '1d'] as const;

const all = async <T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> => {
  const found: T[] = [];
  for await (const page of pages) found.push(...page);
  return found;
};

test('the store of votes’ history: lost, changed and strange rollups are found, and repaired byte for byte', async () => {
  const names = runNames(newRun());
  const { topology, feeds } = names;
  let running = await verifiedEngine({}, { topologies: [topology], feeds });
  try {
    await running.engine.broker.append(names.topics.votes, [
      ...simulateVotes({
        seed: 12,
        startMs: START_MS,
        validators: 5,
        ratePerSecond: 1,
        count: 12_000,
      }),
    ]);
    await running.engine.finish(topology.name);
    const sink = feeds.history.name;
    const { code, report } = await running.verify(sink);
    expect([code, sums(report), hoursThatDiffer(report)]).toMatchObject([0, clean, []]);

    const directory = join(running.data, 'rollups');
    let wanted: Rollup[] = [];
    const strange = { start: START_MS + hours(1), end: START_MS + hours(1) + minutes(5) };
    running = await running.restarted(async () => {
      const whole = new RollupStore(directory);
      wanted = (await Promise.all(STEPS.map((step) => all(whole.within(step, EVER))))).flat();
      await whole.close();
      await rm(directory, { recursive: true });
      const partial = new RollupStore(directory);
      // One in ten is gone.
      const kept = wanted.filter((_, n) => n % 10 !== 3);
      const [first] = kept as [Rollup];
      await partial.put([...kept.slice(1), { ...first, mean: -1 }]);
      await partial.put([{ ...first, id: 'nobody', window: strange }]);
      await partial.close();
    });
    expect(sums(report).expected).toBe(wanted.length);
    const lost = wanted.filter((_, n) => n % 10 === 3).length;
    const found = await running.verify(sink);
    expect([found.code, sums(found.report)]).toMatchObject([
      1,
      { missing: lost, different: 1, extra: 1, repaired: 0 },
    ]);
    expect(found.report.notes.join('\n')).toMatch(/different: .*mean=-1.*, expected /);

    const mended = await running.verify(sink, '--repair');
    expect(sums(mended.report)).toMatchObject({ ...clean, extra: 1, repaired: lost + 1 });
    running = await running.restarted(async () => {
      const store = new RollupStore(directory);
      const now = (await Promise.all(STEPS.map((step) => all(store.within(step, EVER))))).flat();
      const mine = now.filter(({ id }) => id !== 'nobody');
      expect(mine.map((rollup) => JSON.stringify(rollup))).toEqual(
        wanted.map((rollup) => JSON.stringify(rollup)),
      );
      await store.close();
    });
  } finally {
    await running.close();
  }
});

const readingsOf = (hosts: number, durationMs: number, intervalMs: number) =>
  [...simulateFleet({ hosts, startMs: START_MS, durationMs, intervalMs })].map((metric) => ({
    key: metric.host,
    value: JSON.stringify(metric),
  }));
const readings = readingsOf(2, hours(4), minutes(2));
/** Cassandra is asked per metric and hour. */
const fewReadings = readingsOf(1, hours(2), minutes(10));

/** A detector would have to learn for half a day first. */
const anomaly: FleetAnomaly = {
  host: 'host-001',
  region: 'eu',
  environment: 'test',
  metricType: 'cpu',
  field: 'usage_percent',
  tags: {},
  window: { start: START_MS + hours(3), end: START_MS + hours(3) + minutes(5) },
  value: 99,
  score: 0.9,
  detector: 'records',
};

async function fleetEngine(
  environment: Readonly<Record<string, string | undefined>>,
  feeds: FleetFeeds,
  metrics = readings,
): Promise<VerifiedEngine> {
  const running = await verifiedEngine(environment, { topologies: [fleetMetrics], feeds });
  await running.engine.broker.append(fleetMetricsTopics.metrics, metrics);
  await running.engine.finish(fleetMetrics.name);
  return running;
}

test('the store of the fleet: lost rollups and anomalies are found, each in its hour, and repaired', async () => {
  const feeds = fleetFeedsFrom(fleetMetricsTopics);
  let running = await fleetEngine({}, feeds);
  try {
    await running.engine.broker.append(fleetMetricsTopics.anomalies, [
      { key: anomaly.host, value: JSON.stringify(anomaly) },
    ]);
    await running.engine.finish(fleetMetrics.name);
    const sink = feeds.history.name;
    const { code, report } = await running.verify(sink);
    expect([code, sums(report), hoursThatDiffer(report)]).toMatchObject([0, clean, []]);
    const directory = join(running.data, 'fleet');
    const isLost = (start: number) => start >= START_MS + hours(2) && start < START_MS + hours(3);
    let lost = 0;
    running = await running.restarted(async () => {
      const whole = new FleetStore(directory);
      const rollups: KeptRollup[] = [];
      for (const step of STEPS) rollups.push(...(await all(whole.rollupsWithin(step, EVER))));
      const hosts = whole.hosts();
      const range = { from: EVER.fromMs, to: EVER.toMs };
      const anomalies = whole.anomalies(range, 1_000, () => true);
      await whole.close();
      await rm(directory, { recursive: true });
      const partial = new FleetStore(directory);
      const kept = rollups.filter(({ window }) => !isLost(window.start));
      lost = rollups.length - kept.length + anomalies.length;
      await partial.put([
        ...kept.map((rollup): FleetEntry => ({ kind: 'rollup', rollup: rollup as FleetRollup })),
        ...hosts.map((host): FleetEntry => ({ kind: 'host', host })),
      ]);
      await partial.close();
      expect(anomalies).toEqual([anomaly]);
      expect(sums(report).expected).toBe(rollups.length + anomalies.length);
    });
    const found = await running.verify(sink);
    expect([found.code, sums(found.report)]).toMatchObject([1, { ...clean, missing: lost }]);
    expect(hoursThatDiffer(found.report)).toEqual(['2026-01-05T02', '2026-01-05T03']);
    const mended = await running.verify(sink, '--repair');
    expect([mended.code, sums(mended.report)]).toMatchObject([0, { ...clean, repaired: lost }]);
    expect((await running.verify(sink)).code).toBe(0);
  } finally {
    await running.close();
  }
});

describe.each([
  ['the embedded store', []],
  ['Cassandra', ['CASSANDRA_HOSTS', 'CASSANDRA_DC']],
] as const)('in %s', (_, variables) => {
  describe.skipIf(!needs(variables))('', () => {
    const cassandra = {
      hosts: (process.env.CASSANDRA_HOSTS ?? '').split(','),
      datacenter: process.env.CASSANDRA_DC ?? '',
      keyspace: `test_verify_${newRun()}`,
    };
    const environment = {
      ...Object.fromEntries(variables.map((name) => [name, process.env[name]])),
      ...(variables.length > 0 && { CASSANDRA_KEYSPACE: cassandra.keyspace }),
    };
    beforeAll(async () => {
      if (variables.length > 0) await setupKairos(cassandra);
    });
    afterAll(async () => {
      if (variables.length > 0) await dropKeyspace(cassandra);
    });

    test('the fleet’s metrics: what a delete took is found in its hour and metric, and repaired', async () => {
      const feeds = fleetFeedsFrom(fleetMetricsTopics);
      const running = await fleetEngine(environment, feeds, fewReadings);
      try {
        for (const { name } of feeds.kairos) {
          const { code, report } = await running.verify(name);
          expect([name, code, sums(report)]).toMatchObject([name, 0, clean]);
          expect(sums(report).expected).toBeGreaterThan(100);
        }
        const metric = 'system.usage_percent';
        const [fromMs, toMs] = [START_MS + hours(1), START_MS + hours(2)];
        const lost = (await all(running.store.readSeries({ metric, fromMs, toMs }))).length;
        expect(lost).toBeGreaterThan(5);
        await running.store.deletePoints({ metric, fromMs, toMs });
        const [raw] = feeds.kairos;
        const found = await running.verify(raw?.name ?? '');
        expect([found.code, sums(found.report)]).toMatchObject([1, { ...clean, missing: lost }]);
        expect(hoursThatDiffer(found.report)).toEqual(['2026-01-05T01']);
        const mended = await running.verify(raw?.name ?? '', '--repair');
        expect([mended.code, sums(mended.report)]).toMatchObject([0, { ...clean, repaired: lost }]);
      } finally {
        await running.close();
      }
    });

    test('what clients sent: their deletes and lives count, and what the store lost is found and repaired', async () => {
      const running = await verifiedEngine(environment, {
        roles: ['sinks', 'api', 'ingest', 'query'],
        topologies: [],
      });
      try {
        const call = async (path: string, body: unknown) => {
          const reply = await fetch(`${running.engine.url}/api/v1/${path}`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body),
          });
          expect(reply.status, await reply.text()).toBe(204);
        };
        const series = (name: string, host: string, datapoints: unknown[], ttl?: number) => ({
          name,
          tags: { host },
          datapoints,
          ...(ttl !== undefined && { ttl }),
        });
        const every = (hour: number, value: unknown) =>
          Array.from({ length: 60 }, (_, n) => [START_MS + hours(hour) + minutes(n), value]);
        await call('datapoints', [
          series('it.long', 'a', [...every(0, 7), ...every(1, 9_007_199_254_740_991)]),
          series('it.long', 'b', every(1, 8)),
          series('it.text', 'a', every(0, 'down')),
          // Long ago and far ahead.
          series('it.double', 'a', [...every(0, 1.5), [1_000, 0.5], [START_MS + hours(90_000), 2]]),
          series('it.double', 'short', every(0, 1.5), 1),
          series('it.double', 'long', every(0, 1.5), 86_400),
        ]);
        // The second hour of one host goes, then some of it comes again.
        await call('datapoints/delete', {
          start_absolute: START_MS + hours(1),
          end_absolute: START_MS + hours(2) - 1,
          metrics: [{ name: 'it.long', tags: { host: ['b'] } }],
        });
        await call('datapoints', [series('it.long', 'b', every(1, 88).slice(0, 10))]);
        await running.engine.finish('');

        const sink = 'kairos.points';
        const first = await running.verify(sink);
        expect([first.code, sums(first.report)]).toMatchObject([0, clean]);
        // 120 + 10 long, 60 text, 60 + 2 + 60 doubles; those of a second are over, or about to be.
        expect(sums(first.report).expected).toBeGreaterThanOrEqual(312);
        expect(sums(first.report).expected).toBeLessThanOrEqual(312 + 60);

        const lost = { metric: 'it.text', fromMs: START_MS, toMs: START_MS + minutes(20) };
        await running.store.deletePoints(lost);
        const far = START_MS + hours(90_000);
        await running.store.deletePoints({ metric: 'it.double', fromMs: far, toMs: far + 1 });
        const tags = { host: 'a' };
        await running.store.write([
          { metric: 'it.long', tags, timestampMs: START_MS, value: 1n },
          { metric: 'it.long', tags: { host: 'b' }, timestampMs: START_MS, value: 1n },
        ]);
        const found = await running.verify(sink);
        expect([found.code, sums(found.report)]).toMatchObject([
          1,
          { missing: 21, different: 1, extra: 1 },
        ]);
        const mended = await running.verify(sink, '--repair');
        expect(sums(mended.report)).toMatchObject({ ...clean, extra: 1, repaired: 22 });
        expect(mended.report.notes).toEqual([`extra: it.long,host=b ${START_MS} long 1i`]);

        // A metric that is deleted whole takes all before it along, and the range alone is looked at.
        const gone = await fetch(`${running.engine.url}/api/v1/metric/it.long`, {
          method: 'DELETE',
        });
        expect(gone.status).toBe(204);
        await running.engine.finish('');
        const last = await running.verify(sink, '--from', String(START_MS + hours(1)));
        expect([last.code, sums(last.report)]).toMatchObject([0, { ...clean, expected: 1 }]);
        expect((await running.verify(sink)).code).toBe(0);
      } finally {
        await running.close();
      }
    });
  });
});

describe.skipIf(!needs(INFLUX_NAMES))('in InfluxDB', () => {
  const run = newRun();
  const bucket = (name: string) => `test-${run}-${name}`;
  const buckets = ['system_metrics_raw', 'system_metrics_1h', 'system_metrics_1d'].map(bucket);
  afterAll(async () => {
    for (const name of buckets) await dropBucket(influxFromEnvironment(), name);
  });

  test('the fleet’s buckets: what a delete took is found in its hour, and repaired', async () => {
    const influx = influxFromEnvironment();
    await setupBuckets(
      influx,
      buckets.map((name) => ({ name, retentionMs: 0 })),
    );
    const environment = Object.fromEntries(INFLUX_NAMES.map((name) => [name, process.env[name]]));
    const feeds = fleetFeedsFrom(fleetMetricsTopics, { bucket });
    const running = await fleetEngine(environment, feeds);
    try {
      for (const { name } of feeds.influx) {
        const { code, report } = await running.verify(name);
        expect([name, code, sums(report)]).toMatchObject([name, 0, clean]);
        expect(sums(report).expected).toBeGreaterThan(10);
        const path = `/api/v2/delete?org=${influx.org}&bucket=${buckets[feeds.influx.findIndex((f) => f.name === name)]}`;
        const body = JSON.stringify({
          start: new Date(START_MS).toISOString(),
          stop: '2026-01-05T00:59:59.999999999Z',
        });
        const { status } = await influxCall(influx, path, { method: 'POST', body });
        expect(status).toBe(204);
        const found = await running.verify(name);
        const { missing } = sums(found.report);
        expect(missing, name).toBeGreaterThan(1);
        expect([found.code, sums(found.report)]).toMatchObject([1, { ...clean, missing }]);
        expect(hoursThatDiffer(found.report)).toEqual(['2026-01-05T00']);
        const mended = await running.verify(name, '--repair');
        expect([mended.code, sums(mended.report)]).toMatchObject([
          0,
          { ...clean, repaired: missing },
        ]);
      }
    } finally {
      await running.close();
    }
  });
});
