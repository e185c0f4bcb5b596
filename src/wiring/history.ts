/** History answers from this process's store of rollups; ranges of percentiles by merging their digests. */
import type { History, HistoryPoint } from '../api/index.ts';
import type { RollupStore } from '../databases/embedded/index.ts';
import type { Rollup } from '../model/index.ts';
import { TDigest } from '../stats/index.ts';

export function historyFrom(store: RollupStore): History {
  return {
    async points(query) {
      const points: HistoryPoint[] = [];
      for await (const rollup of store.read(query)) points.push(pointOf(rollup));
      return points;
    },
    async quantile({ q, from, to, scope, id }) {
      const merged = new TDigest();
      let windows = 0;
      for await (const rollup of store.read({ scope, id, step: '5m', from, to })) {
        merged.merge(TDigest.fromBytes(Buffer.from(rollup.digest, 'base64')));
        windows++;
      }
      return windows === 0
        ? undefined
        : { value: merged.quantile(q), count: merged.count, windows };
    },
  };
}

function pointOf(rollup: Rollup): HistoryPoint {
  const { window, count, sum, min, max, mean, stddev, p50, p95, p99, movingAverage, revision } =
    rollup;
  return { window, count, sum, min, max, mean, stddev, p50, p95, p99, movingAverage, revision };
}
