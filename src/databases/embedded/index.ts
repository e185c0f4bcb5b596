/** The embedded store: KairosDB's rows on this machine's disk. */

export { type RollupQuery, type RollupStep, RollupStore } from './rollup-store.ts';
export { type EmbeddedWideRowsOptions, embeddedWideRows } from './wide-rows.ts';
