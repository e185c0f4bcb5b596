/** What hosts report, and what is known of them: records of `system.metrics` and of the topics derived from it. */
import type { RollupFigures, Window } from './rollup.ts';

export const metricTypes = ['cpu', 'memory', 'disk', 'network', 'process'] as const;
export type MetricType = (typeof metricTypes)[number];

/** One reading of one host, as it stands in `system.metrics` (contract, Topics; mission S1). */
export interface SystemMetric {
  readonly host: string;
  readonly region: string;
  readonly environment: string;
  readonly service?: string;
  readonly metricType: MetricType;
  /** Event time, ms. */
  readonly timestamp: number;
  /** What the reading is of, beside the host: `{ mount: '/' }`, `{ interface: 'eth0' }`. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Name → finite number. Names carry their unit; a counter that only grows ends in `_total`. */
  readonly fields: Readonly<Record<string, number>>;
}

/** Whose numbers these are: one field of one host, with the tags of its reading. */
export interface FleetSeriesId {
  readonly host: string;
  readonly metricType: MetricType;
  readonly field: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** One window of one series: `fleet.rollup.5m|1h|1d`. */
export interface FleetRollup extends FleetSeriesId, RollupFigures {
  readonly region: string;
  readonly environment: string;
  readonly service?: string;
}

/** A five-minute mean unlike what came before it: `fleet.anomalies`. */
export interface FleetAnomaly extends FleetSeriesId {
  readonly window: Window;
  readonly region: string;
  readonly environment: string;
  readonly service?: string;
  /** The window's mean. */
  readonly value: number;
  /** 0.55 to 1; from 0.5 on an alarm is due by the detector's own rule. */
  readonly score: number;
  readonly detector: string;
}

/** The newest reading of one metric type (and tags) of a host. */
export interface LatestReading {
  readonly metricType: MetricType;
  readonly tags: Readonly<Record<string, string>>;
  readonly timestamp: number;
  readonly fields: Readonly<Record<string, number>>;
}

/** A host and its newest readings: `fleet.hosts`, the last record of each key counts. */
export interface FleetHostState {
  readonly host: string;
  readonly region: string;
  readonly environment: string;
  readonly service?: string;
  /** Event time of the newest reading, ms. */
  readonly lastSeen: number;
  readonly latest: readonly LatestReading[];
}

/** Tags in one order, as text that tells series apart: JSON of the pairs sorted by name; empty without tags. */
export function tagsText(tags: Readonly<Record<string, string>> | undefined): string {
  if (tags === undefined) return '';
  const names = Object.keys(tags);
  if (names.length === 0) return '';
  if (names.length > 1) names.sort();
  return JSON.stringify(names.map((name) => [name, tags[name]]));
}

/** Undoes `tagsText`. */
export const tagsFrom = (text: string): Readonly<Record<string, string>> =>
  text === '' ? {} : Object.fromEntries(JSON.parse(text) as [string, string][]);

/** A note on the time line, as its topic and store keep it. */
export interface StoredAnnotation {
  readonly id: string;
  /** ms. */
  readonly time: number;
  /** End of a stretch, ms; null: a moment. */
  readonly endTime: number | null;
  readonly text: string;
  readonly tags: readonly string[];
  /** Of one host; null: of everything. */
  readonly host: string | null;
  readonly createdAt: number;
  /** Said last: it is no more. */
  readonly removed?: boolean;
}
