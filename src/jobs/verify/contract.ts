/** What verifying a sink needs of it: its feeds, what it holds, and how a point of it is told and compared. */
import type { SinkPort, Topology } from '../../stream/index.ts';

export interface VerifiedFeed {
  readonly topology: Topology;
  /** Whose cursor tells what is stored already; undefined: all of the topic is. */
  readonly group: string | undefined;
}

export interface VerifiedSink<P = unknown> {
  /** `influx.votes`. */
  readonly name: string;
  /** Of a point that several of them give, the last one's stays. */
  readonly feeds: readonly VerifiedFeed[];
  readonly port: SinkPort;
  readonly points: PointForm<P>;
  /** All points of these series families in a half-open range of time, each once, in any order. */
  stored(
    range: { readonly fromMs: number; readonly toMs: number },
    names: ReadonlySet<string>,
    signal: AbortSignal,
  ): AsyncIterable<readonly P[]>;
  /** What is older may be gone by the database's own retention; -Infinity: it keeps all. */
  keptSinceMs(signal: AbortSignal): Promise<number>;
}

export interface PointForm<P> {
  /** Measurement or metric. */
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
