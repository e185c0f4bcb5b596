/**
 * What the HTTP service needs of the engine, and nothing more: `main.ts` joins the two. Every shape here is
 * also the JSON that leaves the door (contract, HTTP).
 */
import type { Broker } from '../broker/index.ts';
import type { DiffReport, Explanation, Jobs, PointName, RollupView } from '../jobs/index.ts';
import type { Rollup } from '../model/index.ts';
import type { Alerts } from './alerts/port.ts';
import type { AnnotationsPort } from './annotations/port.ts';
import type { FleetPort } from './fleet/port.ts';
import type { KairosIngest } from './kairos/ingest.ts';
import type { KairosPort } from './kairos/port.ts';

export type * from './alerts/port.ts';
export type * from './annotations/port.ts';
export type * from './fleet/port.ts';

/** What a rollup says of its window, and a live answer of one still open: numbers in slots, times in ms. */
export type WindowFigures = Pick<
  Rollup,
  'window' | 'count' | 'sum' | 'min' | 'max' | 'mean' | 'stddev' | 'p50' | 'p95' | 'p99'
>;

export interface LiveWindow extends WindowFigures {
  /** true once the window is closed and its rollup committed; false while votes may still change it. */
  readonly final: boolean;
}

/** One validator or network as it stands in the tasks' memory now. */
export interface LiveEntry {
  readonly id: string;
  readonly network: string;
  readonly voteAccount?: string;
  readonly open: LiveWindow | null;
  readonly closed: LiveWindow | null;
  /** Highest slot voted for; null when none was seen since start. */
  readonly lastSlot: number | null;
  readonly movingAverage: number | null;
  /** Up to where the log was read when this was true. Networks span partitions: the lowest watermark, the sum of offsets. */
  readonly asOf: { readonly offset: number; readonly watermark: number | null };
}

export type LiveSort = 'p99' | 'p95' | 'p50' | 'mean' | 'count' | 'lastSlot' | 'id';

export interface LiveVotes {
  validators(options: { readonly sort: LiveSort; readonly limit: number }): readonly LiveEntry[];
  validator(id: string): LiveEntry | undefined;
  network(name: string): LiveEntry | undefined;
  /** The last closed window that is stored here, whichever process owns the partition; `open` is null. */
  stored(scope: 'validator' | 'network', id: string): LiveEntry | undefined;
}

export type Step = '5m' | '1h' | '1d';

/** Where history is read; each process has the embedded store, InfluxDB only when it is named. */
export type HistoryStoreName = 'embedded' | 'influx';

/** `sum` and `revision` are absent when InfluxDB answered, which stores neither. */
export type HistoryPoint = Omit<WindowFigures, 'sum'> &
  Pick<Rollup, 'movingAverage'> &
  Partial<Pick<Rollup, 'sum' | 'revision'>>;

export interface HistoryAnswer {
  readonly store: HistoryStoreName;
  readonly points: readonly HistoryPoint[];
}

export interface HistoryQuery {
  readonly scope: 'validator' | 'network';
  readonly id: string;
  /** Half-open on window starts, ms. */
  readonly from: number;
  readonly to: number;
  readonly step: Step;
}

/** Stored rollups; percentiles over ranges come from merged digests. */
export interface History {
  /** Rejects with a Refusal's code, HISTORY_UNANSWERED, when no store that may be asked answers. */
  points(query: HistoryQuery): Promise<HistoryAnswer>;
  /** Always the embedded store's, which alone has digests. undefined when nothing is stored for it. */
  quantile(query: {
    readonly q: number;
    readonly from: number;
    readonly to: number;
    readonly scope: 'validator' | 'network';
    readonly id: string;
  }): Promise<
    { readonly value: number; readonly count: number; readonly windows: number } | undefined
  >;
}

/** Queries of InfluxDB by name; a process that is told of none has no such object. */
export interface StoredQueries {
  list(): readonly {
    readonly name: string;
    readonly says: string;
    readonly needs: readonly ('id' | 'network' | 'host' | 'metricType' | 'field')[];
  }[];
  /** Rejects with a TidemarkError when InfluxDB gives no answer. */
  ask(
    name: string,
    values: {
      readonly from: number;
      readonly to: number;
      readonly step: Step;
      readonly limit: number;
      readonly id?: string;
      readonly network?: string;
      readonly host?: string;
      readonly metricType?: string;
      readonly field?: string;
    },
  ): Promise<readonly object[]>;
}

/** Values within [from, to), slots. */
export interface DistributionBin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export interface Distribution {
  readonly count: number;
  /** From the lowest value to the highest, without gaps: one slot wide up to 16, then ever wider. */
  readonly bins: readonly DistributionBin[];
  readonly quantiles: readonly { readonly q: number; readonly value: number }[];
}

export interface GroupName {
  readonly scope: 'validator' | 'network';
  readonly id: string;
}

/** How latencies are spread, out of digests. undefined: nothing is known of the group, or nothing in the range. */
export interface Distributions {
  /** The newest open window. */
  live(group: GroupName): Distribution | undefined;
  /** Stored rollups, merged. */
  stored(
    query: GroupName & { readonly from: number; readonly to: number },
  ): Promise<Distribution | undefined>;
}

export type ReplayState = 'running' | 'done' | 'failed' | 'cancelled';

