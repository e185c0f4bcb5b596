/** What this store counts. */
import { counter, gauge } from '../../runtime/index.ts';

const written = counter(
  'databases_kairos_points_written_total',
  'Points stored in KairosDB rows.',
  ['store'],
);
const rejected = counter(
  'databases_kairos_points_rejected_total',
  'Points that can never be stored; the sink’s dead-letter topic has them.',
  ['store'],
);
const cacheHits = counter(
  'databases_kairos_cell_cache_hits_total',
  'Cells that reads got out of the cell cache.',
);
const cacheMisses = counter(
  'databases_kairos_cell_cache_misses_total',
  'Cells that were read from Cassandra although there is a cell cache.',
);
const cacheDropped = counter(
  'databases_kairos_cell_cache_dropped_total',
  'Stretches of cells that the cell cache let go: evicted for others, or changed by a write or a delete.',
  ['reason'],
);
const cacheBytes = gauge(
  'databases_kairos_cell_cache_bytes',
  'What the cells kept take, and what stands around them.',
);

export function pointsWritten(labels: { readonly store: string }, count: number): void {
  if (count > 0) written.add(labels, count);
}

export function pointsRejected(labels: { readonly store: string }, count: number): void {
  if (count > 0) rejected.add(labels, count);
}

export const cellsFromCache = (count: number): void => cacheHits.add({}, count);
export const cellsPastCache = (count: number): void => cacheMisses.add({}, count);
export const cellsDropped = (reason: 'evicted' | 'changed'): void => cacheDropped.add({ reason });
export const cellCacheHolds = (bytes: number): void => cacheBytes.set({}, bytes);
