/** This process's store of votes' rollups, read back for `verify`, digests and lineage included. */
import { createHash } from 'node:crypto';
import { type RollupStore, rollupStepOf } from '../../databases/embedded/index.ts';
import type { PointForm } from '../../jobs/index.ts';
import type { Rollup } from '../../model/index.ts';
import { quote, type Side } from './side.ts';

/** Some of it for people, and all of it as a hash. */
export function figuresText(
  { count, mean, p50, p95, p99 }: Pick<Rollup, 'count' | 'mean' | 'p50' | 'p95' | 'p99'>,
  whole: unknown,
): string {
  const hash = createHash('sha256').update(JSON.stringify(whole)).digest('hex').slice(0, 12);
  return `count=${count},mean=${mean},p50=${p50},p95=${p95},p99=${p99} sha256:${hash}…`;
}

const rollupForm: PointForm<Rollup> = {
  name: rollupStepOf,
  timeMs: ({ window }) => window.start,
  identity: (rollup) => {
    const { scope, id, network, window } = rollup;
    return `${rollupStepOf(rollup)} ${quote(`${scope}:${id}`)},network=${quote(network)} ${window.start}`;
  },
  value: (rollup) => figuresText(rollup, rollup),
  merge: (older, newer) => (newer.revision >= older.revision ? newer : older),
  isRefused: () => false,
};

export function historySide(store: RollupStore): Side<Rollup> {
  return {
    points: rollupForm,
    async *stored(range, steps, signal) {
      for (const step of steps) {
        for await (const page of store.within(step as ReturnType<typeof rollupStepOf>, range)) {
          signal.throwIfAborted();
          yield page;
        }
      }
    },
    async retention() {
      const kept = new Map((['5m', '1h', '1d'] as const).map((s) => [s, store.keptSinceMs(s)]));
      return {
        keeps: (rollup) => rollup.window.start >= (kept.get(rollupStepOf(rollup)) as number),
      };
    },
  };
}
