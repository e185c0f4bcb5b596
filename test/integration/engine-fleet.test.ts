/** A fleet through the whole engine into a real InfluxDB: each tier holds what the topics say, and nothing else [S2, S5]. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAlertConfig } from '../../src/alerts/index.ts';
import { simulateFleet } from '../../src/collect/index.ts';
import { InfluxReader, setupBuckets } from '../../src/databases/influx/index.ts';
import { type Engine, startEngine } from '../../src/main.ts';
import {
  type AlertTransition,
  type FleetRollup,
  hours,
  minutes,
  type Point,
} from '../../src/model/index.ts';
import { loadSettings, silentLogger } from '../../src/runtime/index.ts';
import {
  alertHistoryFeed,
  alertTopologies,
  fleetFeedsFrom,
  fleetMetrics,
  fleetMetricsTopics,
  fleetRollupPoint,
  metricOf,
  metricPoint,
} from '../../topologies/index.ts';
import { differences, type Lines, recordsOf } from '../support/engine-contents.ts';
import {
  dropBucket,
  INFLUX_NAMES,
  influxFromEnvironment,
  pointsInBucket,
} from '../support/influx.ts';
import { needs } from '../support/require.ts';
import { newRun } from '../support/run-names.ts';

const START = Date.UTC(2026, 0, 5);
const BUCKETS = ['system_metrics_raw', 'system_metrics_1h', 'system_metrics_1d', 'alerts_history'];

describe.skipIf(!needs(INFLUX_NAMES))('of a fleet InfluxDB holds', () => {
  const run = newRun();
  const bucket = (name: string) => `test-${run}-${name}`;
  const metrics = [
    ...simulateFleet({
      hosts: 3,
      startMs: START,
      durationMs: hours(26),
      intervalMs: minutes(2),
      faults: [
        {
          host: 'host-002',
          kind: 'cpu-saturated',
          from: START + hours(5),
          to: START + hours(6),
          metricType: 'cpu',
          field: 'usage_percent',
          tags: {},
        },
      ],
    }),
  ];
  let engine: Engine;
  let data: string;

  beforeAll(async () => {
    await setupBuckets(
      influxFromEnvironment(),
      BUCKETS.map((name) => ({ name: bucket(name), retentionMs: 0 })),
    );
    data = await mkdtemp(join(tmpdir(), 'tidemark-fleet-'));
    const { INFLUX_URL, INFLUX_ORG, INFLUX_TOKEN } = process.env;
    const { settings } = loadSettings({
      environment: {
        INFLUX_URL,
        INFLUX_ORG,
        INFLUX_TOKEN,
        TIDEMARK_EPOCH_INTERVAL_MS: '50',
        TIDEMARK_PARTITIONS: '2',
      },
      flags: { data },
    });
    const [alerts] = alertTopologies(loadAlertConfig({}).rules) as [typeof fleetMetrics];
    const feeds = fleetFeedsFrom(fleetMetricsTopics, { bucket });
    engine = await startEngine(settings, {
      roles: ['engine', 'sinks'],
      topologies: [fleetMetrics, alerts],
      feeds: { ...feeds, influx: [...feeds.influx, alertHistoryFeed('alerts', { bucket })] },
      logger: silentLogger,
    });
    const sent = metrics.map((metric) => ({ key: metric.host, value: JSON.stringify(metric) }));
    for (let at = 0; at < sent.length; at += 1_000) {
      const batch = sent.slice(at, at + 1_000);
      await engine.broker.append(fleetMetricsTopics.metrics, batch);
    }
    // The last ones again, as an agent sends what it is not sure of.
    await engine.broker.append(fleetMetricsTopics.metrics, sent.slice(-50));
    await engine.finish(fleetMetrics.name);
    await engine.finish(alerts.name);
  }, 60_000);
  afterAll(async () => {
    await engine?.stop();
    await rm(data, { recursive: true, force: true });
    for (const name of BUCKETS) await dropBucket(influxFromEnvironment(), bucket(name));
  });

  const read = async <T>(topic: string): Promise<readonly T[]> =>
    (await recordsOf(engine.broker, [topic])).map(({ value }) => JSON.parse(value) as T);

  /** As numbers and ms: texts of the same double differ between the languages. */
  const stored = async (name: string): Promise<Lines> =>
    new Map(
      [...(await pointsInBucket(influxFromEnvironment(), bucket(name)))].map(([about, value]) => [
        about.replace(/ (\S+)$/, (_, time: string) => ` ${Date.parse(time)}`),
        value.replace(/ (.*)$/, (_, text: string) => ` ${Number(text)}`),
      ]),
    );

  test('every reading once', async () => {
    const points = metrics.map((metric) => metricPoint(metricOf(metric)));
    expect(points.length).toBeGreaterThan(10_000);
    expect(differences(await stored('system_metrics_raw'), linesOf(points))).toEqual([]);
  });

  test.each(['1h', '1d'] as const)('every rollup of %s that the topic has', async (step) => {
    const rollups = await read<FleetRollup>(`fleet.rollup.${step}`);
    expect(rollups.length).toBeGreaterThan(50);
    expect(
      differences(await stored(`system_metrics_${step}`), linesOf(rollups.map(fleetRollupPoint))),
    ).toEqual([]);
  });

  test('every transition of every alert', async () => {
    const transitions = await read<AlertTransition>('alerts');
    expect(transitions.map(({ rule, state }) => `${rule} ${state}`)).toEqual(
      expect.arrayContaining(['cpu pending', 'cpu firing', 'cpu resolved']),
    );
    const reader = new InfluxReader({ config: influxFromEnvironment() });
    const found = await reader.rows(
      `from(bucket: "${bucket('alerts_history')}") |> range(start: 0) |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()`,
      (row) => ({
        id: row.text('alert_id'),
        rule: row.text('rule'),
        severity: row.text('severity'),
        state: row.text('state'),
        summary: row.text('summary'),
        at: row.timeMs('_time'),
        startedAt: row.number('started_at'),
        sequence: row.number('sequence'),
        value: row.number('value') ?? null,
        threshold: row.number('threshold') ?? null,
      }),
    );
    const inOrder = (list: readonly object[]) => list.map((one) => JSON.stringify(one)).sort();
    expect(inOrder(found)).toEqual(
      inOrder(
        transitions.map(
          ({ id, rule, severity, state, summary, at, startedAt, sequence, value, threshold }) => ({
            ...{ id, rule, severity, state, summary, at, startedAt, sequence, value, threshold },
          }),
        ),
      ),
    );
  });
});

function linesOf(points: readonly Point[]): Lines {
  const lines = new Map<string, string>();
  for (const { measurement, tags, fields, timestampNs } of points) {
    const named = Object.entries(tags)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `,${name}=${value}`)
      .join('');
    for (const [field, value] of Object.entries(fields))
      lines.set(
        `${measurement}${named} ${field} ${timestampNs / 1_000_000n}`,
        `${typeof value === 'bigint' ? 'long' : 'double'} ${Number(value)}`,
      );
  }
  return lines;
}
