/**
 * How a sampling cuts time into buckets. Bucket k begins k samplings after the base: exact time for units up to
 * hours, local days and weeks, calendar months and years, always counted from the base (spec §4.4).
 */
import { QueryFailed } from '../errors.ts';
import {
  addMonths,
  addYears,
  dateOf,
  dayOfWeek,
  millisOfDay,
  monthsBetween,
  startOfDate,
  yearsBetween,
} from './calendar.ts';
import { type TimeSpan, type TimeUnit, unitMs } from './time-unit.ts';
import { instantOf, type Zone } from './zone.ts';

/** The first number that is no `long` of Java's: its calendar ends there, too. */
const LONG_BEYOND = 2 ** 63;

export class Buckets {
  readonly #sampling: TimeSpan;
  readonly #zone: Zone;
  /** Where bucket 0 begins. */
  readonly baseMs: number;
  readonly #localBaseMs: number;
  /** Length of a bucket where all are equally long, else 0. */
  readonly #fixedMs: number;

  /** `align`: the base is the start of the unit's day, week, month or year (spec §4.4), else `startMs` itself. */
  constructor(options: {
    readonly sampling: TimeSpan;
    readonly zone: Zone;
    readonly startMs: number;
    readonly align: boolean;
  }) {
    const { sampling, zone, startMs, align } = options;
    this.#sampling = sampling;
    this.#zone = zone;
    this.baseMs = align ? alignedStart(startMs, sampling.unit, zone) : startMs;
    this.#localBaseMs = this.baseMs + zone.offsetAt(this.baseMs);
    const { unit, value } = sampling;
    const isExact = unit !== 'DAYS' && unit !== 'WEEKS' && unit !== 'MONTHS' && unit !== 'YEARS';
    this.#fixedMs = isExact ? value * unitMs[unit] : 0;
  }

  /** Start of the bucket that holds a time. Throws QueryFailed when the sampling is 0. */
  startOf(ms: number): number {
    return this.#edge(this.#indexOf(ms));
  }

  /** Start of the next one. */
  endOf(ms: number): number {
    return this.#edge(this.#indexOf(ms) + 1);
  }

  /** Before the base, too, counted towards zero: the buckets on both sides of the base have index 0. */
  #indexOf(ms: number): number {
    if (this.#sampling.value === 0) throw new QueryFailed('/ by zero');
    if (this.#fixedMs !== 0) return Math.trunc((ms - this.baseMs) / this.#fixedMs);
    const local = ms + this.#zone.offsetAt(ms);
    return Math.trunc(this.#unitsBetween(local) / this.#sampling.value);
  }

  #unitsBetween(localMs: number): number {
    const { unit } = this.#sampling;
    switch (unit) {
      case 'YEARS':
        return yearsBetween(this.#localBaseMs, localMs);
      case 'MONTHS':
        return monthsBetween(this.#localBaseMs, localMs);
      default:
        return Math.trunc((localMs - this.#localBaseMs) / unitMs[unit]);
    }
  }

  #edge(index: number): number {
    const edgeMs = this.#anyEdge(index);
    if (Math.abs(edgeMs) < LONG_BEYOND) return edgeMs;
    throw new QueryFailed('The calculation caused an overflow');
  }

  #anyEdge(index: number): number {
    if (this.#fixedMs !== 0) return this.baseMs + index * this.#fixedMs;
    const { unit, value } = this.#sampling;
    const count = index * value;
    if (count === 0) return this.baseMs;
    return instantOf(this.#zone, addUnits(this.#localBaseMs, count, unit), this.baseMs);
  }
}

export function addUnits(localMs: number, count: number, unit: TimeUnit): number {
  switch (unit) {
    case 'YEARS':
      return addYears(localMs, count);
    case 'MONTHS':
      return addMonths(localMs, count);
    default:
      return localMs + count * unitMs[unit];
  }
}

/**
 * Start of the unit's period. Days, hours, minutes and seconds all begin at midnight. One field after the other, as
 * KairosDB sets them, so that an hour that comes twice is told apart by the same rules.
 */
function alignedStart(ms: number, unit: TimeUnit, zone: Zone): number {
  const set = (instant: number, change: (localMs: number) => number) =>
    instantOf(zone, change(instant + zone.offsetAt(instant)), instant);
  const midnight = (local: number) => local - millisOfDay(local);
  switch (unit) {
    case 'YEARS':
      return set(
        set(ms, (t) => startOfDate(dateOf(t).year, 1, 1) + millisOfDay(t)),
        midnight,
      );
    case 'MONTHS':
      return set(set(ms, firstOfMonth), midnight);
    case 'WEEKS':
      return set(
        set(ms, (t) => t - (dayOfWeek(t) - 1) * unitMs.DAYS),
        midnight,
      );
    case 'MILLISECONDS':
      return set(ms, (t) => Math.floor(t / unitMs.SECONDS) * unitMs.SECONDS);
    default: {
      const hour = set(ms, (t) => midnight(t) + (millisOfDay(t) % unitMs.HOURS));
      const minute = set(
        hour,
        (t) => t - (millisOfDay(t) % unitMs.HOURS) + (millisOfDay(t) % unitMs.MINUTES),
      );
      const second = set(
        minute,
        (t) => t - (millisOfDay(t) % unitMs.MINUTES) + (millisOfDay(t) % unitMs.SECONDS),
      );
      return set(second, (t) => t - (millisOfDay(t) % unitMs.SECONDS));
    }
  }
}

function firstOfMonth(localMs: number): number {
  const { year, month } = dateOf(localMs);
  return startOfDate(year, month, 1) + millisOfDay(localMs);
}
