/** For aggregators that look at each point together with the one before it. */
import type { PointSink, QueryValue } from '../point.ts';

export interface PairPoint {
  readonly timestampMs: number;
  readonly value: QueryValue;
}

export function pairs(
  out: PointSink,
  combine: (before: PairPoint, point: PairPoint) => void,
): PointSink {
  let before: PairPoint | undefined;
  return {
    push(timestampMs, value) {
      const point = { timestampMs, value };
      if (before !== undefined) combine(before, point);
      before = point;
    },
    end: () => out.end(),
  };
}
