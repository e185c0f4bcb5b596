/** The fleet's named queries against a real InfluxDB; each held to the stream's own numbers [S3]. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FleetFault, simulateFleet } from '../../src/collect/index.ts';
import {
  fleetBuckets,
  type InfluxConfig,
  InfluxReader,
  InfluxSink,
  setupBuckets,
} from '../../src/databases/influx/index.ts';
import {
  days,
  type FleetHostState,
  type FleetRollup,
  hours,
  minutes,
} from '../../src/model/index.ts';
import { fitHoltWinters, forecast, Moments } from '../../src/stats/index.ts';
import { drive } from '../../src/stream/index.ts';
import {
  fleetMetrics,
  fleetRollupPoint,
  metricOf,
  metricPoint,
  withReading,
} from '../../topologies/index.ts';
import { INFLUX_NAMES, influxCall, influxFromEnvironment, uniqueName } from '../support/influx.ts';
import { needs } from '../support/require.ts';

/** Whole days within what the raw bucket keeps. */
const TO = Math.floor(Date.now() / days(1)) * days(1);
const FROM = TO - days(3);
const AHEAD = 48;
const RECEIVED = 'rx_bytes_per_second';
const FILLING = { metricType: 'disk', field: 'used_percent', tags: { mount: '/data' } } as const;

const fault = (
  kind: FleetFault['kind'],
  shows: Pick<FleetFault, 'metricType' | 'field'> & Partial<Pick<FleetFault, 'tags'>>,
  from: number,
  to: number,
): FleetFault => ({
  host: 'host-001',
  kind,
  tags: {},
  ...shows,
  from: FROM + from,
  to: FROM + to,
});

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [a, b].map((values) => {
    const moments = new Moments();
    for (const value of Array.from(values)) moments.add(value);
    return moments;
  }) as [Moments, Moments];
  let sum = 0;
  for (let i = 0; i < a.length; i++)
    sum += ((a[i] as number) - x.mean) * ((b[i] as number) - y.mean);
  return sum / a.length / (x.stddev * y.stddev);
}

async function dropHost(config: InfluxConfig, bucket: string, host: string): Promise<void> {
  const { status, text } = await influxCall(
    config,
    `/api/v2/delete?org=${config.org}&bucket=${bucket}`,
    {
      method: 'POST',
      body: JSON.stringify({
        start: new Date(FROM).toISOString(),
        stop: new Date(TO).toISOString(),
        predicate: `host="${host}"`,
      }),
    },
  );
  expect(status, text).toBe(204);
}

