/** From closed windows and newest readings to the records of `fleet.*`, and back for whoever reads them. */
import {
  type FleetAnomaly,
  type FleetHostState,
  type FleetRollup,
  type LatestReading,
  type MetricType,
  tagsFrom,
  tagsText,
} from '../../src/model/index.ts';
import { type Codec, rowDecoder, type Windowed, type WithScore } from '../../src/stream/index.ts';
import type { FieldSummaries } from './field-summaries.ts';
import type { MetricRow } from './system-metric.ts';

/** Kinds of readings (types and tags) kept of one host: the newest. */
const READINGS_MAX = 256;

/** A rollup of each field of a closed window, whose key is [host, metric type, tags]. */
export function fleetRollupsOf(
  topic: string,
  row: Windowed<FieldSummaries>,
): readonly FleetRollup[] {
  if (row.state === undefined) return [];
  const [host, metricType, tags] = row.key as readonly [string, MetricType, string];
  const { region = '', environment = '', service } = row.carried;
  const lineage = {
    topic,
    partition: row.partition,
    firstOffset: row.firstOffset,
    lastOffset: row.lastOffset,
    late: row.late,
    duplicates: row.duplicates,
  };
  const shared = {
    window: { start: row.start, end: row.end },
    host,
    region,
    environment,
    ...(service === undefined ? {} : { service }),
    metricType,
    tags: tagsFrom(tags),
  };
  return Array.from(row.state, ([field, summary]) => {
    const [p50, p95, p99] = summary.quantiles([0.5, 0.95, 0.99]) as [number, number, number];
    return {
      ...shared,
      field,
      count: summary.count,
      sum: summary.sum,
      min: summary.min,
      max: summary.max,
      mean: summary.mean,
      stddev: summary.stddev,
      p50,
      p95,
      p99,
      digest: summary.digest.toBytes().toString('base64'),
      revision: row.revision,
      lineage,
    };
  });
}

/** What tells a series apart: host, metric type, field and tags. */
export const seriesKey = ({
  host,
  metricType,
  field,
  tags,
}: Pick<FleetRollup, 'host' | 'metricType' | 'field' | 'tags'>): string =>
  [host, metricType, field, tagsText(tags)].join('\u001e');

export function anomalyOf(detector: string, row: WithScore<FleetRollup>): FleetAnomaly {
  const { host, region, environment, service, metricType, field, tags, window } = row;
  return {
    host,
    region,
    environment,
    ...(service === undefined ? {} : { service }),
    metricType,
    field,
    tags,
    window,
    value: row.mean,
    score: row.score,
    detector,
  };
}

/** A host's state with one more reading: the newest of each kind, whatever order they come in. */
export function withReading(before: FleetHostState | undefined, row: MetricRow): FleetHostState {
  const { host, metricType, timestamp, fields } = row;
  const reading: LatestReading = { metricType, tags: row.tags ?? {}, timestamp, fields };
  const latest = before?.latest ?? [];
  const at = latest.findIndex((each) => isSameKind(each, reading, row.tagsText));
  const isNews = at < 0 || (latest[at] as LatestReading).timestamp <= timestamp;
  // Of one host, so where it stands comes from its newest reading.
  const place = before === undefined || timestamp >= before.lastSeen ? row : before;
  return {
    host,
    region: place.region,
    environment: place.environment,
    ...(place.service === undefined ? {} : { service: place.service }),
    lastSeen: Math.max(timestamp, before?.lastSeen ?? Number.NEGATIVE_INFINITY),
    latest: !isNews ? latest : at < 0 ? bounded([...latest, reading]) : latest.with(at, reading),
  };
}

function isSameKind(a: LatestReading, b: LatestReading, tags: string): boolean {
  return a.metricType === b.metricType && (a.tags === b.tags || tagsText(a.tags) === tags);
}

function bounded(latest: readonly LatestReading[]): readonly LatestReading[] {
  if (latest.length <= READINGS_MAX) return latest;
  const oldest = latest.reduce((a, b) => (b.timestamp < a.timestamp ? b : a));
  return latest.filter((reading) => reading !== oldest);
}

/** Reads `fleet.rollup.*`; event time is the window's start. */
export const fleetRollupCodec = jsonRows<FleetRollup>('fleet-rollup', (row) => row.window.start);
/** Reads `fleet.anomalies`; event time is the window's start. */
export const fleetAnomalyCodec = jsonRows<FleetAnomaly>('fleet-anomaly', (row) => row.window.start);
/** Reads `fleet.hosts`; event time is that of the newest reading. */
export const fleetHostCodec = jsonRows<FleetHostState>('fleet-host', (row) => row.lastSeen);

function jsonRows<T>(name: string, time: (row: T) => number): Codec<T> {
  return {
    name,
    createDecoder: () =>
      rowDecoder((text) => {
        const row = JSON.parse(text) as T;
        return { row, timestamp: time(row) };
      }),
    encode: (row) => Buffer.from(JSON.stringify(row)),
  };
}
