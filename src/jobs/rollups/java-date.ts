/** Dates as KairosDB's rollups write and read them, in UTC. */

export interface DateFields {
  readonly year: number;
  /** `Jan` … */
  readonly month: string;
  readonly day: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

export function dateFields(ms: number): DateFields {
  const date = new Date(ms);
  return {
    year: date.getUTCFullYear(),
    month: MONTHS[date.getUTCMonth()] as string,
    day: date.getUTCDate(),
    hours: date.getUTCHours(),
    minutes: date.getUTCMinutes(),
    seconds: date.getUTCSeconds(),
  };
}

/** `yyyy-MM-dd-HH-mm-ss-SSS`; undefined when it is not one. Too large fields carry over, as in Java. */
export function backfillTime(text: string): number | undefined {
  const match = /^(\d{1,4})-(\d{1,4})-(\d{1,4})-(\d{1,4})-(\d{1,4})-(\d{1,4})-(\d{1,6})/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hours, minutes, seconds, ms] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hours, minutes, seconds, ms);
}
