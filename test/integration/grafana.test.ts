/**
 * Every query of the dashboards in `deploy/grafana`, with its variables put in as Grafana does, against what it asks: a
 * real InfluxDB, our KairosDB endpoint and the engine's own metrics. Each gives values [V9].
 */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { simulateFleet, simulateVotes } from '../../src/collect/index.ts';
import { InfluxSink, setupBuckets } from '../../src/databases/influx/index.ts';
import {
  type DataPoint,
  type FleetRollup,
  hours,
  minutes,
  type Point,
  type Rollup,
} from '../../src/model/index.ts';
import { drive } from '../../src/stream/index.ts';
import {
  fleetMetrics,
  fleetRollupPoint,
  metricDataPoints,
  metricOf,
  metricPoint,
  rollupDataPoints,
  rollupPoint,
  type Vote,
  voteLatency,
  votePoint,
} from '../../topologies/index.ts';
import { filesBelow, projectRoot } from '../house/source.ts';
import { dropBucket, INFLUX_NAMES, influxCall, influxFromEnvironment } from '../support/influx.ts';
import { type KairosServerOfTest, kairosServer } from '../support/kairos-server.ts';
import { needs } from '../support/require.ts';

interface Target {
  readonly datasource: { readonly uid: string };
  readonly query?: string;
  readonly expr?: string;
  readonly url?: string;
  readonly url_options?: { readonly data: string };
}
interface Dashboard {
  readonly uid: string;
  readonly panels: readonly { readonly title: string; readonly targets: readonly Target[] }[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string }[];
  };
}

const folder = join(projectRoot, 'deploy/grafana');
const dashboards = readdirSync(join(folder, 'dashboards')).map((name) => ({
  name,
  ...(JSON.parse(readFileSync(join(folder, 'dashboards', name), 'utf8')) as Dashboard),
}));
const targetsOf = (uid: string) =>
  dashboards.flatMap(({ name, panels }) =>
    panels.flatMap(({ title, targets }) =>
      targets
        .filter(({ datasource }) => datasource.uid === uid)
        .map((target) => ({ what: `${name}: ${title}`, target })),
    ),
  );

/** Ends at a full hour that has passed, so that whole hours of rollups lie within. */
const TO = Math.floor(Date.now() / hours(1)) * hours(1);
const FROM = TO - hours(26);
const run = randomUUID().slice(0, 8);
const bucketOf = (name: string) => `test-grafana-${run}-${name}`;
const BUCKETS = [
  'vote-latencies-raw',
  'vote-latencies-5m',
  'validator-metrics',
  'system_metrics_raw',
  'system_metrics_1h',
];

const sent = [
  ...simulateVotes({
    seed: 3,
    startMs: TO - hours(3),
    validators: 8,
    ratePerSecond: 0.5,
    count: 5_000,
    lateShare: 0,
  }),
].map(({ key, value }) => ({ key: String(key), value: String(value) }));
const votes = [...new Set(sent.map(({ value }) => value))].map((text) => JSON.parse(text) as Vote);
const metrics = [
  ...simulateFleet({
    hosts: 3,
    startMs: TO - hours(3),
    durationMs: hours(3),
    intervalMs: minutes(1),
  }),
].map((metric) => metricOf(metric));
const variables: Record<string, string> = {
  network: votes[0]!.network,
  validator: votes[0]!.validator.slice(0, 8),
  host: metrics[0]!.host,
  __from: String(FROM),
  __to: String(TO),
};
/** `${name}` as Grafana's; time range and interval as its InfluxDB data source gives them. */
const interpolated = (text: string): string =>
  text
    .replace(/\$\{(\w+)\}/g, (_, name: string) => {
      const value = variables[name];
      if (value === undefined) throw new Error(`no variable ${name}`);
      return value;
    })
    .replaceAll('v.timeRangeStart', new Date(FROM).toISOString())
    .replaceAll('v.timeRangeStop', new Date(TO).toISOString())
    .replaceAll('v.windowPeriod', '10m')
    .replace(/from\(bucket: "([^"]+)"/g, (_, name: string) => `from(bucket: "${bucketOf(name)}"`)
    .replace(
      /tagValues\(bucket: "([^"]+)"/g,
      (_, name: string) => `tagValues(bucket: "${bucketOf(name)}"`,
    );

const votesDriven = drive(voteLatency, {}).pipe('votes', sent).end();
const rollups = (['5m', '1h', '1d'] as const).flatMap((step) =>
  votesDriven.read<Rollup>(`votes.rollup.${step}`).map((rollup) => ({ step, rollup })),
);

test('the data sources that dashboards name are provisioned, and each dashboard of V9 is there', () => {
  const { datasources } = parse(
    readFileSync(join(folder, 'provisioning/datasources/tidemark.yaml'), 'utf8'),
  ) as { datasources: { uid: string; type: string }[] };
  const known = datasources.map(({ uid }) => uid);
  const used = dashboards.flatMap(({ panels }) =>
    panels.flatMap(({ targets }) => targets.map(({ datasource }) => datasource.uid)),
  );
  expect([...new Set(used)].sort()).toEqual([...known].sort());
  expect(dashboards.map(({ uid }) => uid).sort()).toEqual([
    'tidemark-engine',
    'tidemark-fleet',
    'tidemark-latency',
    'tidemark-network',
    'tidemark-validator',
    'tidemark-vote-rate',
  ]);
});

