/** The embedded store: KairosDB's rows on this machine's disk. */

export {
  type FleetEntry,
  type FleetRollupQuery,
  FleetStore,
  type KeptRollup,
} from './fleet-store.ts';
export { type RollupQuery, RollupStore } from './rollup-store.ts';
export { type EmbeddedWideRowsOptions, embeddedWideRows } from './wide-rows.ts';
export { type RollupStep, rollupStepOf, WindowStore } from './window-store.ts';
