/** Long work that survives a restart: the durable jobs, and the kinds that need no database of their own. */
export { acceptedAs } from './accept.ts';
export {
  type BackupInput,
  type BucketsPort,
  backupKind,
  type RestoreInput,
  restoreKind,
} from './backup.ts';
export * from './compare-kairos/index.ts';
export * from './contract.ts';
export {
  type CopyInput,
  type CopyParts,
  type CopySource,
  type CopyTarget,
  copyKind,
  copySeries,
  unitsAtOnce,
} from './copy-series.ts';
export { type DiffReport, diffLines } from './diff-report.ts';
export { type Explanation, explain, type PointName, parsePoint } from './explain.ts';
export { reportText } from './job-report.ts';
export { defaultJobPolicy, type JobPolicy, Jobs, type JobsOptions } from './jobs.ts';
export { liveFirst } from './live-first.ts';
export {
  LIVE_TOPIC,
  type LoggedVote,
  MIGRATED_TOPIC,
  type MigratedVote,
  type MigrateInput,
  migrateVotes,
  type VoteDatabase,
  type VoteHour,
  type VoteLog,
  voteColumns,
} from './migrate-votes.ts';
export { type PastTask, pastState, VOTE_STATE_REACH_MS } from './past-state.ts';
export {
  type ReplayJob,
  type ReplayParts,
  type ReplayRequest,
  Replays,
  replayKind,
} from './replay.ts';
export { type DiffParts, diffReplay } from './replay-offline.ts';
export type { ReplayLog, ReplayPoint } from './replay-range.ts';
export * from './rollups/index.ts';
export * from './verify/index.ts';
