/** Points as objects, for tests, and as the pages that stores give. */
import type { PointPage } from './store.ts';

export interface StoredPoint {
  readonly timestampMs: number;
  readonly value: bigint | number | string;
}

export function pageOf(points: readonly StoredPoint[]): PointPage {
  return {
    times: Float64Array.from(points, ({ timestampMs }) => timestampMs),
    numbers: Float64Array.from(points, ({ value }) =>
      typeof value === 'string' ? 0 : Number(value),
    ),
    values: points.every(({ value }) => typeof value === 'number')
      ? 'doubles'
      : points.map(({ value }) => value),
  };
}
