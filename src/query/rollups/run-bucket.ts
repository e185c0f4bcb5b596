/** One bucket of a rollup: its query over the bucket, edges included as KairosDB bounds it; gives what is to be stored. */
import type { DataPoint } from '../../model/index.ts';
import { runQuery } from '../run-query.ts';
import type { SeriesStore } from '../store.ts';
import type { RollupQuery } from './rollup-task.ts';

export interface BucketRange {
  readonly fromMs: number;
  /** The next bucket's start. */
  readonly toMs: number;
}

/** Throws QueryFailed, or what the store throws. */
export async function runBucket(
  store: SeriesStore,
  { query }: RollupQuery,
  { fromMs, toMs }: BucketRange,
): Promise<readonly DataPoint[]> {
  const metric = { ...query, startMs: fromMs, endMs: toMs };
  return (await runQuery(store, { metrics: [metric], cacheSeconds: 0 })).saved;
}

/** Every bucket that holds a time from `fromMs` to `toMs`, both included, in order. Throws QueryFailed for a sampling of 0. */
export function* bucketsBetween(
  { buckets }: RollupQuery,
  fromMs: number,
  toMs: number,
): Generator<BucketRange> {
  let start = buckets.startOf(fromMs);
  while (start <= toMs) {
    // Where clocks go back two edges may fall together; time must go on all the same.
    const end = Math.max(buckets.endOf(start), start + 1);
    yield { fromMs: start, toMs: end };
    start = end;
  }
}
