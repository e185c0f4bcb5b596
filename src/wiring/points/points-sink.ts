/** The end of the points' way: records of the log into the KairosDB store, deletes in their place between them. */
import {
  decodeDelete,
  isDelete,
  type KairosStore,
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
 * cells, which cost Cassandra twice what the same points cost in requests of two hundred.
 */
const WRITE_POINTS = { cassandra: 250_000, embedded: 50_000 };

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
      for (let from = 0; from < records.length; ) {
        signal?.throwIfAborted();
        const end = endOfRun(records, from, WRITE_POINTS[store.rows.kind]);
        rejections.push(...(await writeRun(store, records, from, end, signal)));
        for (let i = from; i < end; i++) {
          const { partition, offset } = records[i] as LoggedPoints;
          onStored(partition, offset + 1);
        }
        from = end;
      }
      return rejections;
    },
  };
}

/** Where the records end that go together: one delete, or points up to a bound. */
function endOfRun(records: readonly LoggedPoints[], from: number, pointsMax: number): number {
  let end = from;
  for (let points = 0; end < records.length && points < pointsMax; end++) {
    const { bytes } = records[end] as LoggedPoints;
    if (isDelete(bytes)) return end === from ? end + 1 : end;
    points += pointsOf(bytes);
  }
  return end;
}

async function writeRun(
  store: KairosStore,
  records: readonly LoggedPoints[],
  from: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<readonly Rejection[]> {
  const run = records.slice(from, end).map(({ bytes }) => bytes);
  const [first] = run;
  if (first !== undefined && isDelete(first)) return deleteAs(store, first, from);
  const points = run.reduce((sum, bytes) => sum + pointsOf(bytes), 0);
  const rejections = await store.writePacked(run, points, signal);
  // A record is one thing to the log: one dead letter however many of its points are refused.
  const byRecord = new Map<number, Rejection>();
  for (const { index, message } of rejections) {
    if (!byRecord.has(index)) byRecord.set(index, { index: from + index, message });
  }
  return [...byRecord.values()];
}

async function deleteAs(
  store: KairosStore,
  record: Buffer,
  index: number,
): Promise<readonly Rejection[]> {
  try {
    const { metric, startMs, endMs, tags, withName } = decodeDelete(record);
    if (withName) await store.deleteMetric(metric);
    else await store.deletePoints(rowQueryOf({ name: metric, startMs, endMs, tags }));
    return [];
  } catch (error) {
    if (error instanceof PoisonError) return [{ index, message: error.message }];
    throw error;
  }
}
