import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { faultOf, hostName, simulateFleet } from '../../src/collect/index.ts';
import {
  days,
  type FleetAnomaly,
  type FleetHostState,
  type FleetRollup,
  hours,
  minutes,
  type SystemMetric,
} from '../../src/model/index.ts';
import { TDigest } from '../../src/stats/index.ts';
import { describeMermaid, drive } from '../../src/stream/index.ts';
import { fleetMetrics, metricOf, seriesKey } from '../../topologies/index.ts';

const start = Date.parse('2026-01-05T00:00:00Z');

const cpu = (
  host: string,
  at: number,
  usage: number,
  more: Partial<SystemMetric> = {},
): SystemMetric => ({
  host,
  region: 'eu-1',
  environment: 'production',
  metricType: 'cpu',
  timestamp: start + at,
  fields: { usage_percent: usage },
  ...more,
});
const records = (metrics: readonly SystemMetric[]) =>
  metrics.map((value) => ({ key: value.host, value }));
/** A reading far enough on that everything before it closes. */
const closing = (host: string, at: number) => cpu(host, at, 0);

const driven = (metrics: readonly SystemMetric[], options: { batchRecords?: number } = {}) =>
  drive(fleetMetrics, options).pipe('system.metrics', records(metrics));

test('the picture is the one on the whiteboard', () => {
  const golden = new URL('../golden/fleet-metrics.mmd', import.meta.url);
  expect(describeMermaid(fleetMetrics).trim()).toBe(readFileSync(golden, 'utf8').trim());
});

test('an hour has count, mean, spread and percentiles of each field, keyed by host', () => {
  const values = [10, 20, 30, 40];
  const driver = driven([
    ...values.map((value, i) => cpu('a', i * minutes(10), value)),
    closing('a', hours(2)),
  ]);
  const [record] = driver.records('fleet.rollup.1h');
  expect(String(record?.key)).toBe('a');
  const [hour] = driver.read<FleetRollup>('fleet.rollup.1h');
  expect(hour).toMatchObject({
    window: { start, end: start + hours(1) },
    host: 'a',
    region: 'eu-1',
    environment: 'production',
    metricType: 'cpu',
    field: 'usage_percent',
    tags: {},
    count: 4,
    sum: 100,
    min: 10,
    max: 40,
    mean: 25,
    revision: 0,
    lineage: { topic: 'system.metrics', partition: 0, firstOffset: 0, lastOffset: 3, late: 0 },
  });
  expect(hour?.stddev).toBeCloseTo(Math.sqrt(125), 12);
  const digest = TDigest.fromBytes(Buffer.from(hour?.digest ?? '', 'base64'));
  expect([hour?.p50, hour?.p95, hour?.p99]).toEqual(digest.quantiles([0.5, 0.95, 0.99]));
});

test('mounts and interfaces are series of their own', () => {
  const disk = (mount: string, used: number) =>
    cpu('a', 1, 0, { metricType: 'disk', tags: { mount }, fields: { used_percent: used } });
  const driver = driven([disk('/', 40), disk('/data', 80), closing('a', minutes(10))]);
  const found = driver
    .read<FleetRollup>('fleet.rollup.5m')
    .filter(({ metricType }) => metricType === 'disk');
  expect(found.map(({ tags, mean }) => [tags, mean])).toEqual([
    [{ mount: '/' }, 40],
    [{ mount: '/data' }, 80],
  ]);
});

test('a day is merged from its hours', { tags: 'heavy' }, () => {
  const metrics = [
    ...simulateFleet({
      hosts: 2,
      startMs: start,
      durationMs: days(1),
      intervalMs: 60_000,
      faultsPerHostDay: 0,
    }),
  ];
  const driver = driven([...metrics, closing(hostName(0), days(1) + hours(1))]);
  const found = driver
    .read<FleetRollup>('fleet.rollup.1d')
    .filter(({ field, host }) => field === 'usage_percent' && host === hostName(1));
  const values = metrics
    .filter(({ host, metricType }) => host === hostName(1) && metricType === 'cpu')
    .map(({ fields }) => fields.usage_percent as number);
  expect(found).toHaveLength(1);
  expect(found[0]?.count).toBe(values.length);
  expect(found[0]?.mean).toBeCloseTo(values.reduce((a, b) => a + b, 0) / values.length, 9);
  expect([found[0]?.min, found[0]?.max]).toEqual([Math.min(...values), Math.max(...values)]);
});

