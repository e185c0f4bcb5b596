/** The scheduler of KairosDB's rollup tasks, joined to the store and the settings. */
import type { KairosStore } from '../databases/kairos/index.ts';
import { RollupScheduler } from '../jobs/index.ts';
import type { Clock, Logger, Settings } from '../runtime/index.ts';

const HOUR_MS = 3_600_000;

/** It runs once started; until then it only tells how tasks stand. */
export function openRollups(
  { rollups }: Settings,
  parts: { readonly store: KairosStore; readonly clock: Clock; readonly logger: Logger },
): RollupScheduler {
  return new RollupScheduler({
    ...parts,
    checkIntervalMs: rollups.checkIntervalMs,
    catchUpMs: rollups.catchUpHours * HOUR_MS,
    runsMax: rollups.runsMax,
  });
}
