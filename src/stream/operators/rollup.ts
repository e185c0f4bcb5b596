/**
 * Folds the closed windows of an earlier step into wider windows or fewer keys, by merging their aggregates:
 * an hour from twelve five-minute windows, a network from its validators. Percentiles stay right because
 * digests are merged, never averaged (design §5).
 */
import type { Aggregate, Windowed } from '../aggregate.ts';
import type { Batch } from '../batch.ts';
import { joinKey } from '../key-index.ts';
import { closingOperator, type Operator } from '../operator.ts';
import type { TaskContext } from '../task-context.ts';
import { type WindowEntry, WindowTable } from '../window-table.ts';
import { type TimeWindows, windowStart } from '../windows.ts';
import { closedRow, type WindowView, windowedBatch } from './window.ts';

export interface RollupOptions<S> {
  /** Tumbling; a multiple of the earlier step's size, with the same grace. */
  readonly windows: TimeWindows;
  readonly aggregate: Aggregate<S>;
  /** Which parts of the earlier key remain, by position. Default: all of them. */
  readonly by?: readonly number[];
}

/** Wider windows, or fewer keys, from closed ones; see the head of this file. */
export function rollup<S>(options: RollupOptions<S>): Operator<Windowed<S>, Windowed<S>> {
  const { windows, aggregate, by } = options;
  const detail = {
    sizeMs: windows.sizeMs,
    graceMs: windows.graceMs,
    aggregate: aggregate.name,
    ...(by === undefined ? {} : { by }),
  };
  return closingOperator<Windowed<S>, Windowed<S>>({ kind: 'rollup', detail }, (task) => {
    const step = new RollupStep<S>(windows, aggregate, by, task);
    return { next: (batch, emit) => step.next(batch, emit) };
  });
}

class RollupStep<S> implements WindowView<S> {
  readonly #numbers = new Map<string, number>();
  readonly #table: WindowTable<S>;
  readonly #windows: TimeWindows;
  readonly #aggregate: Aggregate<S>;
  readonly #by: readonly number[] | undefined;
  watermark = Number.NEGATIVE_INFINITY;

  constructor(
    windows: TimeWindows,
    aggregate: Aggregate<S>,
    by: readonly number[] | undefined,
    task: TaskContext,
  ) {
    this.#windows = windows;
    this.#aggregate = aggregate;
    this.#by = by;
    this.#table = new WindowTable(aggregate, (values) => this.#numberOf(values));
    task.store(this.#table);
    task.expose(task.step, this);
  }

  open() {
    return this.#table.open();
  }

  next(batch: Batch<Windowed<S>>, emit: (batch: Batch<Windowed<S>>) => void): void {
    const reports: Windowed<S>[] = [];
    for (let i = 0; i < batch.length; i++) {
      const report = this.#fold(batch.row(i), batch.watermarks[i] as number);
      if (report !== undefined) reports.push(report);
    }
    this.watermark = batch.watermark;
    const closed = this.#table.takeClosed(batch.watermark - this.#windows.graceMs);
    const rows = closed.flatMap((window) =>
      window.entries.filter(hasRecords).map((entry) => closedRow(entry, batch.partition)),
    );
    // Rows first: had a batch ended just before the record that is reported, they would have gone by then.
    emit(windowedBatch(batch, [...rows, ...reports], batch.watermark));
  }

  /**
   * Gives back what this step's window, being closed, can't count any more but a wider one may. Rows with state
   * arrive when their own window closes, and a wider one with the same grace is still open then.
   */
  #fold(row: Windowed<S>, watermark: number): Windowed<S> | undefined {
    const { sizeMs, graceMs } = this.#windows;
    const start = windowStart(row.start, sizeMs);
    const end = start + sizeMs;
    const by = this.#by;
    const values = by === undefined ? row.key : by.map((position) => row.key[position] as string);
    if (row.state === undefined && end + graceMs <= watermark)
      return { ...row, key: values, start, end };
    const key = this.#numberOf(values);
    const window = this.#table.windowAt(start, end);
    const entry = window.byKey[key] ?? this.#table.create(window, key, values);
    if (row.state !== undefined) {
      if (!hasRecords(entry) && by === undefined) entry.carry(row.carried);
      this.#aggregate.merge(entry.state, row.state);
      if (row.firstOffset < entry.firstOffset) entry.firstOffset = row.firstOffset;
      if (row.lastOffset > entry.lastOffset) entry.lastOffset = row.lastOffset;
    }
    entry.late += row.late;
    entry.duplicates += row.duplicates;
    window.changed(entry);
    this.#table.touch(entry);
    return undefined;
  }

  #numberOf(values: readonly string[]): number {
    const text = joinKey(values);
    let key = this.#numbers.get(text);
    if (key === undefined) {
      key = this.#numbers.size;
      this.#numbers.set(text, key);
    }
    return key;
  }
}

const hasRecords = (entry: WindowEntry<unknown>): boolean => entry.lastOffset >= 0;