export interface ReplayRequest {
  /** A topology's name or a sink's. */
  readonly name: string;
  readonly from: { readonly time: number } | { readonly offset: number };
  readonly to?: { readonly time: number } | { readonly offset: number };
  /** Sinks to write into; absent: an isolated run that appends nothing to derived topics. */
  readonly into?: readonly string[];
  /** Compare with what is stored, write nothing. */
  readonly diff?: boolean;
}

export interface ReplayJob {
  readonly id: string;
  readonly name: string;
  readonly state: ReplayState;
  /** Records. */
  readonly progress: { readonly done: number; readonly total: number };
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly into: readonly string[];
  /** With `diff`. */
  readonly diff: DiffReport | null;
}

export interface Replays {
  /** Rejects with FatalError UNKNOWN_NAME / RANGE_INVALID / TOO_MANY_REPLAYS when the request can't be run. */
  start(request: ReplayRequest): Promise<ReplayJob>;
  list(): readonly ReplayJob[];
  get(id: string): ReplayJob | undefined;
  cancel(id: string): Promise<ReplayJob | undefined>;
}

export interface TaskView {
  readonly partition: number;
  readonly state: 'starting' | 'restoring' | 'running' | 'waiting' | 'failed' | 'stopped';
  readonly epoch: number;
  readonly watermark: number | null;
  /** Waits for records and for nothing else. */
  readonly idle: boolean;
  readonly offsets: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly nextOffset: number;
    readonly endOffset: number;
    readonly lag: number;
  }[];
  readonly restarts: number;
  readonly error: string | null;
}

export interface TopologyView {
  readonly name: string;
  /** Node and edge list; what `describe --format json` prints. */
  readonly graph: {
    readonly nodes: readonly {
      readonly id: string;
      readonly kind: string;
      readonly label: string;
      readonly detail?: Readonly<Record<string, unknown>>;
    }[];
    readonly edges: readonly { readonly from: string; readonly to: string }[];
  };
  readonly text: string;
  readonly mermaid: string;
  readonly hash: string;
  readonly tasks: readonly TaskView[];
}

export interface BacklogView {
  readonly sink: string;
  readonly topic: string;
  /** Records in the topic that the sink has not stored yet. */
  readonly points: number;
  readonly bytes: number;
  readonly oldestAgeMs: number | null;
  /** Given up since start: by `clear`, by a limit, or removed by retention before the sink read them. */
  readonly dropped: number;
  readonly rejected: number;
  /** By an operator: it goes on from its cursor when it is resumed. */
  readonly paused: boolean;
  readonly breaker: 'closed' | 'open' | 'half-open';
  readonly lastError: string | null;
  readonly nextAttemptAt: number | null;
}

/** Durable jobs of this process; replays are among them. */
export type JobsView = Pick<
  Jobs,
  'submit' | 'list' | 'get' | 'pause' | 'resume' | 'retry' | 'cancel' | 'report'
>;

export interface EngineView {
  readonly version: string;
  readonly broker: Broker;
  /** JSON field that keys a topic when a publisher gives none: `validator` for votes, `host` for system.metrics. */
  keyField(topic: string): string | undefined;
  /** Highest watermark known of a partition, ms; null when no task reads it. */
  watermark(topic: string, partition: number): number | null;
  topologies(): readonly TopologyView[];
  readonly live: LiveVotes;
  /**
   * What `live` would have said at a past moment of the log's time, ms. Rejects with FatalError RANGE_INVALID or
   * TOO_MUCH_ASKED, or RetriableError when too many ask at once.
   */
  liveAt(atMs: number): Promise<LiveVotes>;
  readonly history: History;
  readonly stored: StoredQueries | undefined;
  readonly distributions: Distributions;
  readonly replays: Replays;
  readonly alerts: Alerts;
  /** Absent: there is no `/v1/fleet`. */
  readonly fleet?: FleetPort | undefined;
  /** Absent: there is no `/v1/annotations`. */
  readonly annotations?: AnnotationsPort | undefined;
  readonly jobs: JobsView;
  /** Rejects with FatalError UNKNOWN_POINT or LINEAGE_GONE. */
  explain(text: string, name: PointName, signal: AbortSignal): Promise<Explanation>;
  /** What `/api/v1` reads and writes; absent: there is no `/api/v1`. */
  readonly kairos?: KairosPort | undefined;
  /** The log that points go into; absent: this process takes none (403, as a KairosDB that only queries). */
  readonly ingest?: KairosIngest | undefined;
  /** Default true; false: `/api/v1` refuses queries (403, as a KairosDB that only ingests). */
  readonly answersQueries?: boolean;
  /** KairosDB's rollup tasks as the scheduler sees them. */
  readonly rollups?: { list(): Promise<readonly RollupView[]> } | undefined;
  backlog(): Promise<readonly BacklogView[]>;
  /** Try now, without waiting for the backoff. */
  flushBacklog(sink: string): Promise<boolean>;
  /** Gives up what is waiting: moves the sink's cursor to the end of its topic, counting it as dropped. */
  clearBacklog(sink: string): Promise<number | undefined>;
  /** Pauses or resumes sinks, for every process and after any restart. */
  pauseSinks(sinks: readonly string[], paused: boolean): Promise<void>;
  /** Why nothing may be published to a topic now: a sink behind it has more waiting than it may. */
  blocked(topic: string): string | undefined;
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  /** false once something stopped for good; reasons say what and how to mend it. */
  health(): { readonly healthy: boolean; readonly reasons: readonly string[] };
}
