/**
 * Groups rows by key, assigns them to tumbling or hopping windows of event time, folds each with an aggregate
 * and gives a window's rows when the watermark closes it. Everything is judged record by record against the
 * watermark at that record, so the result does not depend on where batches or epochs are cut.
 *
 *   12:00      12:05            12:05:30
 *     ├── window ┤── grace ────────┤ closed: rows go on; later records for it are late
 */
import type { Aggregate, Windowed } from '../aggregate.ts';
import type { Batch, Duplicates } from '../batch.ts';
import { KeyIndex } from '../key-index.ts';
import { carriedReader, reportRow, setLateAside } from '../late-records.ts';
import { closingOperator, type Operator } from '../operator.ts';
import { rowsBatch } from '../rows.ts';
import type { TaskContext } from '../task-context.ts';
import { type WindowEntry, WindowTable } from '../window-table.ts';
import { type TimeWindows, windowStart } from '../windows.ts';

export interface WindowOptions<S> {
  /** Fields whose values together are the key. A record that lacks one is counted as skipped. */
  readonly by: readonly string[];
  readonly windows: TimeWindows;
  readonly aggregate: Aggregate<S>;
  /** Fields whose first value in a window goes with its row. */
  readonly carry?: readonly string[];
}

/** What a window step shows to whoever watches the task. */
export interface WindowView<S> {
  /** Open windows, earliest end first. */
  open(): readonly {
    readonly start: number;
    readonly end: number;
    readonly entries: readonly WindowEntry<S>[];
    /** Counts up, by an entry's place, with each record that changes it. */
    readonly changes: Uint32Array;
  }[];
  readonly watermark: number;
}

const NO_DUPLICATES: Duplicates = {
  count: 0,
  rows: new Int32Array(0),
  firstTimestamps: new Float64Array(0),
};

/** Rows per key and window; see the head of this file. */
export function window<T, S>(options: WindowOptions<S>): Operator<T, Windowed<S>> {
  const { by, windows, aggregate, carry = [] } = options;
  const detail = {
    by,
    windows: windows.kind,
    sizeMs: windows.sizeMs,
    ...(windows.kind === 'hopping' ? { advanceMs: windows.advanceMs } : {}),
    graceMs: windows.graceMs,
    ...(windows.late === undefined ? {} : { late: windows.late }),
    aggregate: aggregate.name,
    ...(carry.length > 0 ? { carry } : {}),
  };
  return closingOperator<T, Windowed<S>>({ kind: 'window', detail }, (task) => {
    const step = new WindowStep<S>(by, windows, aggregate, carry, task);
    return { next: (batch, emit) => step.next(batch, emit) };
  });
}

type Emit<S> = (batch: Batch<Windowed<S>>) => void;

class WindowStep<S> implements WindowView<S> {
  readonly #keys: KeyIndex;
  readonly #table: WindowTable<S>;
  readonly #windows: TimeWindows;
  readonly #aggregate: Aggregate<S>;
  readonly #carry: readonly string[];
  readonly #task: TaskContext;
  watermark = Number.NEGATIVE_INFINITY;

