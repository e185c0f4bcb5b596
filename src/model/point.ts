/**
 * A point: what a database stores. The *type* of a field's value is the field's type:
 * bigint → integer, number → float, string → string, boolean → boolean. A whole number that is meant as an
 * integer must therefore be a bigint; databases fix a field's type at its first point (spec/influxdb.md §1).
 */
export type FieldValue = bigint | number | string | boolean;

/** One InfluxDB point. Identity = measurement + tags + timestampNs; writing it again overwrites. */
export interface Point {
  readonly measurement: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Nanoseconds since the epoch. */
  readonly timestampNs: bigint;
}

/** One KairosDB data point. Identity = metric + tags + type + timestampMs; writing it again overwrites. */
export interface DataPoint {
  readonly metric: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly timestampMs: number;
  /** bigint → kairos_long, number → kairos_double, string → kairos_string. */
  readonly value: bigint | number | string;
  /** Seconds to live; absent or 0 = for ever. */
  readonly ttlSeconds?: number;
}

/** Sums of checksums are kept modulo this, so that the sum of two is still an exact integer. */
export const CHECKSUM_MODULO = 2 ** 52;
