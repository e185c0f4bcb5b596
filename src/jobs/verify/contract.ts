/** What verifying a sink needs of it: its feeds, what it holds, and how a point of it is told and compared. */
import type { SinkPort, Topology } from '../../stream/index.ts';

export interface VerifiedFeed {
  readonly topology: Topology;
  /** Whose cursor tells what is stored already; undefined: all of the topic is. */
  readonly group: string | undefined;
  /** Its points may lie any time ahead of the log's; else none is over an hour ahead. */
  readonly anyTime?: true;
  /** What the feed gives its sink as points and removals; default: they are points. */
  readonly unpack?: (given: readonly unknown[]) => readonly unknown[];
}

export interface VerifiedSink<P = unknown> {
  /** `influx.votes`. */
  readonly name: string;
  /** Of a point that several of them give, the last one's stays. */
  readonly feeds: readonly VerifiedFeed[];
  readonly port: SinkPort;
  readonly points: PointForm<P>;
  /** All points of these families in a half-open range of time, each once, in any order. */
  stored(
    range: { readonly fromMs: number; readonly toMs: number },
    names: ReadonlySet<string>,
    signal: AbortSignal,
  ): AsyncIterable<readonly P[]>;
  /** As it stands now. */
  retention(signal: AbortSignal): Promise<Retention<P>>;
}

export interface Retention<P> {
  /** Whether the database must have it still; what it need not may be there or not. */
  keeps(point: P): boolean;
}

export interface PointForm<P> {
  /** Its family: measurement, metric, step. */
  name(point: P): string;
  timeMs(point: P): number;
  /** Equal for points that land on each other. */
  identity(point: P): string;
  /** Equal for equal contents. */
  value(point: P): string;
  /** What the database holds after both. */
  merge(older: P, newer: P): P;
  /** It can't be stored at all, and was told so as a dead letter. */
  isRefused(point: P): boolean;
  /** Of what takes points away instead: which of those that come before it in its partition. Default: nothing does. */
  removal?(point: P): Removal<P> | undefined;
}

/** All points that it takes are of one family, and of its partition. */
export interface Removal<P> {
  readonly name: string;
  /** Half-open. */
  readonly fromMs: number;
  readonly toMs: number;
  takes(point: P): boolean;
}

/** A stretch of one partition, in offsets. */
export type LogStretch = {
  /** Place of its feed among the sink's. */
  readonly feed: number;
  readonly topic: string;
  readonly partition: number;
  readonly start: number;
  readonly end: number;
};