  constructor(
    by: readonly string[],
    windows: TimeWindows,
    aggregate: Aggregate<S>,
    carry: readonly string[],
    task: TaskContext,
  ) {
    this.#keys = new KeyIndex(by);
    this.#table = new WindowTable(aggregate, (values) => this.#keys.numberOf(values));
    this.#windows = windows;
    this.#aggregate = aggregate;
    this.#carry = carry;
    this.#task = task;
    task.store(this.#table);
    task.expose(task.step, this);
  }

  open() {
    return this.#table.open();
  }

  next(batch: Batch<unknown>, emit: Emit<S>): void {
    const { sizeMs, advanceMs, graceMs } = this.#windows;
    const table = this.#table;
    const keyOf = this.#keys.reader(batch);
    const add = this.#aggregate.adder(batch);
    const { selected, timestamps, watermarks, offsets } = batch;
    const count = selected === undefined ? batch.length : selected.length;
    const duplicates = batch.duplicates ?? NO_DUPLICATES;
    const carried = this.#carry.length === 0 ? undefined : carriedReader(batch, this.#carry);
    let duplicate = 0;
    let nextDuplicate =
      duplicates.count > 0 ? (duplicates.rows[0] as number) : Number.POSITIVE_INFINITY;
    let skipped = 0;
    let closeAt = table.earliestEnd + graceMs;
    // The window of the record before is nearly always the window of this one.
    let current = table.get(Number.NaN);

    for (let k = 0; k < count; k++) {
      const i = selected === undefined ? k : (selected[k] as number);
      while (nextDuplicate < i) {
        this.#countDuplicate(batch, keyOf, duplicates, duplicate, emit);
        duplicate++;
        nextDuplicate =
          duplicate < duplicates.count
            ? (duplicates.rows[duplicate] as number)
            : Number.POSITIVE_INFINITY;
        closeAt = table.earliestEnd + graceMs;
        current = undefined;
      }
      const watermark = watermarks[i] as number;
      if (watermark >= closeAt) {
        this.#close(batch, watermark, emit);
        closeAt = table.earliestEnd + graceMs;
        current = undefined;
      }
      const timestamp = timestamps[i] as number;
      const key = keyOf(i);
      if (key < 0) {
        skipped++;
        continue;
      }
      let start = windowStart(timestamp, advanceMs);
      if (start + sizeMs + graceMs <= watermark) {
        this.#late(batch, i, key, start, emit);
        continue;
      }
      // Tumbling: once. Hopping: each window that still is open and contains the record, newest first.
      for (
        ;
        start + sizeMs > timestamp && start + sizeMs + graceMs > watermark;
        start -= advanceMs
      ) {
        if (current === undefined || current.start !== start) {
          current = table.windowAt(start, start + sizeMs);
          closeAt = table.earliestEnd + graceMs;
        }
        let entry = current.byKey[key];
        if (entry === undefined) {
          entry = table.create(current, key, this.#keys.values[key] as readonly string[]);
          if (carried !== undefined) entry.carry(carried(i));
        }
        add(entry.state, i);
        const offset = offsets[i] as number;
        if (offset < entry.firstOffset) entry.firstOffset = offset;
        if (offset > entry.lastOffset) entry.lastOffset = offset;
        current.changed(entry);
        if (!entry.dirty) table.touch(entry);
      }
    }
    for (; duplicate < duplicates.count; duplicate++)
      this.#countDuplicate(batch, keyOf, duplicates, duplicate, emit);
    if (batch.watermark >= table.earliestEnd + graceMs) this.#close(batch, batch.watermark, emit);
    this.watermark = batch.watermark;
    if (skipped > 0) this.#task.count('skipped', skipped);
    // Later steps see time pass even when no window closed here.
    emit(this.#batchOf(batch, [], batch.watermark));
  }

  #close(batch: Batch<unknown>, watermark: number, emit: Emit<S>): void {
    const closed = this.#table.takeClosed(watermark - this.#windows.graceMs);
    const rows = closed.flatMap((window) =>
      window.entries.map((entry) => closedRow(entry, batch.partition)),
    );
    // One batch for the whole pass: a wider window downstream must see all of it before it closes itself.
    emit(this.#batchOf(batch, rows, watermark));
  }

  /** A duplicate counts in the window of the record that it repeats, judged where it stands in the log. */
  #countDuplicate(
    batch: Batch<unknown>,
    keyOf: (i: number) => number,
    duplicates: Duplicates,
    d: number,
    emit: Emit<S>,
  ): void {
    const i = duplicates.rows[d] as number;
    const watermark = batch.watermarks[i] as number;
    const { sizeMs, advanceMs, graceMs } = this.#windows;
    if (watermark >= this.#table.earliestEnd + graceMs) this.#close(batch, watermark, emit);
    const first = duplicates.firstTimestamps[d] as number;
    const key = keyOf(i);
    if (key < 0) return;
    for (let start = windowStart(first, advanceMs); start + sizeMs > first; start -= advanceMs) {
      const entry = this.#table.get(start)?.byKey[key];
      if (entry !== undefined) {
        entry.duplicates++;
        this.#table.touch(entry);
      } else if (start + sizeMs + graceMs <= watermark) {
        emit(
          this.#batchOf(
            batch,
            [this.#stub(batch, key, start, { late: 0, duplicates: 1 })],
            watermark,
          ),
        );
      }
    }
  }

  #late(batch: Batch<unknown>, i: number, key: number, start: number, emit: Emit<S>): void {
    setLateAside(this.#task, batch, i, this.#windows.late);
    const watermark = batch.watermarks[i] as number;
    emit(
      this.#batchOf(batch, [this.#stub(batch, key, start, { late: 1, duplicates: 0 })], watermark),
    );
  }

  #stub(
    batch: Batch<unknown>,
    key: number,
    start: number,
    counts: { late: number; duplicates: number },
  ): Windowed<S> {
    const { partition } = batch;
    const place = { key: this.#keys.values[key] as readonly string[], start, partition };
    return reportRow({ ...place, end: start + this.#windows.sizeMs }, counts);
  }

  #batchOf(
    batch: Batch<unknown>,
    rows: readonly Windowed<S>[],
    watermark: number,
  ): Batch<Windowed<S>> {
    return windowedBatch(batch, rows, watermark);
  }
}

/** The row of an entry whose window has closed. */
export function closedRow<S>(entry: WindowEntry<S>, partition: number): Windowed<S> {
  return {
    key: entry.key,
    carried: entry.carried,
    start: entry.start,
    end: entry.end,
    state: entry.state,
    partition,
    firstOffset: entry.firstOffset,
    lastOffset: entry.lastOffset,
    late: entry.late,
    duplicates: entry.duplicates,
    revision: 0,
    ...(entry.parts === undefined ? {} : { parts: entry.parts }),
  };
}

/** Rows of windows as a batch; a row's event time is its window's start. */
export function windowedBatch<S>(
  frame: { readonly topic: string; readonly partition: number },
  rows: readonly Windowed<S>[],
  watermark: number,
): Batch<Windowed<S>> {
  return rowsBatch({
    topic: frame.topic,
    partition: frame.partition,
    watermark,
    rows,
    offsets: Float64Array.from(rows, (row) => row.lastOffset),
    timestamps: Float64Array.from(rows, (row) => row.start),
    watermarks: new Float64Array(rows.length).fill(watermark),
  });
}
