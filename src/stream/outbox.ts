/**
 * What a step gives when many windows close at once: the rows go on in slices of a fixed size, each the work of a
 * few milliseconds, and the event loop is free in between where the task has others to let in. Slices depend on
 * the rows alone, and only the last carries the new watermark: outputs are the same however a task paces them, and
 * a wider window downstream has seen all rows before it closes itself.
 */
import type { Batch } from './batch.ts';
import { rowsBatch } from './rows.ts';
import type { TaskContext } from './task-context.ts';

/** Rows in one slice: a close of 2,000 windows takes 32 turns of 1 to 2 ms. */
export const SLICE_ROWS = 64;

export class Outbox<T> {
  readonly #task: TaskContext;
  readonly #emit: (batch: Batch<T>) => void;
  /** What may go on only after the slice that went before has had its turn. */
  readonly #waiting: Batch<T>[] = [];
  #holding = false;
  /** What downstream has been told, or will be before anything given from now on. */
  #watermark = Number.NEGATIVE_INFINITY;

  constructor(task: TaskContext, emit: (batch: Batch<T>) => void) {
    this.#task = task;
    this.#emit = emit;
  }

  /** Hands on a batch of plain rows, all of them in play. */
  give(batch: Batch<T>): void {
    let from = 0;
    for (; from + SLICE_ROWS < batch.length; from += SLICE_ROWS)
      this.#put(sliceOf(batch, from, from + SLICE_ROWS, this.#watermark));
    this.#put(from === 0 ? batch : sliceOf(batch, from, batch.length, batch.watermark));
    this.#watermark = batch.watermark;
  }

  #put(batch: Batch<T>): void {
    if (this.#holding) this.#waiting.push(batch);
    else this.#send(batch);
  }

  #send(batch: Batch<T>): void {
    this.#emit(batch);
    const { nextTurn } = this.#task;
    if (nextTurn === undefined || batch.length < SLICE_ROWS) return;
    this.#holding = true;
    this.#task.defer(nextTurn(), () => this.#goOn());
  }

  #goOn(): void {
    this.#holding = false;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#send(next);
      if (this.#holding) return;
    }
  }
}

function sliceOf<T>(batch: Batch<T>, from: number, to: number, watermark: number): Batch<T> {
  return rowsBatch({
    topic: batch.topic,
    partition: batch.partition,
    watermark,
    rows: Array.from({ length: to - from }, (_, i) => batch.row(from + i)),
    offsets: batch.offsets.subarray(from, to),
    timestamps: batch.timestamps.subarray(from, to),
    watermarks: batch.watermarks.subarray(from, to),
  });
}
