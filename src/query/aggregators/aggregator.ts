/** What an aggregator is: a step from points to points, one instance per group of a result. */
import type { DataPoint } from '../../model/index.ts';
import type { Given, ObjectKind, Properties } from '../parse/property.ts';
import type { GroupType, PointSink } from '../point.ts';
import type { Zone } from '../time/zone.ts';

/** What an aggregator learns of its query. */
export interface QueryFrame {
  readonly startMs: number;
  /** Included; Infinity when the query leaves it open. */
  readonly endMs: number;
  readonly nowMs: number;
  readonly zone: Zone;
  /** Tags named in the query's tag group-bys. */
  readonly groupTags: readonly string[];
}

/** What an aggregator learns of the group whose points it gets. */
export interface GroupFrame {
  readonly metric: string;
  /** Complete when the group's points have ended. */
  readonly tags: ReadonlyMap<string, ReadonlySet<string>>;
  /** Points that a query writes back. */
  save(points: readonly DataPoint[]): void;
}

export interface Aggregator {
  /** Groups of other types pass it by. */
  readonly takes: 'number' | 'any';
  /** 'number' also for what it made of text. */
  readonly gives: 'number' | 'same';
  /** Groups share something, so they have to be run one after the other, in the order of the results. */
  readonly inOrder?: boolean;
  /** What it opens has `pushNumbers`. */
  readonly takesNumbers?: boolean;
  open(out: PointSink, group: GroupFrame): PointSink;
}

export interface AggregatorKind<P extends Properties = Properties> extends ObjectKind<P> {
  /** Constraints violated, as path and message. */
  violations?(given: Given<P>): readonly (readonly [path: string, message: string])[];
  make(given: Given<P>, query: QueryFrame): Aggregator;
}

/** Keeps the types of the properties together with what is made of them. */
export const aggregatorKind = <P extends Properties>(
  kind: Omit<AggregatorKind<P>, 'javaClass'> & { readonly javaClass: string },
): AggregatorKind => ({
  ...(kind as unknown as AggregatorKind),
  javaClass: `org.kairosdb.core.aggregator.${kind.javaClass}`,
});

export const passes = ({ takes }: Aggregator, type: GroupType): boolean =>
  takes === 'any' || type === 'number';
