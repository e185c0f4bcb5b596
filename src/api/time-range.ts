/** Times and half-open ranges as callers write them: milliseconds or ISO 8601. */
import { Refusal } from './errors.ts';

const ISO = /^\d{4}-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?)?$/;
/** What Date can hold, ms. */
const TIME_MAX = 8_640_000_000_000_000;

/** ms since the epoch; a time without zone is UTC. undefined when it is no time. */
export function parseTime(given: string | number): number | undefined {
  if (typeof given === 'number') {
    return Number.isSafeInteger(given) && Math.abs(given) <= TIME_MAX ? given : undefined;
  }
  if (/^-?\d{1,16}$/.test(given)) return parseTime(Number(given));
  // A plus sign that was not percent-encoded arrives as a space.
  const written = given.replace(/ (\d{2}:?\d{2})$/, '+$1');
  if (!ISO.test(written)) return undefined;
  const zoned = /T/.test(written) && !/(Z|[+-]\d{2}:?\d{2})$/.test(written);
  const time = Date.parse(zoned ? `${written}Z` : written);
  return Number.isNaN(time) ? undefined : time;
}

/** Like `parseTime`, but refuses with FIELD_INVALID. */
export function requireTime(field: string, given: string | number): number {
  const time = parseTime(given);
  if (time !== undefined) return time;
  const message = `${field}: expected ms or ISO 8601 such as 2026-01-31T12:00:00Z, got ${JSON.stringify(given)}`;
  throw new Refusal('FIELD_INVALID', message, { errors: [{ field, message }] });
}

export interface RangeText {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** [from, to): `to` defaults to now, `from` to `lengthMs` before it. Refuses an empty range with RANGE_INVALID. */
export function parseRange(
  { from, to }: RangeText,
  defaults: { readonly nowMs: number; readonly lengthMs: number },
): { readonly from: number; readonly to: number } {
  const end = to === undefined ? defaults.nowMs : requireTime('to', to);
  const start = from === undefined ? end - defaults.lengthMs : requireTime('from', from);
  if (start >= end) {
    throw new Refusal('RANGE_INVALID', `from (${start}) must lie before to (${end})`);
  }
  return { from: start, to: end };
}
