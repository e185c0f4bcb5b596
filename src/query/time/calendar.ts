/**
 * The Gregorian calendar on local milliseconds (a local time written as if it were UTC), with Joda-Time 2.10's rules
 * for adding and counting months and years. Works far outside the years of JavaScript's Date.
 */
import { days } from '../../model/index.ts';

const DAY_MS = days(1);

export interface CalendarDate {
  readonly year: number;
  /** 1 … 12. */
  readonly month: number;
  readonly day: number;
}

/** Days since 1970-01-01 (Hinnant, chrono-compatible date algorithms). */
function dayNumber(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

export function dateOf(localMs: number): CalendarDate {
  const shifted = Math.floor(localMs / DAY_MS) + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth + (shiftedMonth < 10 ? 3 : -9);
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  };
}

export const startOfDate = (year: number, month: number, day: number): number =>
  dayNumber(year, month, day) * DAY_MS;

export const millisOfDay = (localMs: number): number =>
  localMs - Math.floor(localMs / DAY_MS) * DAY_MS;

/** 1 = Monday … 7. */
export const dayOfWeek = (localMs: number): number => {
  const fromThursday = Math.floor(localMs / DAY_MS) % 7;
  return ((fromThursday + 10) % 7) + 1;
};

export const isLeapYear = (year: number): boolean =>
  year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** The day becomes the last of the month where the month is too short for it. */
export function addMonths(localMs: number, months: number): number {
  const { year, month, day } = dateOf(localMs);
  const count = year * 12 + month - 1 + months;
  const toYear = Math.floor(count / 12);
  const toMonth = count - toYear * 12 + 1;
  const toDay = Math.min(day, daysInMonth(toYear, toMonth));
  return startOfDate(toYear, toMonth, toDay) + millisOfDay(localMs);
}

export const addYears = (localMs: number, years: number): number => addMonths(localMs, years * 12);

/** Complete months from one local time to another; reaching a last day that is too early counts as complete. */
export function monthsBetween(fromMs: number, toMs: number): number {
  if (toMs < fromMs) return 0 - monthsBetween(toMs, fromMs);
  const from = dateOf(fromMs);
  const to = dateOf(toMs);
  let start = fromMs;
  if (to.day === daysInMonth(to.year, to.month) && from.day > to.day) {
    start = startOfDate(from.year, from.month, to.day) + millisOfDay(fromMs);
  }
  const complete =
    toMs - startOfDate(to.year, to.month, 1) >= start - startOfDate(from.year, from.month, 1);
  return (to.year - from.year) * 12 + to.month - from.month - (complete ? 0 : 1);
}

/** Midnight at the start of 29 February, counted from the start of the year. */
const FEBRUARY_29_MS = 59 * DAY_MS;

/** Complete years from one local time to another. */
export function yearsBetween(fromMs: number, toMs: number): number {
  if (toMs < fromMs) return 0 - yearsBetween(toMs, fromMs);
  const from = dateOf(fromMs).year;
  const to = dateOf(toMs).year;
  let fromRest = fromMs - startOfDate(from, 1, 1);
  let toRest = toMs - startOfDate(to, 1, 1);
  if (fromRest >= FEBRUARY_29_MS) {
    if (isLeapYear(from)) {
      if (!isLeapYear(to)) fromRest -= DAY_MS;
    } else if (toRest >= FEBRUARY_29_MS && isLeapYear(to)) {
      toRest -= DAY_MS;
    }
  }
  return to - from - (toRest < fromRest ? 1 : 0);
}