describe.skipIf(!needs(INFLUX_NAMES))('in InfluxDB', () => {
  beforeAll(async () => {
    const config = influxFromEnvironment();
    await setupBuckets(
      config,
      BUCKETS.map((name) => ({ name: bucketOf(name), retentionMs: 0 })),
    );
    const store = (into: string, points: readonly Point[]) =>
      new InfluxSink({ config, bucket: bucketOf(into) }).write(points);
    const fleet = drive(fleetMetrics, {})
      .pipe(
        'system.metrics',
        metrics.map(({ tagsText: _, reading: __, ...value }) => ({ key: value.host, value })),
      )
      .end();
    await store('vote-latencies-raw', votes.map(votePoint));
    await store(
      'vote-latencies-5m',
      rollups.filter(({ step }) => step === '5m').map(({ rollup }) => rollupPoint(rollup)),
    );
    // A day begins before the range does: put where the panel looks.
    await store(
      'validator-metrics',
      rollups
        .filter(({ step }) => step !== '5m')
        .map(({ step, rollup }) =>
          rollupPoint(
            step === '1d' ? { ...rollup, window: { start: TO - hours(24), end: TO } } : rollup,
            step,
          ),
        ),
    );
    await store('system_metrics_raw', metrics.map(metricPoint));
    await store(
      'system_metrics_1h',
      fleet.read<FleetRollup>('fleet.rollup.1h').map(fleetRollupPoint),
    );
  });
  afterAll(async () => {
    for (const name of BUCKETS) await dropBucket(influxFromEnvironment(), bucketOf(name));
  });

  async function rowsOf(query: string): Promise<string[]> {
    const config = influxFromEnvironment();
    const { status, text } = await influxCall(config, `/api/v2/query?org=${config.org}`, {
      method: 'POST',
      body: JSON.stringify({ query, type: 'flux', dialect: { annotations: [], header: true } }),
    });
    expect(status, `${text}\n${query}`).toBe(200);
    expect(text).not.toMatch(/^,?error,reference/m);
    return text.split('\r\n').filter((line) => /^,_?\w*,\d+,/.test(line));
  }

  test.each(targetsOf('tidemark-influxdb'))('$what gives values', async ({ target }) => {
    expect((await rowsOf(interpolated(target.query as string))).length).toBeGreaterThan(0);
  });

  test('variables list what is there', async () => {
    const asked = dashboards.flatMap(({ templating }) => templating.list);
    expect(asked.length).toBeGreaterThan(4);
    for (const { name, query } of asked) {
      const values = (await rowsOf(interpolated(query))).map((row) => row.split(',').at(-1));
      expect(values, name).toContain(variables[name]);
    }
  });
});

describe('in KairosDB’s API', () => {
  let server: KairosServerOfTest;
  beforeAll(async () => {
    server = await kairosServer();
    await server.store.connect();
    const points: DataPoint[] = [
      ...rollups.flatMap(({ step, rollup }) => rollupDataPoints(rollup, step)),
      ...metrics.flatMap(metricDataPoints),
    ];
    await server.store.write(points);
  });
  afterAll(() => server.close());

  test.each(targetsOf('tidemark-kairosdb'))('$what gives values', async ({ target }) => {
    const answer = await server.app.inject({
      method: 'POST',
      url: target.url as string,
      headers: { 'content-type': 'application/json' },
      payload: interpolated(target.url_options?.data as string),
    });
    expect(answer.statusCode, answer.body).toBe(200);
    expect(answer.json().queries[0].results[0].values.length).toBeGreaterThan(5);
  });
});

test('the engine’s dashboard asks only for metrics that the product declares', () => {
  const declared = new Set(
    filesBelow('src').flatMap(({ text }) =>
      [...text.matchAll(/\b(?:counter|gauge|histogram)\(\s*'([a-z_]+)'/g)].map(([, name]) => name),
    ),
  );
  const asked = targetsOf('tidemark-prometheus').flatMap(({ target }) =>
    [
      ...(target.expr as string).matchAll(
        /\b(?:delivery|stream|broker|api|backlog|query)_[a-z_]+/g,
      ),
    ].map(([name]) => name),
  );
  expect(asked.length).toBeGreaterThan(10);
  expect(asked.filter((name) => !declared.has(name.replace(/_bucket$/, '')))).toEqual([]);
});

test.skipIf(process.env.REQUIRE_SERVERS !== '1')('promtool takes each of its expressions', () => {
  const targets = targetsOf('tidemark-prometheus');
  const rules = targets.map(({ target }, index) => ({
    record: `r${index}`,
    expr: target.expr?.replaceAll('$__rate_interval', '1m'),
  }));
  const place = mkdtempSync(join(tmpdir(), 'tidemark-grafana-'));
  try {
    writeFileSync(join(place, 'rules.yml'), JSON.stringify({ groups: [{ name: 'g', rules }] }));
    const said = execFileSync('promtool', ['check', 'rules', join(place, 'rules.yml')]);
    expect(String(said)).toContain(`SUCCESS: ${targets.length} rules found`);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
