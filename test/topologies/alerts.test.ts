import { expect, test } from 'vitest';
import { defaultRules } from '../../src/alerts/index.ts';
import { type AlertRule, type AlertTransition, minutes, seconds } from '../../src/model/index.ts';
import { drive, type Topology, type TopologyDriver } from '../../src/stream/index.ts';
import { alertTopologies } from '../../topologies/index.ts';

const START = 1_760_000_040_000;

const named = (name: string, rules: readonly AlertRule[] = defaultRules): Topology =>
  alertTopologies(rules).find((topology) => topology.name === name) as Topology;

const cpu = (host: string, at: number, usage_percent: number) => ({
  key: host,
  value: {
    host,
    region: 'eu',
    environment: 'test',
    metricType: 'cpu',
    timestamp: at,
    fields: { usage_percent },
  },
});

/** Readings of each 10 s. */
const load = (host: string, from: number, to: number, usage: number | ((at: number) => number)) =>
  Array.from({ length: Math.round((to - from) / 10_000) }, (_, i) => {
    const at = from + i * 10_000;
    return cpu(host, at, typeof usage === 'number' ? usage : usage(at));
  });

const vote = (validator: string, at: number, network = 'mainnet') => ({
  key: validator,
  value: {
    validator,
    voteAccount: `${validator}-account`,
    network,
    votedSlot: Math.round(at / 400),
    landedSlot: Math.round(at / 400) + 1,
    timestamp: at,
  },
});

const votes = (validator: string, from: number, to: number, network = 'mainnet') =>
  Array.from({ length: Math.round((to - from) / 2_000) }, (_, i) =>
    vote(validator, from + i * 2_000, network),
  );

const byTime = <R extends { value: { timestamp: number } }>(records: readonly R[]): R[] =>
  [...records].sort((a, b) => a.value.timestamp - b.value.timestamp);

const told = (driver: TopologyDriver) =>
  driver
    .read<AlertTransition>('alerts')
    .map(({ rule, subject, state, severity }) => `${rule} ${subject} ${state} ${severity}`);

test('a loaded host goes from pending to firing, up to critical, down to warning, and resolves', () => {
  const end = START + minutes(60);
  const usage = (at: number) => {
    const minute = (at - START) / 60_000;
    if (minute < 10) return 30;
    if (minute < 20) return 80;
    if (minute < 30) return 97;
    if (minute < 40) return 80;
    return 30;
  };
  const driver = drive(named('alerts-fleet'));
  driver.pipe('system.metrics', load('web-1', START, end, usage));
  expect(told(driver)).toEqual([
    'cpu web-1 pending warning',
    'cpu web-1 firing warning',
    'cpu web-1 firing critical',
    'cpu web-1 firing warning',
    'cpu web-1 resolved warning',
  ]);
  const [pending, firing, , , resolved] = driver.read<AlertTransition>('alerts');
  expect(firing?.at).toBe((pending?.at ?? 0) + minutes(1));
  expect(firing?.startedAt).toBe(pending?.startedAt);
  expect(resolved?.resolvedAt).toBe(resolved?.at);
  expect(resolved?.firedAt).toBe(firing?.at);
  expect(pending?.labels).toEqual({ host: 'web-1', region: 'eu', environment: 'test' });
  expect([pending, firing, resolved].map((each) => each?.sequence)).toEqual([1, 2, 5]);
  // Of five minutes at 80 after 30, two and a half are needed for a mean over 70 … at whole minutes.
  expect(pending?.at).toBeLessThanOrEqual(START + minutes(16));
});

test('a short peak is pending at most, and a value between clear and threshold keeps an alert', () => {
  const peak = (at: number) => (Math.abs(at - START - minutes(12)) < seconds(20) ? 100 : 60);
  const short = drive(named('alerts-fleet'));
  short.pipe('system.metrics', load('web-1', START, START + minutes(30), peak));
  expect(told(short)).toEqual([]);

  const wobble = (at: number) =>
    at < START + minutes(10) ? 40 : at % 1_200_000 < 600_000 ? 72 : 68;
  const kept = drive(named('alerts-fleet'));
  kept.pipe('system.metrics', load('web-1', START, START + minutes(120), wobble));
  expect(told(kept)).toEqual(['cpu web-1 pending warning', 'cpu web-1 firing warning']);
});

test('the first minutes of a series are no five-minute mean', () => {
  const driver = drive(named('alerts-fleet'));
  const usage = (at: number) => (at < START + minutes(2) ? 100 : 20);
  driver.pipe('system.metrics', load('web-1', START, START + minutes(30), usage));
  expect(told(driver)).toEqual([]);
});

test('an override gives a host thresholds of its own, or leaves it alone', () => {
  const rules = defaultRules.map((rule) =>
    rule.name === 'cpu'
      ? {
          ...rule,
          overrides: [
            { match: { host: 'batch-*' }, enabled: false, warning: null, critical: null },
            { match: { host: 'db-1' }, enabled: true, warning: 95, critical: null },
          ],
        }
      : rule,
  );
  const driver = drive(named('alerts-fleet', rules), { partitions: 2 });
  const hosts = ['batch-1', 'db-1', 'web-1'];
  const records = hosts.flatMap((host) => load(host, START, START + minutes(12), 85));
  driver.pipe('system.metrics', byTime(records));
  expect(told(driver)).toEqual(['cpu web-1 pending warning', 'cpu web-1 firing warning']);
});

