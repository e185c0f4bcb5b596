/** KairosDB's units of time, as queries name them. */
import { days, hours, minutes, seconds } from '../../model/index.ts';

export const timeUnits = [
  'MILLISECONDS',
  'SECONDS',
  'MINUTES',
  'HOURS',
  'DAYS',
  'WEEKS',
  'MONTHS',
  'YEARS',
] as const;
export type TimeUnit = (typeof timeUnits)[number];

/** In any case, plural only. */
export function timeUnitOf(text: string): TimeUnit | undefined {
  const upper = text.toUpperCase();
  return timeUnits.find((unit) => unit === upper);
}

/** How many of a unit. */
export interface TimeSpan {
  readonly value: number;
  readonly unit: TimeUnit;
}

/** Length of a unit where it has one; months and years have none. */
export const unitMs: Readonly<Record<Exclude<TimeUnit, 'MONTHS' | 'YEARS'>, number>> = {
  MILLISECONDS: 1,
  SECONDS: seconds(1),
  MINUTES: minutes(1),
  HOURS: hours(1),
  DAYS: days(1),
  WEEKS: days(7),
};
