/** What a group-by is that looks at points: each point has a number, and equal numbers are one group. */
import type { Given, ObjectKind, Properties } from '../parse/property.ts';
import type { QueryValue } from '../point.ts';

export interface GroupBy {
  /** A 32-bit whole number. */
  numberOf(timestampMs: number, value: QueryValue): number;
  /** The group's entry in the answer, as JSON text. */
  entry(number: number): string;
}

export interface GroupByKind<P extends Properties = Properties> extends ObjectKind<P> {
  violations?(given: Given<P>): readonly (readonly [path: string, message: string])[];
  /** `startMs` of the query. */
  make(given: Given<P>, startMs: number): GroupBy;
}

export const groupByKind = <P extends Properties>(kind: GroupByKind<P>): GroupByKind => ({
  ...(kind as unknown as GroupByKind),
  javaClass: `org.kairosdb.core.groupby.${kind.javaClass}`,
});

/** Java's cast of a double to int: cut off, kept within 32 bits, NaN is 0. */
export const toInt = (value: number): number =>
  Number.isNaN(value) ? 0 : Math.trunc(Math.min(Math.max(value, -(2 ** 31)), 2 ** 31 - 1));
