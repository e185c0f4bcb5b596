/**
 * One run of a rollup task: query by query, bucket by bucket in order, each written before the next is read. Where it
 * stands is told after every few buckets, so that a run that was cut goes on there; a bucket done twice lands on itself.
 */
import { type DataPoint, messageOf } from '../../model/index.ts';
import {
  bucketsBetween,
  firstStart,
  parseRollupTask,
  type RollupQuery,
  type RollupTask,
  runBucket,
  type SeriesStore,
} from '../../query/index.ts';
import type { Clock } from '../../runtime/index.ts';
import type { QueryStatus, StoredTask } from './task-store.ts';
import { pointsStored } from './telemetry.ts';

export interface RollupStore extends SeriesStore {
  connect(signal?: AbortSignal): Promise<void>;
  write(
    points: readonly DataPoint[],
    signal?: AbortSignal,
  ): Promise<readonly { readonly index: number; readonly message: string }[]>;
}

export interface RunParts {
  readonly store: RollupStore;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called before each write; throws when nothing may be written any more. */
  readonly assertMayWrite?: () => void;
}

export interface RunRange {
  /** Up to where earlier runs came; of a task that never came through: an interval and a bucket before its first due time. */
  readonly fromMs: number | { readonly firstDueMs: number };
  /** Included: the bucket that holds it is made of what is there by now, and made anew by the next run. */
  readonly toMs: number;
  /** By query: where a run that was cut goes on. */
  readonly at?: Readonly<Record<string, number>>;
}

/** After so many buckets the run's place is kept. */
const BUCKETS_AT_ONCE = 50;

/** Rejects with what the store or a query throws; queries after one that failed are not run. */
export async function runTask(
  task: RollupTask,
  { fromMs, toMs, at = {} }: RunRange,
  { store, clock, signal, assertMayWrite }: RunParts,
  keep: (at: Readonly<Record<string, number>>) => Promise<void> = async () => {},
): Promise<readonly QueryStatus[]> {
  const statuses: QueryStatus[] = [];
  const place: Record<string, number> = { ...at };
  for (const [i, query] of task.queries.entries()) {
    const startedMs = clock.now();
    const name = String(i);
    let dataPointCount = 0;
    const status = (error?: unknown): QueryStatus => ({
      metricName: query.query.name,
      lastExecutionTime: error === undefined ? toMs : 0,
      dataPointCount,
      executionLength: clock.now() - startedMs,
      ...(error === undefined ? {} : { errorMessage: messageOf(error) }),
    });
    try {
      const start = place[name] ?? startOf(task, query, fromMs);
      let sinceKept = 0;
      for (const bucket of bucketsBetween(query, start, toMs)) {
        signal.throwIfAborted();
        const points = await runBucket(store, query, bucket);
        signal.throwIfAborted();
        if (points.length > 0) {
          assertMayWrite?.();
          const [rejected] = await store.write(points, signal);
          if (rejected !== undefined)
            throw new Error(`a point can't be stored: ${rejected.message}`);
          pointsStored(points.length);
          dataPointCount += points.length;
        }
        place[name] = bucket.toMs;
        if (++sinceKept === BUCKETS_AT_ONCE) {
          sinceKept = 0;
          await keep({ ...place });
        }
      }
      // The last bucket is still open: the next run begins with it again.
      place[name] = toMs + 1;
      statuses.push(status());
    } catch (error) {
      signal.throwIfAborted();
      statuses.push(status(error));
      throw new RunFailed(error, statuses);
    }
    if (i < task.queries.length - 1) await keep({ ...place });
  }
  return statuses;
}

function startOf(task: RollupTask, { buckets }: RollupQuery, fromMs: RunRange['fromMs']): number {
  if (typeof fromMs === 'number') return fromMs;
  const { firstDueMs } = fromMs;
  const bucketMs = buckets.endOf(firstDueMs) - buckets.startOf(firstDueMs);
  return firstStart(task, bucketMs, firstDueMs);
}

/** A range by hand, whatever was done before. Rejects as `runTask`, and with what is wrong with the task. */
export async function backfillTask(
  stored: StoredTask,
  range: { readonly fromMs: number; readonly toMs: number },
  parts: RunParts,
): Promise<void> {
  await runTask(parseRollupTask(stored.json, stored.writtenAtMs).task, range, parts);
}

/** A run that did not come through, with how each query went so far. */
export class RunFailed extends Error {
  readonly statuses: readonly QueryStatus[];

  constructor(cause: unknown, statuses: readonly QueryStatus[]) {
    super(messageOf(cause), { cause });
    this.statuses = statuses;
  }
}
