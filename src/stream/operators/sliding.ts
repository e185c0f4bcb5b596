/**
 * Sliding windows: for every record, what the stretch of event time that ends with it holds of its key. Given
 * in event-time order once the watermark has passed the record by the grace, so that records out of order are
 * in; judged against the watermark only, so batches, epochs and crashes change nothing.
 *
 *   size 10, grace 5; records of one key, number@time, as they arrive:   1@100  2@104  3@102  4@111  5@120
 *
 *   when the watermark is beyond   105          107          109          116
 *   row (start, end]               (90, 100]    (92, 102]    (94, 104]    (101, 111]
 *   numbers in it                  1            1 3          1 3 2        3 2 4
 *
 * A window here is open at its start and closed at its end: (t - size, t]. A record exactly `sizeMs` old is
 * out; in whole milliseconds these are the half-open [t - size + 1, t + 1). Kafka Streams' SlidingWindows take
 * both bounds in (its time difference is our size less 1 ms), give also the windows that begin just after each
 * record, and revise rows; here each row is given once and is final.
 */
import type { Aggregate, Windowed } from '../aggregate.ts';
import type { Batch } from '../batch.ts';
import { KeyIndex } from '../key-index.ts';
import { setLateAside } from '../late-records.ts';
import { closingOperator, type Operator } from '../operator.ts';
import { rowsBatch } from '../rows.ts';
import { SlidingTable, type TrailingWindow } from '../sliding-table.ts';
import type { TaskContext } from '../task-context.ts';
import { checkNotNegative, checkPositive } from '../window-check.ts';

export interface SlidingOptions<S> {
  /** Fields whose values together are the key. A record that lacks one is counted as skipped. */
  readonly by: readonly string[];
  /** Length of the stretch that ends with each record. */
  readonly sizeMs: number;
  /** How far the watermark runs past a record before its row is given: records that come later are late. */
  readonly graceMs: number;
  /** Topic that gets the original bytes of late records; absent: they are counted and dropped. */
  readonly late?: string;
  readonly aggregate: Aggregate<S>;
}

/**
 * A row for each record, `start` (excluded) being its event time less the size and `end` (included) its event
 * time; records of a key at one and the same time have one window and so one row. Rows come in order of `end`,
 * which is also their event time, and behind each the watermark stands there: windows that follow need no grace.
 *
 * A record is late when the watermark is more than `graceMs` past it: other rows could have held it, so it goes
 * aside and there is no row for it. A duplicate counts in the windows given from then on that hold the record
 * which it repeats.
 *
 * Memory: two aggregates for each record of the last size + grace; so is the state, one entry a record.
 */
export function sliding<T, S>(options: SlidingOptions<S>): Operator<T, Windowed<S>> {
  const { by, sizeMs, graceMs, late, aggregate } = options;
  checkPositive('sizeMs', sizeMs);
  checkNotNegative('graceMs', graceMs);
  const detail = {
    by,
    sizeMs,
    graceMs,
    ...(late === undefined ? {} : { late }),
    aggregate: aggregate.name,
  };
  return closingOperator<T, Windowed<S>>({ kind: 'sliding', detail }, (task) => {
    const step = new SlidingStep<S>(options, task);
    return { next: (batch, emit) => emit(step.next(batch)) };
  });
}

class SlidingStep<S> {
  readonly #options: SlidingOptions<S>;
  readonly #keys: KeyIndex;
  readonly #table: SlidingTable<S>;
  readonly #task: TaskContext;

  constructor(options: SlidingOptions<S>, task: TaskContext) {
    this.#options = options;
    this.#keys = new KeyIndex(options.by);
    this.#table = new SlidingTable(options.aggregate, options.sizeMs, (values) =>
      this.#keys.numberOf(values),
    );
    this.#task = task;
    task.store(this.#table);
  }

  next(batch: Batch<unknown>): Batch<Windowed<S>> {
    const { graceMs, late, aggregate } = this.#options;
    const table = this.#table;
    const keyOf = this.#keys.reader(batch);
    const add = aggregate.adder(batch);
    const { selected, timestamps, watermarks, offsets, duplicates } = batch;
    const count = selected === undefined ? batch.length : selected.length;
    const ended: TrailingWindow<S>[] = [];
    const give = (watermark: number) => ended.push(...table.takeBefore(watermark - graceMs));
    const countDuplicate = (d: number) => {
      const i = duplicates?.rows[d] as number;
      give(watermarks[i] as number);
      const key = keyOf(i);
      if (key >= 0) table.countDuplicate(key, duplicates?.firstTimestamps[d] as number);
    };
    let duplicate = 0;
    let skipped = 0;

    for (let k = 0; k < count; k++) {
      const i = selected === undefined ? k : (selected[k] as number);
      for (; duplicates !== undefined && (duplicates.rows[duplicate] ?? i) < i; duplicate++)
        countDuplicate(duplicate);
      const watermark = watermarks[i] as number;
      give(watermark);
      const keyNumber = keyOf(i);
      const time = timestamps[i] as number;
      if (keyNumber < 0) skipped++;
      else if (time < watermark - graceMs) setLateAside(this.#task, batch, i, late);
      else {
        const state = aggregate.create();
        add(state, i);
        const key = this.#keys.values[keyNumber] as readonly string[];
        table.add(keyNumber, { key, time, offset: offsets[i] as number, state });
      }
    }
    for (; duplicate < (duplicates?.count ?? 0); duplicate++) countDuplicate(duplicate);
    give(batch.watermark);
    if (skipped > 0) this.#task.count('skipped', skipped);
    return this.#batchOf(batch, ended);
  }

  /** In order of event time: behind each row the watermark is its own time, behind all what none to come is before. */
  #batchOf(batch: Batch<unknown>, ended: readonly TrailingWindow<S>[]): Batch<Windowed<S>> {
    const { topic, partition } = batch;
    const ends = Float64Array.from(ended, ({ time }) => time);
    return rowsBatch({
      topic,
      partition,
      watermark: batch.watermark - this.#options.graceMs,
      rows: ended.map((window) => rowOf(window, this.#options.sizeMs, partition)),
      offsets: Float64Array.from(ended, ({ lastOffset }) => lastOffset),
      timestamps: ends,
      watermarks: ends,
    });
  }
}

function rowOf<S>(window: TrailingWindow<S>, sizeMs: number, partition: number): Windowed<S> {
  return {
    key: window.key,
    carried: {},
    start: window.time - sizeMs,
    end: window.time,
    state: window.state,
    partition,
    firstOffset: window.firstOffset,
    lastOffset: window.lastOffset,
    late: 0,
    duplicates: window.duplicates,
    revision: 0,
  };
}