test('a validator that stops voting is offline while its network goes on, and back when it votes again', () => {
  const driver = drive(named('alerts-votes'));
  const records = [
    ...votes('a', START, START + minutes(10)),
    ...votes('b', START, START + minutes(3)),
    ...votes('b', START + minutes(7), START + minutes(10)),
    // Another network's pause is no silence of this one's validators.
    ...votes('c', START, START + minutes(2), 'testnet'),
    ...votes('d', START, START + minutes(2), 'testnet'),
  ];
  driver.pipe('votes', byTime(records));
  expect(told(driver)).toEqual([
    'validator-offline validator b (mainnet) firing critical',
    'validator-offline validator b (mainnet) resolved critical',
  ]);
  const [fired, resolved] = driver.read<AlertTransition>('alerts');
  expect(fired?.at).toBeGreaterThan(START + minutes(5));
  expect(fired?.at).toBeLessThanOrEqual(START + minutes(5) + seconds(20));
  expect(resolved?.at).toBeLessThanOrEqual(START + minutes(7) + seconds(20));
});

test('a partition that is quiet does not hide that its validator is offline', () => {
  const driver = drive(named('alerts-votes'), { partitions: 2 });
  const a = votes('a', START, START + minutes(10)).map((r) => ({ ...r, partition: 0 }));
  const b = votes('b', START, START + minutes(3)).map((r) => ({ ...r, partition: 1 }));
  driver.pipe('votes', byTime([...a, ...b]));
  // As long as partition 1 might still bring votes of b, nothing is said.
  expect(told(driver)).toEqual([]);
  driver.idle([1]);
  expect(told(driver)).toEqual(['validator-offline validator b (mainnet) firing critical']);
});

test('a partition that lags behind makes nobody offline', () => {
  const driver = drive(named('alerts-votes'), { partitions: 2 });
  const a = votes('a', START, START + minutes(60)).map((r) => ({ ...r, partition: 0 }));
  const b = votes('b', START, START + minutes(60)).map((r) => ({ ...r, partition: 1 }));
  driver.pipe('votes', b.slice(0, 10)).pipe('votes', a).pipe('votes', b.slice(10));
  expect(told(driver)).toEqual([]);
});

test('after an outage of everything, whoever reports first makes nobody else silent', () => {
  const driver = drive(named('alerts-fleet'));
  const hosts = ['web-1', 'web-2'];
  const before = hosts.flatMap((host) => load(host, START, START + minutes(10), 20));
  const after = [
    ...load('web-1', START + minutes(70), START + minutes(80), 20),
    ...load('web-2', START + minutes(71), START + minutes(80), 20),
  ];
  driver.pipe('system.metrics', byTime(before)).pipe('system.metrics', byTime(after));
  expect(told(driver)).toEqual([]);
});

test('a host that is down is told of, once', () => {
  const driver = drive(named('alerts-fleet'), { partitions: 1 });
  const records = [
    ...load('web-1', START, START + minutes(30), 20),
    ...load('web-2', START, START + minutes(10), 20),
  ];
  driver.pipe('system.metrics', byTime(records));
  expect(told(driver)).toEqual(['host-silent web-2 firing critical']);
});

test.each([1, 7, 60, 4_096])(
  'crashes at any point, in batches of %i, leave the same transitions',
  (batchRecords) => {
    const usage = (at: number) => ((at / 600_000) & 1 ? 95 : 20);
    const records = byTime([
      ...load('web-1', START, START + minutes(90), usage),
      ...load('web-2', START, START + minutes(40), usage),
    ]);
    const calm = drive(named('alerts-fleet'));
    calm.pipe('system.metrics', records);
    const shaken = drive(named('alerts-fleet'), { batchRecords });
    for (let at = 0; at < records.length; at += 50) {
      shaken.pipe('system.metrics', records.slice(at, at + 50), { commit: at % 150 === 0 });
      if (at % 200 === 0) shaken.crash();
    }
    shaken.commit();
    const of = (driver: TopologyDriver) =>
      driver.records('alerts').map(({ key, value }) => `${key} ${value}`);
    expect(of(calm).length).toBeGreaterThan(8);
    expect(of(shaken).sort()).toEqual(of(calm).sort());
  },
);

test('own health is judged like anything else', () => {
  const driver = drive(named('alerts-health'));
  const report = (at: number, failing: number) => ({
    value: {
      process: 'p1',
      timestamp: at,
      values: [
        { measure: 'sink.failing', of: 'influx:x', value: failing },
        { measure: 'engine.disk', value: 40 },
      ],
    },
  });
  const reports = [0, 10, 20, 40, 0].map((failing, i) => report(START + i * 10_000, failing));
  driver.pipe('tidemark.health', reports);
  expect(told(driver)).toEqual([
    'sink-failing influx:x of p1 firing critical',
    'sink-failing influx:x of p1 resolved critical',
  ]);
});

test('a rule that is off judges nobody', () => {
  const usage = load('web-1', START, START + minutes(10), 95);
  const driver = drive(named('alerts-fleet'));
  driver.pipe('system.metrics', usage);
  expect(told(driver)).toHaveLength(2);
  const off = defaultRules.map((rule) => ({ ...rule, enabled: false }));
  expect(drive(named('alerts-fleet', off)).pipe('system.metrics', usage).read('alerts')).toEqual(
    [],
  );
});
