/** What queries count. */
import { counter, gauge, histogram } from '../runtime/index.ts';

export type QueryOutcome =
  | 'answered'
  | 'cached'
  /** The query is wrong, or can't be answered. */
  | 'failed'
  /** It took too long, or read too much. */
  | 'limited'
  /** Sent away: too many wait. */
  | 'busy'
  /** The store does not answer. */
  | 'unavailable'
  /** Whoever asked went away, or an operator stopped it. */
  | 'cancelled';

const requests = counter('query_requests_total', 'Queries under /api/v1, by how they ended.', [
  'outcome',
]);
const duration = histogram(
  'query_duration_seconds',
  'Time from a query’s arrival to its answer, waiting included.',
  ['outcome'],
  [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
);
const points = counter('query_points_total', 'Points that queries have read.');
const rows = counter('query_rows_total', 'Stored rows that queries have found.');
const hits = counter('query_cache_hits_total', 'Queries answered out of the cache.');
const misses = counter('query_cache_misses_total', 'Queries with cache_time that had to be read.');
const cached = gauge('query_cache_bytes', 'What the answers kept take, at two bytes a character.');
const running = gauge('query_running_queries', 'Queries that are being read.');
const waiting = gauge('query_waiting_queries', 'Queries that wait for their turn.');

export function queryEnded(
  outcome: QueryOutcome,
  query: { readonly durationMs: number; readonly points: number; readonly rows: number },
): void {
  requests.add({ outcome });
  duration.observe({ outcome }, query.durationMs / 1_000);
  points.add({}, query.points);
  rows.add({}, query.rows);
}
export const cacheAsked = (hit: boolean): void => (hit ? hits : misses).add({});
export const cacheHolds = (bytes: number): void => cached.set({}, bytes);
export function queriesNow(now: { readonly inside: number; readonly waiting: number }): void {
  running.set({}, now.inside);
  waiting.set({}, now.waiting);
}
