/** How long a point lives: its own life or the default, as KairosDB's three settings decide it (spec §7). */

export interface TtlOptions {
  /** Life of points that bring none, in seconds; 0 = for ever. KairosDB: `datapoint_ttl`. Default 0. */
  readonly defaultTtlSeconds?: number;
  /** The default also overrides the points' own. KairosDB: `force_default_datapoint_ttl`. Default false. */
  readonly forceDefaultTtl?: boolean;
  /**
   * Life counts from the point's time, not from its writing; a point that is over already is refused, and so is,
   * as in KairosDB, a past point without any life. KairosDB: `align_datapoint_ttl_with_timestamp`. Default false.
   */
  readonly alignTtl?: boolean;
}

/** Cassandra's 20 years, less the three weeks by which an index row outlives its points. */
export const TTL_SECONDS_MAX = 630_720_000 - 1_814_400;

/** Seconds from now, 0 = for ever; or why the point can't be stored. */
export function ttlOf(
  point: { readonly timestampMs: number; readonly ttlSeconds?: number | undefined },
  options: TtlOptions,
  nowMs: number,
): number | string {
  const own = options.forceDefaultTtl === true ? 0 : (point.ttlSeconds ?? 0);
  if (!Number.isInteger(own) || own < 0) return `ttl ${own} is no whole number of seconds from 0`;
  let ttlSeconds = own === 0 ? (options.defaultTtlSeconds ?? 0) : own;
  if (options.alignTtl === true) {
    ttlSeconds -= Math.trunc((nowMs - point.timestampMs) / 1_000);
    if (ttlSeconds <= 0) return 'its time to live is over already';
  }
  if (ttlSeconds > TTL_SECONDS_MAX) {
    return `ttl ${ttlSeconds} s is more than Cassandra keeps with its index: at most ${TTL_SECONDS_MAX}`;
  }
  return ttlSeconds;
}