describe.skipIf(!needs(INFLUX_NAMES))('named queries of the fleet', () => {
  // The buckets are the real ones, so hosts of this run's own keep it apart.
  const run = uniqueName('f').slice(0, 14);
  const metrics = [
    ...simulateFleet({
      hosts: 3,
      startMs: FROM,
      durationMs: days(3),
      intervalMs: minutes(2),
      faults: [
        fault('network-burst', { metricType: 'network', field: RECEIVED }, hours(50), hours(51)),
        fault('disk-filling', FILLING, hours(24), days(3)),
      ],
    }),
  ].map((metric) => metricOf({ ...metric, host: `${run}-${metric.host}` }));
  const hosts = [...new Set(metrics.map(({ host }) => host))].sort();
  const driven = drive(fleetMetrics, {})
    .pipe(
      'system.metrics',
      metrics.map(({ tagsText: _, reading: __, ...value }) => ({ key: value.host, value })),
    )
    .end();
  const rollups = (step: string) => driven.read<FleetRollup>(`fleet.rollup.${step}`);
  const of = (step: string, metricType: string, field: string) =>
    rollups(step)
      .filter((one) => one.metricType === metricType && one.field === field)
      .sort((a, b) => a.window.start - b.window.start);

  let reader: InfluxReader;
  const range = { from: FROM, to: TO, limit: 10_000, host: hosts.join(',') };
  const cpu = { ...range, metricType: 'cpu', field: 'usage_percent' };
  const isNear = (a: number, b: number) => Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b));

  beforeAll(async () => {
    const config = influxFromEnvironment();
    reader = new InfluxReader({ config });
    await setupBuckets(config, fleetBuckets);
    await new InfluxSink({ config, bucket: 'system_metrics_raw' }).write(metrics.map(metricPoint));
    for (const step of ['1h', '1d'])
      await new InfluxSink({ config, bucket: `system_metrics_${step}` }).write(
        rollups(step).map(fleetRollupPoint),
      );
  });
  afterAll(async () => {
    const config = influxFromEnvironment();
    for (const name of ['system_metrics_raw', 'system_metrics_1h', 'system_metrics_1d']) {
      for (const host of hosts) await dropHost(config, name, host);
    }
  });

  test('the status of all hosts is what the stream folds their readings to', async () => {
    const expected = hosts.map((host) => {
      const { region, environment, lastSeen, latest } = metrics
        .filter((metric) => metric.host === host)
        .reduce<FleetHostState | undefined>(withReading, undefined) as FleetHostState;
      const values = (type: string, field: string) =>
        latest
          .filter(({ metricType }) => metricType === type)
          .map(({ fields }) => fields[field] as number);
      return {
        host,
        region,
        environment,
        lastSeen,
        cpu: values('cpu', 'usage_percent')[0],
        memory: values('memory', 'used_percent')[0],
        disk: Math.max(...values('disk', 'used_percent')),
      };
    });
    expect(await reader.ask('fleet-status', { ...range, step: '5m' })).toEqual(expected);
    const { host: _, ...everywhere } = range;
    const all = await reader.ask('fleet-status', { ...everywhere, step: '5m' });
    expect(all.filter(({ host }) => hosts.includes(host))).toEqual(expected);
  });

  test.each(['5m', '1h', '1d'] as const)('a trend of %s has the stream’s means', async (step) => {
    const stored = await reader.ask('fleet-trend', { ...cpu, step });
    const expected = new Map(
      of(step, 'cpu', 'usage_percent').map(({ host, window, mean }) => [
        `${host} ${window.start}`,
        mean,
      ]),
    );
    expect(expected.size).toBeGreaterThan(3);
    expect(stored.map(({ host, start }) => `${host} ${start}`).sort()).toEqual(
      [...expected.keys()].sort(),
    );
    const wrong = stored.filter(
      ({ host, start, mean }) => !isNear(mean, expected.get(`${host} ${start}`) as number),
    );
    expect(wrong).toEqual([]);
  });

  test.each(['5m', '1h', '1d'] as const)(
    'hosts are compared over %s as the stream has them',
    async (step) => {
      const disks = { ...range, metricType: 'disk', field: 'used_percent' };
      const stored = await reader.ask('fleet-compare', { ...disks, step });
      const series = Map.groupBy(of(step, 'disk', 'used_percent'), ({ host, tags }) =>
        JSON.stringify([host, tags]),
      );
      expect(stored.length).toBe(6);
      expect(stored.map(({ mean }) => mean)).toEqual(
        stored.map(({ mean }) => mean).sort((a, b) => b - a),
      );
      for (const { host, tags, count, mean, min, max } of stored) {
        const windows = series.get(JSON.stringify([host, tags])) as FleetRollup[];
        const total = windows.reduce((sum, one) => sum + one.count, 0);
        const sum = windows.reduce((all, one) => all + one.sum, 0);
        expect({ count, min, max }).toEqual({
          count: total,
          min: Math.min(...windows.map((one) => one.min)),
          max: Math.max(...windows.map((one) => one.max)),
        });
        expect(isNear(mean, sum / total)).toBe(true);
      }
    },
  );

  test('z-scores are those of the stream’s five-minute means', async () => {
    const stored = await reader.ask('fleet-anomalies', {
      ...range,
      metricType: 'network',
      field: RECEIVED,
      step: '5m',
    });
    const expected = new Map<string, number>();
    for (const [host, windows] of Map.groupBy(of('5m', 'network', RECEIVED), (one) => one.host)) {
      const moments = new Moments();
      for (const { mean } of windows) moments.add(mean);
      for (const { window, mean } of windows) {
        const z = (mean - moments.mean) / moments.stddev;
        if (Math.abs(z) >= 2) expected.set(`${host} ${window.start}`, z);
      }
    }
    // The burst at least.
    expect(expected.size).toBeGreaterThanOrEqual(12);
    expect(stored.map(({ host, start }) => `${host} ${start}`).sort()).toEqual(
      [...expected.keys()].sort(),
    );
    for (const { host, start, z } of stored)
      expect(Math.abs(z - (expected.get(`${host} ${start}`) as number))).toBeLessThan(1e-9);
  });

  test('its Holt–Winters and ours see disks fill alike', async () => {
    const [host] = hosts as [string];
    const stored = await reader.ask('fleet-forecast', {
      ...range,
      host,
      metricType: 'disk',
      field: 'used_percent',
      step: '1h',
    });
    const disks = Map.groupBy(
      of('1h', 'disk', 'used_percent').filter((one) => one.host === host),
      ({ tags }) => JSON.stringify(tags),
    );
    expect(disks.size).toBe(2);
    for (const [tags, windows] of disks) {
      const ahead = stored.filter((one) => JSON.stringify(one.tags) === tags);
      expect(ahead.map(({ start }) => start)).toEqual(
        Array.from({ length: AHEAD }, (_, i) => TO + i * hours(1)),
      );
      const fit = fitHoltWinters(
        windows.map(({ mean }) => mean),
        { period: 24 },
      );
      const ours = forecast(fit, AHEAD).mean;
      const rises = [ahead.map(({ mean }) => mean), [...ours]].map(
        (means) => (means.at(-1) as number) - (means[0] as number),
      );
      for (const rise of rises) {
        if (tags === JSON.stringify(FILLING.tags)) expect(rise).toBeGreaterThan(3);
        else expect(Math.abs(rise)).toBeLessThan(1);
      }
    }
  });

  test('its Holt–Winters and ours see the same day ahead of a processor', async () => {
    const [host] = hosts.slice(1) as [string];
    const stored = await reader.ask('fleet-forecast', { ...cpu, host, step: '1h' });
    const fit = fitHoltWinters(
      of('1h', 'cpu', 'usage_percent')
        .filter((one) => one.host === host)
        .map(({ mean }) => mean),
      { period: 24 },
    );
    const ours = forecast(fit, AHEAD).mean;
    expect(Math.max(...ours) - Math.min(...ours)).toBeGreaterThan(15);
    const theirs = stored.map(({ mean }) => mean);
    expect(correlation(theirs, ours)).toBeGreaterThan(0.85);
    const apart = theirs.reduce((sum, mean, i) => sum + Math.abs(mean - (ours[i] as number)), 0);
    expect(apart / AHEAD).toBeLessThan(8);
  });
});
