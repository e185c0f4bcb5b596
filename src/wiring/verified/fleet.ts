/**
 * This process's store of the fleet, read back for `verify`: rollups and anomalies. Hosts and annotations, of which
 * only the newest state is kept, have no hour to be compared in.
 */
import {
  type FleetEntry,
  type FleetStore,
  type KeptRollup,
  type RollupStep,
  rollupStepOf,
} from '../../databases/embedded/index.ts';
import type { PointForm } from '../../jobs/index.ts';
import { type FleetAnomaly, type FleetRollup, tagsText } from '../../model/index.ts';
import { figuresText } from './history.ts';
import { quote, type Side } from './side.ts';

type Kept =
  | { readonly kind: 'rollup'; readonly rollup: KeptRollup | FleetRollup }
  | { readonly kind: 'anomaly'; readonly anomaly: FleetAnomaly };

const ANOMALY = 'anomaly';

const of = (entry: Kept) => (entry.kind === 'rollup' ? entry.rollup : entry.anomaly);
const familyOf = (entry: Kept): RollupStep | typeof ANOMALY =>
  entry.kind === 'rollup' ? rollupStepOf(entry.rollup) : ANOMALY;

const fleetForm: PointForm<Kept> = {
  name: familyOf,
  timeMs: (entry) => of(entry).window.start,
  identity: (entry) => {
    const { host, metricType, field, tags, window } = of(entry);
    return `${familyOf(entry)} ${quote(host)},${metricType},${quote(field)} ${tagsText(tags)} ${window.start}`;
  },
  value: (entry) => {
    if (entry.kind === 'anomaly') return JSON.stringify(entry.anomaly);
    // The store keeps neither digest nor lineage.
    const { digest: _, lineage: __, ...kept } = entry.rollup as FleetRollup;
    return figuresText(kept, kept);
  },
  merge: (older, newer) =>
    older.kind === 'rollup' &&
    newer.kind === 'rollup' &&
    older.rollup.revision > newer.rollup.revision
      ? older
      : newer,
  isRefused: () => false,
};

export function fleetSide(store: FleetStore): Side<Kept> {
  return {
    points: fleetForm,
    ofFeed: {
      unpack: (given) =>
        (given as readonly FleetEntry[]).filter(
          ({ kind }) => kind === 'rollup' || kind === 'anomaly',
        ),
    },
    async *stored(range, families, signal) {
      for (const family of families) {
        if (family === ANOMALY) {
          const { fromMs: from, toMs: to } = range;
          const all = store.anomalies({ from, to }, Number.POSITIVE_INFINITY, () => true);
          yield all.map((anomaly): Kept => ({ kind: 'anomaly', anomaly }));
          continue;
        }
        for await (const page of store.rollupsWithin(family as RollupStep, range)) {
          signal.throwIfAborted();
          yield page.map((rollup): Kept => ({ kind: 'rollup', rollup }));
        }
      }
    },
    async retention() {
      const families = ['5m', '1h', '1d', ANOMALY] as const;
      const kept = new Map(families.map((family) => [family, store.keptSinceMs(family)]));
      return {
        keeps: (entry) => of(entry).window.start >= (kept.get(familyOf(entry)) as number),
      };
    },
  };
}
