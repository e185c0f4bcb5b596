/** What the fleet's routes need of the engine; every shape is also the JSON that leaves the door (contract, HTTP). */
import type {
  FleetAnomaly,
  FleetHostState,
  FleetRollup,
  FleetSeriesId,
  MetricType,
} from '../../model/index.ts';

export type FleetStep = '5m' | '1h' | '1d';

/** up: seen within 30 s; stale: within 5 min; down: longer ago. */
export type HostStatus = 'up' | 'stale' | 'down';

export interface FleetHost extends FleetHostState {
  readonly status: HostStatus;
  /** Since it was last seen, ms. */
  readonly ageMs: number;
}

export type FleetPoint = Pick<
  FleetRollup,
  | 'window'
  | 'count'
  | 'sum'
  | 'min'
  | 'max'
  | 'mean'
  | 'stddev'
  | 'p50'
  | 'p95'
  | 'p99'
  | 'revision'
> & {
  /** false while readings may still change it. */
  readonly final: boolean;
};

/** One field of one host over time. */
export interface FleetSeries extends FleetSeriesId {
  readonly points: readonly FleetPoint[];
}

/** Half-open on window starts, ms. */
export interface FleetRange {
  readonly from: number;
  readonly to: number;
}

export interface FleetSeriesQuery extends FleetRange {
  readonly step: FleetStep;
  /** Absent: all hosts. */
  readonly hosts?: readonly string[];
  readonly metricType?: MetricType;
  readonly field?: string;
  /** Series whose tags hold all of these. */
  readonly tags?: Readonly<Record<string, string>>;
}

export type FleetDetector = 'records' | 'z-score';

export interface FleetAnomalyQuery extends FleetRange {
  readonly host?: string;
  readonly metricType?: MetricType;
  readonly field?: string;
  /** `records` was judged in the stream; `z-score` (2σ) is judged now, from stored five-minute means. */
  readonly detector: FleetDetector;
  readonly limit: number;
}

export interface FleetForecastQuery {
  readonly host: string;
  readonly field: string;
  readonly metricType?: MetricType;
  readonly tags?: Readonly<Record<string, string>>;
  /** How far ahead, ms. */
  readonly horizonMs: number;
  /** The value at which it is full. */
  readonly capacity: number;
  /** Of the interval, in (0, 1). */
  readonly confidence: number;
}

export interface FleetForecast extends FleetSeriesId {
  /** `holt-winters`: trend and daily season; `trend`: a straight line, where there is less than that needs; null: `reason` says why there is none. */
  readonly model: 'holt-winters' | 'trend' | null;
  readonly reason: string | null;
  readonly capacity: number;
  readonly confidence: number;
  /** Hourly means that it was made from. */
  readonly history: {
    readonly windows: number;
    readonly from: number | null;
    readonly to: number | null;
  };
  /** Window starts, hourly; the interval holds each with probability `confidence`. */
  readonly points: readonly {
    readonly timestamp: number;
    readonly mean: number;
    readonly lower: number;
    readonly upper: number;
  }[];
  /** When the capacity is reached: by the mean, and by the interval's bounds. null: not within the horizon. */
  readonly fullAt: {
    readonly expected: number | null;
    readonly earliest: number | null;
    readonly latest: number | null;
  };
}

export interface FleetPort {
  /** By name. */
  hosts(): Promise<readonly FleetHost[]>;
  host(host: string): Promise<FleetHost | undefined>;
  /** By host, metric type, field, tags. Rejects with FatalError TOO_MUCH_ASKED when it would be too many points. */
  series(query: FleetSeriesQuery): Promise<readonly FleetSeries[]>;
  /** Newest first. */
  anomalies(query: FleetAnomalyQuery): Promise<readonly FleetAnomaly[]>;
  /** undefined: no such series is known. Rejects with FatalError AMBIGUOUS_SERIES when it is several. */
  forecast(query: FleetForecastQuery): Promise<FleetForecast | undefined>;
}
