/** How readings and their rollups become points, and the feeds that carry them to the databases [S2]. */
import type { DataPoint, FleetRollup, Point, SystemMetric } from '../../src/model/index.ts';
import { type Codec, type Topology, topology } from '../../src/stream/index.ts';
import { ANNOTATIONS_TOPIC, annotationCodec } from './annotation.ts';
import { type FleetMetricsTopics, fleetMetricsTopics } from './fleet-metrics.ts';
import { fleetAnomalyCodec, fleetHostCodec, fleetRollupCodec } from './fleet-records.ts';
import { systemMetricCodec } from './system-metric.ts';

/** The tiers that databases keep; five minutes are for live answers and alerts. */
const TIERS = ['1h', '1d'] as const;

const NS_PER_MS = 1_000_000n;

type Place = Pick<
  SystemMetric,
  'host' | 'region' | 'environment' | 'service' | 'metricType' | 'tags'
>;

/** A reading's own names win over tags of the same name. */
const tagsOf = ({ host, region, environment, service, metricType, tags }: Place) => ({
  ...tags,
  host,
  region,
  environment,
  ...(service === undefined ? {} : { service }),
  metric_type: metricType,
});

/** A reading for InfluxDB: all its fields in one point, floats even where whole. */
export function metricPoint(metric: SystemMetric): Point {
  return {
    measurement: 'system_metrics',
    tags: tagsOf(metric),
    fields: metric.fields,
    timestampNs: BigInt(metric.timestamp) * NS_PER_MS,
  };
}

/** A reading for KairosDB: `system.<field>`. */
export function metricDataPoints(metric: SystemMetric): readonly DataPoint[] {
  const tags = tagsOf(metric);
  return Object.keys(metric.fields).map((field) => ({
    metric: `system.${field}`,
    tags,
    timestampMs: metric.timestamp,
    value: metric.fields[field] as number,
  }));
}

const FIGURES = ['mean', 'min', 'max', 'stddev', 'p50', 'p95', 'p99'] as const;

/** A rollup for InfluxDB, at its window's start: `usage_percent_mean` and so on; fields of one reading share a point. */
export function fleetRollupPoint(rollup: FleetRollup): Point {
  const { field } = rollup;
  return {
    measurement: 'system_metrics',
    tags: tagsOf(rollup),
    fields: {
      [`${field}_count`]: BigInt(rollup.count),
      ...Object.fromEntries(FIGURES.map((figure) => [`${field}_${figure}`, rollup[figure]])),
    },
    timestampNs: BigInt(rollup.window.start) * NS_PER_MS,
  };
}

/** A rollup for KairosDB: `system.<field>.<figure>`, at its window's start, with the tag `step`. */
export function fleetRollupDataPoints(rollup: FleetRollup): readonly DataPoint[] {
  const step = rollup.window.end - rollup.window.start > 3_600_000 ? '1d' : '1h';
  const tags = { ...tagsOf(rollup), step };
  const point = (figure: string, value: bigint | number): DataPoint => ({
    metric: `system.${rollup.field}.${figure}`,
    tags,
    timestampMs: rollup.window.start,
    value,
  });
  return [
    point('count', BigInt(rollup.count)),
    ...FIGURES.map((figure) => point(figure, rollup[figure])),
  ];
}

/** The feeds of the fleet, by where they end. */
export interface FleetFeeds {
  /** To InfluxDB; a sink's name is `influx:` and the bucket [S2]. */
  readonly influx: readonly Topology[];
  readonly kairos: readonly Topology[];
  /** To this process's own store, which answers the fleet's endpoints. */
  readonly history: Topology;
}

export interface FleetFeedNames {
  readonly feed?: (name: string) => string;
  readonly bucket?: (name: string) => string;
  readonly annotations?: string;
}

/** The same feeds from other topics, and into other buckets. */
export function fleetFeedsFrom(
  { metrics, rollups, anomalies, hosts }: FleetMetricsTopics,
  { feed = (name) => name, bucket = (name) => name, annotations }: FleetFeedNames = {},
): FleetFeeds {
  const influx = (name: string) => `influx:${bucket(name)}`;
  return {
    influx: [
      carry(feed('influx.metrics'), influx('system_metrics_raw'), (from) => {
        from(metrics, systemMetricCodec, (metric) => [metricPoint(metric)]);
      }),
      ...TIERS.map((step) =>
        carry(feed(`influx.metrics-${step}`), influx(`system_metrics_${step}`), (from) => {
          from(rollups(step), fleetRollupCodec, (rollup) => [fleetRollupPoint(rollup)]);
        }),
      ),
    ],
    kairos: [
      carry(feed('kairos.metrics'), 'kairos', (from) => {
        from(metrics, systemMetricCodec, metricDataPoints);
      }),
      carry(feed('kairos.metrics-rollups'), 'kairos', (from) => {
        for (const step of TIERS) from(rollups(step), fleetRollupCodec, fleetRollupDataPoints);
      }),
    ],
    history: carry(feed('fleet-history'), 'fleet', (from) => {
      for (const step of ['5m', ...TIERS] as const) {
        from(rollups(step), fleetRollupCodec, (rollup) => [{ kind: 'rollup', rollup }]);
      }
      from(hosts, fleetHostCodec, (host) => [{ kind: 'host', host }]);
      from(anomalies, fleetAnomalyCodec, (anomaly) => [{ kind: 'anomaly', anomaly }]);
      from(annotations ?? ANNOTATIONS_TOPIC, annotationCodec, (annotation) => [
        { kind: 'annotation', annotation },
      ]);
    }),
  };
}

export const fleetFeeds: FleetFeeds = fleetFeedsFrom(fleetMetricsTopics);

type From = <T>(topic: string, codec: Codec<T>, points: (row: T) => readonly unknown[]) => void;

/**
 * The topology that derives a topic dead-letters what can't be read, or is from the future; feeds pass over it. What
 * the engine wrote itself is read whenever it is from.
 */
function carry(name: string, sink: string, draw: (from: From) => void): Topology {
  return topology(name, ({ source }) =>
    draw((topic, codec, points) =>
      source(topic, codec, {
        rejects: 'skip',
        ...(codec.name === systemMetricCodec.name
          ? {}
          : { futureToleranceMs: Number.POSITIVE_INFINITY }),
      }).into(sink, points),
    ),
  );
}
