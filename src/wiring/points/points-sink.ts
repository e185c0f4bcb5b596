/** The end of the points' way: records of the log into the KairosDB store, deletes in their place between them. */
import {
  decodeDelete,
  isDelete,
  type KairosStore,
  type PackedWriteOptions,
  pointsOf,
} from '../../databases/kairos/index.ts';
import type { Rejection, Sink } from '../../delivery/index.ts';
import { PoisonError } from '../../model/index.ts';
import { rowQueryOf } from '../../query/index.ts';

/** One record of the points' topic. */
export interface LoggedPoints {
  readonly partition: number;
  readonly offset: number;
  /** By the log. */
  readonly appendedAtMs: number;
  readonly bytes: Buffer;
}

/**
 * Points turned into cells at once, 20 bytes each. Of a thousand series, ten thousand points are requests of ten
 * cells, which cost Cassandra twice what the same points cost in requests of a hundred.
 */
const WRITE_POINTS = { cassandra: 100_000, embedded: 50_000 };
/** What is left goes with the run before it below this part of a run: by itself it would cost a request for each row again. */
const REST_OF_RUN = 0.25;

export interface PointsSinkParts {
  readonly name: string;
  readonly store: KairosStore;
  /** Told when all of a partition before `offset` is in the store. */
  readonly onStored: (partition: number, offset: number) => void;
}

/** In order: give it to a delivery with one writer. */
export function pointsSink({ name, store, onStored }: PointsSinkParts): Sink<LoggedPoints> {
  return {
    name,
    connect: (signal) => store.connect(signal),
    check: (signal) => store.check(signal),
    close: async () => {},
    async write(records, signal) {
      const rejections: Rejection[] = [];
      // One run is prepared while the one before it is on its way.
      let before: Promise<unknown> | undefined;
      try {
        for (let from = 0; from < records.length; ) {
          signal?.throwIfAborted();
          const start = from;
          const end = endOfRun(records, start, WRITE_POINTS[store.rows.kind]);
          const run = records.slice(start, end).map(({ bytes }) => bytes);
          const behind = before;
          const stored = (
            isDelete(run[0] as Buffer)
              ? deleteBehind(store, run[0] as Buffer, behind)
              : writeRun(store, run, { signal, behind })
          ).then((found) => {
            for (const each of found) rejections.push({ ...each, index: start + each.index });
            for (const { partition, offset } of records.slice(start, end))
              onStored(partition, offset + 1);
          });
          // What failed is told by the one that waits for it.
          stored.catch(() => {});
          before = stored;
          await behind;
          from = end;
        }
      } finally {
        await before;
      }
      return rejections;
    },
  };
}

/** Where the records end that go together: one delete, or points up to a bound and a little rest behind it. */
function endOfRun(records: readonly LoggedPoints[], from: number, pointsMax: number): number {
  if (isDelete((records[from] as LoggedPoints).bytes)) return from + 1;
  const full = endOfPoints(records, from, pointsMax);
  const rest = endOfPoints(records, full.end, REST_OF_RUN * pointsMax);
  return rest.isAll ? rest.end : full.end;
}

/** Where points from `from` on have reached a bound; `isAll`: where they ended below it. */
function endOfPoints(records: readonly LoggedPoints[], from: number, pointsMax: number) {
  let end = from;
  let points = 0;
  for (; end < records.length && points < pointsMax; end++) {
    const { bytes } = records[end] as LoggedPoints;
    if (isDelete(bytes)) break;
    points += pointsOf(bytes);
  }
  return { end, isAll: points < pointsMax };
}

async function writeRun(
  store: KairosStore,
  run: readonly Buffer[],
  options: PackedWriteOptions,
): Promise<readonly Rejection[]> {
  const points = run.reduce((sum, bytes) => sum + pointsOf(bytes), 0);
  const rejections = await store.writePacked(run, points, options);
  // A record is one thing to the log: one dead letter however many of its points are refused.
  const byRecord = new Map<number, Rejection>();
  for (const { index, message } of rejections) {
    if (!byRecord.has(index)) byRecord.set(index, { index, message });
  }
  return [...byRecord.values()];
}

async function deleteBehind(
  store: KairosStore,
  record: Buffer,
  behind: Promise<unknown> | undefined,
): Promise<readonly Rejection[]> {
  await behind;
  try {
    const { metric, startMs, endMs, tags, withName } = decodeDelete(record);
    if (withName) await store.deleteMetric(metric);
    else await store.deletePoints(rowQueryOf({ name: metric, startMs, endMs, tags }));
    return [];
  } catch (error) {
    if (error instanceof PoisonError) return [{ index: 0, message: error.message }];
    throw error;
  }
}
