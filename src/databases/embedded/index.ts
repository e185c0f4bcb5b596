/** The embedded store: KairosDB's rows on this machine's disk. */
export { type EmbeddedWideRowsOptions, embeddedWideRows } from './wide-rows.ts';
