/** KairosDB's rollup tasks: their JSON, their buckets, their times. */
export {
  parseRollupTask,
  type RollupDocument,
  type RollupQuery,
  type RollupTask,
} from './rollup-task.ts';
export { type BucketRange, bucketsBetween, runBucket } from './run-bucket.ts';
export { dueTimes, firstStart, scheduleFault } from './schedule.ts';
