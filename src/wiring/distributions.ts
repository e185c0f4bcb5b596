/** Histograms of latencies: of the open window out of the tasks' memory, of a range out of stored digests. */
import type { LatencySummary } from '../../topologies/index.ts';
import type { Distribution, DistributionBin, Distributions, GroupName } from '../api/index.ts';
import type { RollupStore } from '../databases/embedded/index.ts';
import { TDigest } from '../stats/index.ts';
import type { WindowView } from '../stream/index.ts';
import type { LiveTask } from './live-task.ts';

const QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999];
/** Where bins end: whole slots first, as most votes land within a few. */
const EDGES = [
  ...Array.from({ length: 17 }, (_, slot) => slot),
  ...[20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1_024, 4_096, 65_536],
];

export function distributionsFrom(
  tasks: () => readonly LiveTask[],
  store: () => RollupStore,
): Distributions {
  return {
    live: (group) => distributionOf(openDigest(tasks(), group)),
    async stored({ scope, id, from, to }) {
      const merged = new TDigest();
      for await (const { digest } of store().read({ scope, id, step: '5m', from, to })) {
        merged.merge(TDigest.fromBytes(Buffer.from(digest, 'base64')));
      }
      return distributionOf(merged);
    },
  };
}

/** Of the newest window that has the group. */
function openDigest(tasks: readonly LiveTask[], { scope, id }: GroupName): TDigest {
  const at = scope === 'validator' ? 0 : 1;
  const windows = tasks.flatMap(
    ({ instance }) =>
      (instance.exposed.get('validators 5m') as WindowView<LatencySummary> | undefined)?.open() ??
      [],
  );
  const merged = new TDigest();
  let newest = Number.NEGATIVE_INFINITY;
  for (const { start, entries } of windows) {
    if (start < newest) continue;
    for (const { key, state } of entries) {
      if (key[at] !== id) continue;
      if (start > newest) merged.clear();
      newest = start;
      merged.merge(state.latency.digest);
    }
  }
  return merged;
}

/** Latencies are whole slots, so that halves between them cut no value in two. */
export function distributionOf(digest: TDigest): Distribution | undefined {
  const { count, min, max } = digest;
  if (count === 0) return undefined;
  const below = (slots: number): number => Math.round(digest.cdf(slots - 0.5) * count);
  const bins: DistributionBin[] = [];
  for (const [i, from] of EDGES.entries()) {
    const to = EDGES[i + 1] ?? Math.max(from + 1, Math.floor(max) + 1);
    if (to <= min || from > max) continue;
    bins.push({ from, to, count: below(to) - below(from) });
  }
  const values = digest.quantiles(QUANTILES);
  return { count, bins, quantiles: QUANTILES.map((q, i) => ({ q, value: values[i] as number })) };
}
