/**
 * The two ends of `acrossPartitions` for rows as they are: stage n sends each row and how far its partition's
 * watermark came; stage n+1 reads both, and `Frontier` tells the event time that every partition has passed.
 * A partition that is caught up and quiet does not hold the others back; that decision is itself a record of
 * the internal topic, so a replay of it decides alike.
 */
import { jsonValues, Table } from '../../state/index.ts';
import type { Codec } from '../codec.ts';
import { forEachRow } from '../for-each-row.ts';
import { type Operator, operator } from '../operator.ts';
import { rowDecoder } from '../row-decoder.ts';
import type { TaskContext } from '../task-context.ts';
import { type PartitionProgress, passedByAll, progressSender } from './progress.ts';

export interface GatheredRow<T> {
  readonly kind: 'row';
  readonly row: T;
}

export type Gathered<T> = GatheredRow<T> | PartitionProgress;

/** JSON of the internal topic. */
export function gatherCodec<T>(): Codec<Gathered<T>> {
  return {
    name: 'gathered',
    createDecoder: () =>
      rowDecoder((text) => ({ row: JSON.parse(text) as Gathered<T>, timestamp: 0 })),
    encode: (row) => Buffer.from(JSON.stringify(row)),
  };
}

/**
 * Sends rows in play, and progress each time the watermark, less `graceMs`, passes a multiple of `everyMs`.
 * `graceMs`: how much older than the watermark a row may still be.
 */
export function sendRows<T>(
  topic: string,
  options: { readonly everyMs: number; readonly graceMs: number },
): Operator<T, T> {
  const { everyMs, graceMs } = options;
  return operator<T, T>({ kind: 'across', detail: { everyMs, graceMs } }, (task) => {
    const progress = progressSender<GatheredRow<T>>(task, topic, everyMs);
    return {
      next: (batch, emit) => {
        forEachRow(batch, (i) => progress.send({ kind: 'row', row: batch.row(i) }));
        const passed = batch.watermark - graceMs;
        progress.reach(passed, passed);
        emit(batch);
      },
    };
  });
}

/** The event time that all partitions have passed; idle ones don't count unless all are. It never goes back. */
export class Frontier {
  readonly #progress = new Table<PartitionProgress>(jsonValues());
  /** One entry. */
  readonly #reached = new Table<number>(jsonValues());

  constructor(task: TaskContext) {
    task.store(this.#progress, '/progress');
    task.store(this.#reached, '/frontier');
  }

  get time(): number {
    return this.#reached.get('time') ?? Number.NEGATIVE_INFINITY;
  }

  /** Gives the time passed after this progress. */
  take(progress: PartitionProgress): number {
    this.#progress.set(String(progress.partition), progress);
    const time = passedByAll(this.#progress);
    if (time > this.time) this.#reached.set('time', time);
    return this.time;
  }
}
