/** What this store counts. */
import { counter } from '../../runtime/index.ts';

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

export function pointsWritten(labels: { readonly store: string }, count: number): void {
  if (count > 0) written.add(labels, count);
}

export function pointsRejected(labels: { readonly store: string }, count: number): void {
  if (count > 0) rejected.add(labels, count);
}
