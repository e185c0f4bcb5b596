/** Long work with progress: replays. */
export * from './replay.ts';
export type { DiffReport } from './replay-diff.ts';
export type { ReplayPoint } from './replay-range.ts';
