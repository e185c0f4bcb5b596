/** What differs between the points of two servers, series by series and time by time. */
import type { Value } from './answer.ts';
import type { Series } from './server.ts';

export interface Difference {
  readonly metric: string;
  /** `host=a, dc=b`; absent when it is the metric's name that only one of them has. */
  readonly series?: string;
  readonly timestampMs?: number;
  /** Usually one; two when a series has a long and a double at one time. Absent: nothing there. */
  readonly a?: readonly Value[];
  readonly b?: readonly Value[];
}

type Times = Map<number, Value[]>;

export function* differencesOf(
  metric: string,
  a: readonly Series[],
  b: readonly Series[],
): Generator<Difference> {
  const [left, right] = [byName(a), byName(b)];
  for (const series of [...new Set([...left.keys(), ...right.keys()])].sort()) {
    const [mine, theirs]: [Times, Times] = [
      left.get(series) ?? new Map(),
      right.get(series) ?? new Map(),
    ];
    const times = new Set([...mine.keys(), ...theirs.keys()]);
    for (const timestampMs of [...times].sort((x, y) => x - y)) {
      const [one, other] = [mine.get(timestampMs), theirs.get(timestampMs)];
      if (one !== undefined && other !== undefined && areSame(one, other)) continue;
      yield {
        metric,
        series,
        timestampMs,
        ...(one === undefined ? {} : { a: one }),
        ...(other === undefined ? {} : { b: other }),
      };
    }
  }
}

function byName(series: readonly Series[]): Map<string, Times> {
  const all = new Map<string, Times>();
  for (const { name, values } of series) {
    const times = all.get(name) ?? new Map<number, Value[]>();
    all.set(name, times);
    for (const [timestampMs, value] of values) {
      const there = times.get(timestampMs);
      if (there === undefined) times.set(timestampMs, [value]);
      else there.push(value);
    }
  }
  return all;
}

const textOf = (value: Value): string =>
  typeof value === 'string' ? JSON.stringify(value) : String(value);

/** The order within one time says nothing. */
function areSame(a: readonly Value[], b: readonly Value[]): boolean {
  if (a.length !== b.length) return false;
  const [x, y] = [a.map(textOf).sort(), b.map(textOf).sort()];
  return x.every((text, i) => text === y[i]);
}

/** One line for people. */
export function differenceText({ metric, series, timestampMs, a, b }: Difference): string {
  const side = (values: readonly Value[] | undefined) =>
    values === undefined ? 'nothing' : values.map(textOf).join(' and ');
  if (timestampMs === undefined) {
    return `${metric}: only ${a === undefined ? 'B' : 'A'} knows the name`;
  }
  const date = new Date(timestampMs);
  const time = Number.isNaN(date.getTime()) ? String(timestampMs) : date.toISOString();
  return `${metric} {${series}} ${time}: A ${side(a)}, B ${side(b)}`;
}

/** The same for programs; a long beyond 2^53 is written as text, and a whole double that is told from a long. */
export const differenceJson = (difference: Difference): string =>
  JSON.stringify(difference, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
