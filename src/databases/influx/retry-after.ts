/**
 * The Retry-After header (RFC 9110 §10.2.3): seconds or a date. The official client reads it as
 * milliseconds and hammers (spec/influxdb.md §3), hence our own.
 */

/** Milliseconds to wait, 0 for a date gone by; undefined for no header or nonsense. */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  const text = header?.trim();
  if (!text) return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1_000);
  // Every date form of the RFC names the day or the month; a bare number such as -5 is no date.
  const dateMs = /[a-z]{3}/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}
