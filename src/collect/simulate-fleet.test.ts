import { expect, test } from 'vitest';
import { days, hours, minutes, type SystemMetric } from '../model/index.ts';
import { faultKinds, faultOf, faultsOf, hostName, simulateFleet } from './simulate-fleet.ts';

const startMs = Date.parse('2026-01-05T00:00:00Z');

/** Five-minute means of one series. */
function meansOf(
  readings: Iterable<SystemMetric>,
  host: string,
  type: string,
  field: string,
  mount?: string,
) {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const reading of readings) {
    if (reading.host !== host || reading.metricType !== type) continue;
    if (mount !== undefined && reading.tags?.mount !== mount) continue;
    const start = Math.floor(reading.timestamp / minutes(5)) * minutes(5);
    const entry = sums.get(start) ?? { sum: 0, count: 0 };
    entry.sum += reading.fields[field] as number;
    entry.count++;
    sums.set(start, entry);
  }
  return [...sums].map(([start, { sum, count }]) => ({ start, mean: sum / count }));
}

test('the same seed gives the same readings, another seed others; time never goes back', () => {
  const run = (seed: number) =>
    [...simulateFleet({ seed, hosts: 3, startMs, durationMs: minutes(10) })].map((r) =>
      JSON.stringify(r),
    );
  expect(run(7)).toEqual(run(7));
  expect(run(7)).not.toEqual(run(8));
  const times = [...simulateFleet({ hosts: 20, startMs, durationMs: hours(1) })].map(
    (r) => r.timestamp,
  );
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

test('without faults no five-minute mean of a week comes near the usual thresholds', {
  tags: 'heavy',
}, () => {
  const week = [
    ...simulateFleet({
      hosts: 4,
      startMs,
      durationMs: days(7),
      intervalMs: 60_000,
      faultsPerHostDay: 0,
    }),
  ];
  for (let i = 0; i < 4; i++) {
    const highest = (type: string, field: string) =>
      Math.max(...meansOf(week, hostName(i), type, field).map(({ mean }) => mean));
    expect(highest('cpu', 'usage_percent')).toBeLessThan(65);
    expect(highest('memory', 'used_percent')).toBeLessThan(80);
    expect(highest('disk', 'used_percent')).toBeLessThan(75);
  }
});

test('each fault shows in the series that its label names, in its time', { tags: 'heavy' }, () => {
  const at = startMs + hours(10);
  const faults = faultKinds.map((kind, i) => faultOf(hostName(i), kind, at, at + minutes(40)));
  const run = [
    ...simulateFleet({ hosts: faultKinds.length, startMs, durationMs: hours(12), faults }),
  ];
  const inTime = ({ start }: { start: number }) =>
    start >= at + minutes(20) && start < at + minutes(40);
  const mean = (i: number, type: string, field: string, mount?: string) => {
    const means = meansOf(run, hostName(i), type, field, mount)
      .filter(inTime)
      .map((m) => m.mean);
    return means.reduce((a, b) => a + b, 0) / means.length;
  };
  expect(mean(0, 'cpu', 'usage_percent')).toBeGreaterThan(90);
  expect(mean(1, 'memory', 'used_percent')).toBeGreaterThan(90);
  expect(mean(2, 'disk', 'used_percent', '/data')).toBeGreaterThan(90);
  expect(mean(3, 'network', 'rx_bytes_per_second')).toBeGreaterThan(
    10 * mean(0, 'network', 'rx_bytes_per_second'),
  );
  const down = run.filter(
    (r) => r.host === hostName(4) && r.timestamp >= at && r.timestamp < at + minutes(40),
  );
  expect(down).toEqual([]);
});

test('the labels are known beforehand and are the faults that come', { tags: 'heavy' }, () => {
  const options = { seed: 3, hosts: 12, startMs, durationMs: days(7), intervalMs: 60_000 };
  const faults = faultsOf(options);
  expect(faults.length).toBeGreaterThan(10);
  expect(new Set(faults.map(({ kind }) => kind)).size).toBe(faultKinds.length);
  const fault = faults.find(({ kind }) => kind === 'cpu-saturated');
  const during = [...simulateFleet(options)].filter(
    (r) =>
      r.host === fault?.host &&
      r.metricType === 'cpu' &&
      r.timestamp >= fault.from &&
      r.timestamp < fault.to,
  );
  expect(Math.min(...during.map((r) => r.fields.usage_percent as number))).toBeGreaterThan(90);
  expect(during.length).toBeGreaterThan(10);
});
