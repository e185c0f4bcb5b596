/**
 * Time zones by name: the offset at an instant and Joda-Time's two ways back from local time. The data are this
 * platform's (ICU, through Intl), so that they are as new as Node is; each stretch of time is looked up once.
 */
import { days, hours, minutes, seconds } from '../../model/index.ts';
import { zoneIds } from './zone-ids.ts';

/** Offsets are constant over most of these; where one is not, the change in it is searched for. */
const CHUNK_MS = days(7);
/** Before this, local mean time. */
const EARLIEST_MS = Date.UTC(1_800, 0, 1);
/** Where JavaScript's calendar ends. */
const LATEST_MS = 8.64e15 - CHUNK_MS;
const CHUNKS_KEPT = 5_000;

export interface Zone {
  readonly id: string;
  /** Milliseconds that local time is ahead of UTC. */
  offsetAt(ms: number): number;
  /** Whether the offset changes in (from, to]. */
  changesWithin(fromMs: number, toMs: number): boolean;
}

class FixedZone implements Zone {
  readonly id: string;
  readonly #offsetMs: number;

  constructor(id: string, offsetMs: number) {
    this.id = id;
    this.#offsetMs = offsetMs;
  }

  offsetAt(): number {
    return this.#offsetMs;
  }

  changesWithin(): boolean {
    return false;
  }
}

export const UTC: Zone = new FixedZone('UTC', 0);

/** Up to `untilMs` one offset, from there the other. */
interface Chunk {
  readonly offsetMs: number;
  readonly untilMs: number;
  readonly laterOffsetMs: number;
}

class NamedZone implements Zone {
  readonly id: string;
  readonly #format: Intl.DateTimeFormat;
  readonly #chunks = new Map<number, Chunk>();
  #lastIndex = Number.NaN;
  #last: Chunk | undefined;

  constructor(id: string) {
    this.id = id;
    this.#format = new Intl.DateTimeFormat('en-u-ca-gregory-nu-latn', {
      timeZone: id,
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
      hourCycle: 'h23',
    });
  }

  offsetAt(ms: number): number {
    const at = Math.min(Math.max(ms, EARLIEST_MS), LATEST_MS);
    const chunk = this.#chunkAt(at);
    return at < chunk.untilMs ? chunk.offsetMs : chunk.laterOffsetMs;
  }

  changesWithin(fromMs: number, toMs: number): boolean {
    const first = Math.max(Math.floor(fromMs), EARLIEST_MS);
    const last = Math.min(toMs, LATEST_MS);
    for (let at = first; at <= last; at = (Math.floor(at / CHUNK_MS) + 1) * CHUNK_MS) {
      const { untilMs } = this.#chunkAt(at);
      if (untilMs > first && untilMs <= last) return true;
    }
    return false;
  }

  #chunkAt(ms: number): Chunk {
    const index = Math.floor(ms / CHUNK_MS);
    if (index === this.#lastIndex) return this.#last as Chunk;
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      if (this.#chunks.size >= CHUNKS_KEPT) this.#chunks.clear();
      chunk = this.#lookUp(index * CHUNK_MS);
      this.#chunks.set(index, chunk);
    }
    this.#lastIndex = index;
    this.#last = chunk;
    return chunk;
  }

  #lookUp(fromMs: number): Chunk {
    const offsetMs = this.#ask(fromMs);
    let low = fromMs;
    let high = fromMs + CHUNK_MS;
    const laterOffsetMs = this.#ask(high);
    // A change right at the next chunk's start is that chunk's own.
    if (offsetMs === laterOffsetMs || this.#ask(high - 1) === offsetMs) {
      return { offsetMs, untilMs: Number.POSITIVE_INFINITY, laterOffsetMs: offsetMs };
    }
    while (high - low > seconds(1)) {
      const middle = Math.floor((low + high) / seconds(2)) * seconds(1);
      if (this.#ask(middle) === offsetMs) low = middle;
      else high = middle;
    }
    return { offsetMs, untilMs: high, laterOffsetMs };
  }

  #ask(ms: number): number {
    const [month, day, year, hour, minute, second] = (
      this.#format.format(ms).match(/\d+/g) as string[]
    ).map(Number) as [number, number, number, number, number, number];
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1_000) * 1_000;
  }
}

const known = new Set(zoneIds);
const opened = new Map<string, Zone>([
  ['UTC', UTC],
  // Newer zone data make these three the names of cities, with their summer times and mean times of old.
  ...(
    [
      ['EST', -5],
      ['MST', -7],
      ['HST', -10],
    ] as const
  ).map(([id, ahead]): [string, Zone] => [id, new FixedZone(id, hours(ahead))]),
]);

/** By Joda-Time's names, which are case-sensitive, or `+05:30`; undefined for others. */
export function zoneOf(id: string): Zone | undefined {
  let zone = opened.get(id);
  if (zone !== undefined) return zone;
  const offsetMs = fixedOffset(id);
  if (offsetMs !== undefined) return new FixedZone(id, offsetMs);
  if (!known.has(id)) return undefined;
  zone = new NamedZone(id);
  opened.set(id, zone);
  return zone;
}

function fixedOffset(id: string): number | undefined {
  const match = /^([+-])(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d{1,3}))?)?)?$/.exec(id);
  if (match === null) return undefined;
  const [, sign, hour, minute = '0', second = '0', fraction = '0'] = match;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const size =
    hours(Number(hour)) +
    minutes(Number(minute)) +
    seconds(Number(second)) +
    Number(fraction.padEnd(3, '0'));
  return sign === '-' ? -size : size;
}

/**
 * The instant of a local time: of two, the one with the offset of `originalMs` or else the earlier; of none (a
 * gap), later by the gap. Joda's `convertLocalToUTC(local, false, original)`.
 */
export function instantOf(zone: Zone, localMs: number, originalMs: number): number {
  const offset = zone.offsetAt(originalMs);
  const instant = localMs - offset;
  return zone.offsetAt(instant) === offset ? instant : instantOfLocal(zone, localMs);
}

function instantOfLocal(zone: Zone, localMs: number): number {
  const estimate = zone.offsetAt(localMs);
  const offset = zone.offsetAt(localMs - estimate);
  if (estimate === offset || estimate >= 0) return localMs - offset;
  return inGap(zone, localMs, estimate, offset) ? localMs - estimate : localMs - offset;
}

/** Joda's `getOffsetFromLocal`, which its durations use. */
export function offsetOfLocal(zone: Zone, localMs: number): number {
  const estimate = zone.offsetAt(localMs);
  const instant = localMs - estimate;
  const offset = zone.offsetAt(instant);
  if (estimate !== offset) {
    if (estimate < offset && inGap(zone, localMs, estimate, offset)) return estimate;
  } else if (estimate >= 0) {
    // In an overlap the first of the two instants is meant: is there a change shortly before this one?
    for (const before of [zone.offsetAt(instant - hours(3)), zone.offsetAt(instant - hours(25))]) {
      const gained = before - estimate;
      if (gained > 0 && zone.changesWithin(instant - gained, instant)) return before;
    }
  }
  return offset;
}

function inGap(zone: Zone, localMs: number, estimate: number, offset: number): boolean {
  const [first, last] = [localMs - estimate, localMs - offset];
  return zone.changesWithin(Math.min(first, last), Math.max(first, last));
}
