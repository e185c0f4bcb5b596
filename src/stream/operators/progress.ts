/** How far one partition came, as stage n tells it to stage n+1 through the internal topic between them. */
import { jsonValues, Table } from '../../state/index.ts';
import type { TaskContext } from '../task-context.ts';
import { windowStart } from '../windows.ts';

export interface PartitionProgress {
  readonly kind: 'progress';
  readonly partition: number;
  readonly partitions: number;
  /** null: nothing was ever seen. */
  readonly watermark: number | null;
  readonly idle: boolean;
}

export interface ProgressSender<T> {
  readonly send: (value: T | PartitionProgress) => void;
  /**
   * Keeps `watermark` as the place reached, and sends it once `passed`, the event time whose windows are
   * complete, comes into another step of `everyMs`.
   */
  readonly reach: (watermark: number, passed: number) => void;
}

/** Sends to partition 0 of `topic`; progress also whenever the task becomes idle or busy. */
export function progressSender<T>(
  task: TaskContext,
  topic: string,
  everyMs: number,
): ProgressSender<T> {
  let sentUpTo = Number.NEGATIVE_INFINITY;
  let idle = false;
  /** One entry. Kept, as a task that restarts and reads nothing more must still tell how far it came. */
  const watermarks = new Table<number>(jsonValues());
  task.store(watermarks, '/watermark');
  const send = (value: T | PartitionProgress) =>
    task.emit({ topic, key: String(task.partition), value: JSON.stringify(value), partition: 0 });
  const sendProgress = () =>
    send({
      kind: 'progress',
      partition: task.partition,
      partitions: task.partitions,
      watermark: watermarks.get('reached') ?? null,
      idle,
    });
  task.onIdle((now) => {
    idle = now;
    sendProgress();
  });
  return {
    send,
    reach: (watermark, passed) => {
      if (!Number.isFinite(watermark)) return;
      if (watermark > (watermarks.get('reached') ?? Number.NEGATIVE_INFINITY))
        watermarks.set('reached', watermark);
      const boundary = windowStart(passed, everyMs);
      if (boundary <= sentUpTo) return;
      sentUpTo = boundary;
      sendProgress();
    },
  };
}

/** The event time that all partitions have passed; idle ones don't count unless all are. -Infinity: not all are known. */
export function passedByAll(progress: Table<PartitionProgress>): number {
  const known = [...progress.entries()].map(([, each]) => each);
  const partitions = Math.max(0, ...known.map((p) => p.partitions));
  if (known.length < partitions) return Number.NEGATIVE_INFINITY;
  const busy = known.filter((p) => !p.idle);
  const timeOf = (p: PartitionProgress) => p.watermark ?? Number.NEGATIVE_INFINITY;
  return busy.length > 0 ? Math.min(...busy.map(timeOf)) : Math.max(...known.map(timeOf));
}
