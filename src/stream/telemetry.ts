/** The stream room's metrics: what was processed, set aside, and how epochs go. */
import { counter, histogram } from '../runtime/index.ts';
import type { TaskCounter } from './task-context.ts';

const processed = counter('stream_records_processed_total', 'Records run through a topology.', [
  'topology',
]);
const epochs = counter('stream_epochs_committed_total', 'Epochs committed.', ['topology']);
const appended = counter('stream_records_appended_total', 'Records that epochs made visible.', [
  'topology',
]);
const commitSeconds = histogram(
  'stream_epoch_commit_seconds',
  'From the cut to the commit, sinks included.',
  ['topology'],
);
const restarts = counter(
  'stream_task_restarts_total',
  'Tasks that went back to their last epoch.',
  ['topology'],
);
const set: Record<TaskCounter, ReturnType<typeof counter>> = {
  late: counter('stream_records_late_total', 'Records later than their window and its grace.', [
    'topology',
  ]),
  duplicate: counter('stream_records_duplicate_total', 'Records that repeat an earlier one.', [
    'topology',
  ]),
  rejected: counter('stream_records_rejected_total', 'Records sent to a dead-letter topic.', [
    'topology',
  ]),
  skipped: counter(
    'stream_records_skipped_total',
    'Records without key, or left aside where another task dead-letters them.',
    ['topology'],
  ),
};

export function recordsProcessed(topology: string, count: number): void {
  processed.add({ topology }, count);
}

export function epochCommitted(
  topology: string,
  epoch: { startedMs: number; endedMs: number; records: number },
): void {
  epochs.add({ topology });
  appended.add({ topology }, epoch.records);
  commitSeconds.observe({ topology }, (epoch.endedMs - epoch.startedMs) / 1000);
}

/** Adds what a task counted since the last call, and sets its counts back. */
export function taskCounts(topology: string, counts: Record<TaskCounter, number>): void {
  for (const what of Object.keys(set) as TaskCounter[]) {
    if (counts[what] > 0) set[what].add({ topology }, counts[what]);
    counts[what] = 0;
  }
}

export function taskRestarted(topology: string): void {
  restarts.add({ topology });
}
