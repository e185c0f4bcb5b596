/** What the service counts of itself. */
import { counter, histogram } from '../runtime/index.ts';

const requests = counter('api_requests_total', 'Requests answered, by route and status.', [
  'method',
  'route',
  'status',
]);
const duration = histogram(
  'api_request_duration_seconds',
  'Time from request to answer, by route; feeds are left out.',
  ['route'],
  [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
);

/** `route` is the pattern, never the path: its values must stay few. */
export function requestAnswered(request: {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
}): void {
  const { method, route, status } = request;
  requests.add({ method, route, status });
  duration.observe({ route }, request.durationMs / 1_000);
  slowestMs = Math.max(slowestMs, request.durationMs);
}

let slowestMs = 0;

/** The slowest answer of this process since the last call, ms. */
export function takeSlowestAnswerMs(): number {
  const slowest = slowestMs;
  slowestMs = 0;
  return slowest;
}
