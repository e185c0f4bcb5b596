/** What rollup tasks count. Labels are task ids: there are as many as tasks, and they go when the task goes. */
import { counter, gauge, histogram } from '../../runtime/index.ts';

const runs = counter('rollup_runs_total', 'Runs of rollup tasks, by how they ended.', ['outcome']);
const points = counter('rollup_points_total', 'Points that rollup tasks have stored.');
const duration = histogram(
  'rollup_run_duration_seconds',
  'How long runs of rollup tasks took.',
  [],
  [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1_800],
);
const failures = gauge(
  'rollup_failures_in_a_row',
  'Failed runs of a task since its last good one.',
  ['task'],
);
const lag = gauge(
  'rollup_lag_seconds',
  'How long ago the oldest run of a task was due that is not through yet.',
  ['task'],
);
const skipped = counter(
  'rollup_skipped_seconds_total',
  'Time that tasks missed and that was too long ago to be caught up with.',
);
const tasks = gauge(
  'rollup_tasks',
  'Rollup tasks that are known, by whether they can be scheduled.',
  ['state'],
);

export const runEnded = (outcome: 'done' | 'failed' | 'lost', durationMs: number): void => {
  runs.add({ outcome });
  duration.observe({}, durationMs / 1_000);
};
export const pointsStored = (count: number): void => points.add({}, count);
export const timeSkipped = (ms: number): void => skipped.add({}, ms / 1_000);
export function taskSeen(task: string, state: { failures: number; lagMs: number }): void {
  failures.set({ task }, state.failures);
  lag.set({ task }, state.lagMs / 1_000);
}
export function taskGone(task: string): void {
  failures.remove({ task });
  lag.remove({ task });
}
export function tasksCounted(scheduled: number, broken: number): void {
  tasks.set({ state: 'scheduled' }, scheduled);
  tasks.set({ state: 'broken' }, broken);
}
