/** Points as objects, for tests, and as the pages that stores give. */
import type { PointPage, RowReadOptions } from './store.ts';

export interface StoredPoint {
  readonly timestampMs: number;
  readonly value: bigint | number | string;
}

export function pageOf(
  points: readonly StoredPoint[],
  columns: RowReadOptions['columns'] = (count) => ({
    times: new Float64Array(count),
    numbers: new Float64Array(count),
  }),
): PointPage {
  const { times, numbers } = columns(points.length);
  for (const [i, { timestampMs, value }] of points.entries()) {
    times[i] = timestampMs;
    numbers[i] = typeof value === 'string' ? 0 : Number(value);
  }
  return {
    times,
    numbers,
    values: points.every(({ value }) => typeof value === 'number')
      ? 'doubles'
      : points.map(({ value }) => value),
  };
}