test('a reading that comes twice counts once, and one that is late goes once to the late topic', () => {
  const twice = cpu('a', 1_000, 10, { fields: { usage_percent: 10, load1: 1 } });
  const late = cpu('a', 2_000, 99, { fields: { usage_percent: 99, load1: 9 } });
  const driver = driven([twice, twice, closing('a', minutes(6)), late, closing('a', hours(2))]);
  const [first] = driver.read<FleetRollup>('fleet.rollup.5m');
  expect(first).toMatchObject({ count: 1, mean: 10, lineage: { duplicates: 1 } });
  expect(driver.read('system.metrics.late')).toEqual([late]);
  const [hour] = driver.read<FleetRollup>('fleet.rollup.1h');
  expect(hour).toMatchObject({ field: 'usage_percent', max: 10, lineage: { late: 1 } });
});

test('what is no reading goes to the dead-letter topic with its reason', () => {
  const driver = drive(fleetMetrics).pipe('system.metrics', [
    { value: 'no json' },
    { value: { ...cpu('a', 0, 1), fields: { usage_percent: 'high' } } },
  ]);
  expect(driver.read('system.metrics.dead-letter')).toEqual([
    expect.objectContaining({ code: 'NOT_JSON', topic: 'system.metrics', offset: 0 }),
    expect.objectContaining({ code: 'FIELD_INVALID', offset: 1 }),
  ]);
});

test('a host’s state is its newest reading of each kind, at most each ten seconds', () => {
  const memory = (at: number, used: number) =>
    cpu('a', at, 0, { metricType: 'memory', fields: { used_percent: used } });
  const driver = driven([
    cpu('a', 0, 1),
    memory(1_000, 50),
    cpu('a', 5_000, 2),
    cpu('a', 10_000, 3),
    cpu('a', 9_000, 9),
  ]);
  const states = driver.read<FleetHostState>('fleet.hosts');
  expect(states.map(({ lastSeen }) => lastSeen - start)).toEqual([0, 10_000]);
  expect(states[1]?.latest.map(({ metricType, fields }) => [metricType, fields])).toEqual([
    ['cpu', { usage_percent: 3 }],
    ['memory', { used_percent: 50 }],
  ]);
});

test('a burst after quiet days is an anomaly of its series and of no other', {
  tags: 'heavy',
}, () => {
  const at = start + days(4);
  const faults = [faultOf(hostName(0), 'network-burst', at, at + minutes(30))];
  const driver = driven([
    ...simulateFleet({
      hosts: 2,
      startMs: start,
      durationMs: days(4) + hours(4),
      intervalMs: 60_000,
      faults,
    }),
  ]);
  const found = driver
    .read<FleetAnomaly>('fleet.anomalies')
    .filter(({ window }) => window.start >= at);
  expect(
    found.some(({ host, field }) => host === hostName(0) && field === 'rx_bytes_per_second'),
  ).toBe(true);
  expect(found.filter(({ host }) => host !== hostName(0))).toEqual([]);
  for (const { score, detector } of found) {
    expect(score).toBeGreaterThanOrEqual(0.5);
    expect(detector).toBe('records-and-surges');
  }
});

test('a crash anywhere changes no record of any topic', { tags: 'heavy' }, () => {
  const metrics = [
    ...simulateFleet({
      hosts: 3,
      startMs: start,
      durationMs: hours(3),
      intervalMs: 60_000,
      faultsPerHostDay: 8,
    }),
    closing(hostName(0), days(2)),
  ];
  const topics = [
    'fleet.rollup.5m',
    'fleet.rollup.1h',
    'fleet.rollup.1d',
    'fleet.anomalies',
    'fleet.hosts',
    'system.metrics.late',
  ];
  const outcome = (driver: ReturnType<typeof drive>) =>
    topics.map((topic) =>
      driver.records(topic).map(({ key, value }) => [String(key), String(value)]),
    );
  const expected = outcome(driven(metrics));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: metrics.length }), fc.boolean()), {
        maxLength: 4,
      }),
      fc.integer({ min: 1, max: 700 }),
      (cuts, batchRecords) => {
        const driver = drive(fleetMetrics, { batchRecords });
        let from = 0;
        for (const [to, crash] of [...cuts].sort((a, b) => a[0] - b[0])) {
          driver.pipe('system.metrics', records(metrics.slice(from, to)), { commit: !crash });
          if (crash) driver.crash();
          from = Math.max(from, to);
        }
        driver.pipe('system.metrics', records(metrics.slice(from)));
        expect(outcome(driver)).toEqual(expected);
      },
    ),
    { numRuns: 8 },
  );
});

test('a simulated reading is a reading, and its series has one key', () => {
  for (const metric of simulateFleet({ startMs: start, durationMs: 20_000 })) {
    const row = metricOf(JSON.parse(JSON.stringify(metric)));
    expect(row.fields).toEqual(metric.fields);
    for (const field of Object.keys(row.fields))
      expect(seriesKey({ ...row, field, tags: row.tags ?? {} })).toContain(
        row.reading.split('\u001e')[0],
      );
  }
});
