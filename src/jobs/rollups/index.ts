/** KairosDB's rollup tasks: kept where it keeps them, run once across processes. */
export { backfillTime } from './java-date.ts';
export { backfillTask, RunFailed } from './run-task.ts';
export {
  RollupScheduler,
  type RollupSchedulerOptions,
  type RollupState,
  type RollupView,
} from './scheduler.ts';
export {
  type LedgerTable,
  RollupTasks,
  type ServiceTable,
  type StoredTask,
  statusJson,
} from './task-store.ts';
