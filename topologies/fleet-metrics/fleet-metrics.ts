/**
 * Hosts' readings in; rollups of every field, anomalies and the state of each host out [S2, S3].
 *
 *   system.metrics ─► dedup ─┬─► newest of each host ───────────────────► fleet.hosts
 *     │                      └─► 5m windows ─┬─► 1h ─► 1d ── per field ─► fleet.rollup.5m/1h/1d
 *     │                            │         └─► per field ─► detect ───► fleet.anomalies
 *     │                            └─► system.metrics.late
 *     └─► system.metrics.dead-letter
 *
 * A host's readings stay in one partition, so nothing crosses partitions. Hours and days are merged from
 * five-minute digests; detectors judge five-minute means.
 */
import { days, type FleetRollup, hours, minutes, seconds } from '../../src/model/index.ts';
import { fleetDetector } from '../../src/stats/index.ts';
import {
  condense,
  dedup,
  detect,
  filter,
  flatMap,
  map,
  rollup,
  type Stream,
  type Topology,
  topology,
  tumbling,
  type Windowed,
  window,
} from '../../src/stream/index.ts';
import { type FieldSummaries, fieldSummaries } from './field-summaries.ts';
import { anomalyOf, fleetRollupsOf, seriesKey, withReading } from './fleet-records.ts';
import { systemMetricCodec } from './system-metric.ts';

export const FLEET_STEPS = ['5m', '1h', '1d'] as const;
export type FleetStepName = (typeof FLEET_STEPS)[number];

const GRACE_MS = seconds(30);
/**
 * Above the detector's own 0.5, since a fleet has thousands of series. What is shown is not yet what wakes people:
 * the rule `anomaly` takes 0.6 (`docs/decisions/0022`).
 */
const SCORE_MIN = 0.55;
const sizeMs: Readonly<Record<FleetStepName, number>> = {
  '5m': minutes(5),
  '1h': hours(1),
  '1d': days(1),
};

export interface FleetMetricsTopics {
  readonly metrics: string;
  readonly late: string;
  readonly anomalies: string;
  readonly hosts: string;
  rollups(step: FleetStepName): string;
}

export const fleetMetricsTopics: FleetMetricsTopics = {
  metrics: 'system.metrics',
  late: 'system.metrics.late',
  anomalies: 'fleet.anomalies',
  hosts: 'fleet.hosts',
  rollups: (step) => `fleet.rollup.${step}`,
};

/** The same drawing between other topics. */
export function fleetMetricsBetween(names: FleetMetricsTopics, name = 'fleet-metrics'): Topology {
  return topology(name, ({ source }) => {
    const readings = source(names.metrics, systemMetricCodec, { key: 'host' }).pipe(
      'dedup',
      // As long as a window is open a reading sent twice must be known: an agent sends again what it is not sure of.
      dedup({ by: ['reading', 'timestamp'], withinMs: minutes(5), keepMs: minutes(6) }),
    );

    readings
      .pipe(
        'hosts',
        condense({
          key: ({ host }) => host,
          fold: withReading,
          time: ({ lastSeen }) => lastSeen,
          everyMs: seconds(10),
          forgetAfterMs: days(30),
          as: 'hosts',
        }),
      )
      .to(names.hosts, {
        key: ({ host }) => host,
        value: JSON.stringify,
        timestamp: ({ lastSeen }) => lastSeen,
      });

    const fiveMinutes = readings.pipe(
      'readings 5m',
      window({
        by: ['host', 'metricType', 'tagsText'],
        carry: ['region', 'environment', 'service'],
        windows: tumbling({ sizeMs: sizeMs['5m'], graceMs: GRACE_MS, late: names.late }),
        aggregate: fieldSummaries,
      }),
    );
    const anHour = fiveMinutes.pipe('readings 1h', rollup(widths('1h')));
    const aDay = anHour.pipe('readings 1d', rollup(widths('1d')));

    const means = emit(fiveMinutes, '5m');
    emit(anHour, '1h');
    emit(aDay, '1d');

    means
      .pipe('judged', filter(isJudged))
      .pipe(
        'detect',
        detect<FleetRollup>({
          detector: fleetDetector,
          scoreMin: SCORE_MIN,
          key: seriesKey,
          value: ({ mean }) => mean,
          time: ({ window }) => window.start,
        }),
      )
      .pipe(
        'anomalies',
        map((row) => anomalyOf(fleetDetector, row)),
      )
      .to(names.anomalies, {
        key: ({ host }) => host,
        value: JSON.stringify,
        timestamp: ({ window }) => window.start,
      });
  });

  /** A rollup per field of each closed window, into its topic. */
  function emit(
    closed: Stream<Windowed<FieldSummaries>>,
    step: FleetStepName,
  ): Stream<FleetRollup> {
    const rollups = closed.pipe(
      `fields ${step}`,
      flatMap((row) => fleetRollupsOf(names.metrics, row)),
    );
    rollups.to(names.rollups(step), {
      key: ({ host }) => host,
      value: JSON.stringify,
      timestamp: ({ window }) => window.start,
    });
    return rollups;
  }
}

/** What has a share beside it that says the same, and what only grows. */
const NOT_JUDGED: ReadonlySet<string> = new Set([
  'total_bytes',
  'used_bytes',
  'available_bytes',
  'swap_total_bytes',
  'swap_used_bytes',
  'uptime_seconds',
]);

/** A counter that only grows is unlike what came before it every time. */
const isJudged = ({ field }: FleetRollup): boolean =>
  !NOT_JUDGED.has(field) && !field.endsWith('_total');

const widths = (step: FleetStepName) => ({
  windows: tumbling({ sizeMs: sizeMs[step], graceMs: GRACE_MS }),
  aggregate: fieldSummaries,
});

export const fleetMetrics: Topology = fleetMetricsBetween(fleetMetricsTopics);
