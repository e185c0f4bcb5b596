/** What jobs count. */
import { counter } from '../runtime/index.ts';

const units = counter('jobs_units_total', 'Units of durable jobs that ended.', ['kind', 'outcome']);
const retries = counter(
  'jobs_unit_retries_total',
  'Attempts at a unit of a job that failed and are made again.',
  ['kind'],
);

export const unitsEnded = (kind: string, outcome: 'done' | 'failed'): void =>
  units.add({ kind, outcome });

export const unitsRetried = (kind: string): void => retries.add({ kind });
