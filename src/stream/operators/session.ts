/**
 * Sessions: windows that grow while the records of a key keep coming, and end when the key falls silent.
 * Judged record by record against the watermark at that record, like `window`: batches, epochs and crashes
 * change nothing.
 *
 *   gap 30 s, grace 10 s              12:00:00  12:00:20            12:01:10
 *   records of one key                    a         b                   c
 *   sessions (half-open)                  [─────────────────── 12:00:50)[────────────── 12:01:40)
 *   closes at watermark                                   12:01:00           12:01:50
 *
 * `a` and `b` are 20 s apart, less than the gap: one session [12:00:00, 12:00:50), from its first record to its
 * last plus the gap. `c` lies past its end and opens the next; with c the watermark is 12:01:10, past 12:00:50 +
 * grace, so the session {a, b} is given just before. Had a record of 12:00:45 come before c, it would have
 * lengthened the session to [12:00:00, 12:01:15), and c, falling within, would belong to it. Two records exactly one gap apart belong to two sessions, for intervals are
 * half-open (Kafka Streams' SessionWindows, whose bounds are inclusive, make one of them).
 */
import type { Aggregate, Windowed } from '../aggregate.ts';
import type { Batch, Duplicates } from '../batch.ts';
import { KeyIndex } from '../key-index.ts';
import { carriedReader, reportRow, setLateAside } from '../late-records.ts';
import { closingOperator, type Operator } from '../operator.ts';
import { type Session, SessionTable } from '../session-table.ts';
import type { TaskContext } from '../task-context.ts';
import { checkNotNegative, checkPositive } from '../window-check.ts';
import { windowedBatch } from './window.ts';

export interface SessionOptions<S> {
  /** Fields whose values together are the key. A record that lacks one is counted as skipped. */
  readonly by: readonly string[];
  /** A key's records belong together while each is less than this from the next, in event time. */
  readonly gapMs: number;
  /** How long after its end a session still takes records. No default: choosing 0 drops all out-of-order data. */
  readonly graceMs: number;
  /** Topic that gets the original bytes of late records; absent: they are counted and dropped. */
  readonly late?: string;
  /** Its `merge` joins two sessions that a record bridges. */
  readonly aggregate: Aggregate<S>;
  /** Fields whose first value in a session goes with its row. */
  readonly carry?: readonly string[];
}

/** What a session step shows to whoever watches the task. */
export interface SessionView<S> {
  /** Open sessions, the one that ends first, first. */
  open(): readonly Session<S>[];
  readonly watermark: number;
}

/**
 * A row per session, when the watermark reaches its end plus grace: `start` is the event time of its first
 * record, `end` that of its last plus the gap. In order of ends, then starts, then first sight.
 *
 * A record is late when the session that it would make, with those that it touches, has ended `graceMs` before
 * the watermark; its row reports `[t, t + gap)` without state. A record that touches a session that is still
 * open is not late, however old. A duplicate counts in the session that holds the record it repeats.
 *
 * Memory: one aggregate per open session; a key that never falls silent is one session that never closes.
 * Sessions don't line up between keys, so a `rollup` behind them would give wider windows piecemeal.
 */
export function session<T, S>(options: SessionOptions<S>): Operator<T, Windowed<S>> {
  const { by, gapMs, graceMs, late, aggregate, carry = [] } = options;
  checkPositive('gapMs', gapMs);
  checkNotNegative('graceMs', graceMs);
  const detail = {
    by,
    gapMs,
    graceMs,
    ...(late === undefined ? {} : { late }),
    aggregate: aggregate.name,
    ...(carry.length > 0 ? { carry } : {}),
  };
  return closingOperator<T, Windowed<S>>({ kind: 'session', detail }, (task) => {
    const step = new SessionStep<S>(options, task);
    return { next: (batch, emit) => step.next(batch, emit) };
  });
}

type Emit<S> = (batch: Batch<Windowed<S>>) => void;

class SessionStep<S> implements SessionView<S> {
  readonly #options: SessionOptions<S>;
  readonly #keys: KeyIndex;
  readonly #table: SessionTable<S>;
  readonly #task: TaskContext;
  watermark = Number.NEGATIVE_INFINITY;

  constructor(options: SessionOptions<S>, task: TaskContext) {
    this.#options = options;
    this.#keys = new KeyIndex(options.by);
    this.#table = new SessionTable(options.aggregate, (values) => this.#keys.numberOf(values));
    this.#task = task;
    task.store(this.#table);
    task.expose(task.step, this);
  }

  open() {
    return this.#table.open();
  }

  next(batch: Batch<unknown>, emit: Emit<S>): void {
    const { gapMs, graceMs, late, aggregate, carry = [] } = this.#options;
    const table = this.#table;
    const keyOf = this.#keys.reader(batch);
    const add = aggregate.adder(batch);
    const carried = carry.length === 0 ? undefined : carriedReader(batch, carry);
    const { selected, timestamps, watermarks, offsets, duplicates } = batch;
    const count = selected === undefined ? batch.length : selected.length;
    let duplicate = 0;
    let skipped = 0;

    for (let k = 0; k < count; k++) {
      const i = selected === undefined ? k : (selected[k] as number);
      for (; duplicates !== undefined && (duplicates.rows[duplicate] ?? i) < i; duplicate++)
        this.#countDuplicate(batch, keyOf, duplicates, duplicate, emit);
      const watermark = watermarks[i] as number;
      this.#close(batch, watermark, emit);
      const key = keyOf(i);
      if (key < 0) {
        skipped++;
        continue;
      }
      const time = timestamps[i] as number;
      const touched = table.near(key, time, gapMs);
      const last = touched.reduce((latest, { last }) => Math.max(latest, last), time);
      if (last <= watermark - graceMs - gapMs) {
        setLateAside(this.#task, batch, i, late);
        emit(this.#report(batch, key, time, { late: 1, duplicates: 0 }, watermark));
        continue;
      }
      let own = touched.length > 0 ? table.merge(touched) : undefined;
      if (own === undefined) {
        own = table.create(key, this.#keys.values[key] as readonly string[], time);
        if (carried !== undefined) own.carried = carried(i);
      }
      add(own.state, i);
      const offset = offsets[i] as number;
      if (time < own.first) own.first = time;
      if (time > own.last) own.last = time;
      if (offset < own.firstOffset) own.firstOffset = offset;
      if (offset > own.lastOffset) own.lastOffset = offset;
      table.touch(own);
    }
    for (; duplicates !== undefined && duplicate < duplicates.count; duplicate++)
      this.#countDuplicate(batch, keyOf, duplicates, duplicate, emit);
    this.#close(batch, batch.watermark, emit);
    this.watermark = batch.watermark;
    if (skipped > 0) this.#task.count('skipped', skipped);
    // Later steps see time pass even when no session closed here.
    emit(windowedBatch(batch, [], batch.watermark));
  }

  #close(batch: Batch<unknown>, watermark: number, emit: Emit<S>): void {
    const { gapMs, graceMs } = this.#options;
    const closed = this.#table.takeClosed(watermark - graceMs - gapMs);
    if (closed.length === 0) return;
    const rows = closed.map((own) => closedRow(own, gapMs, batch.partition));
    emit(windowedBatch(batch, rows, watermark));
  }

  /** A duplicate counts in the session of the record that it repeats, judged where it stands in the log. */
  #countDuplicate(
    batch: Batch<unknown>,
    keyOf: (i: number) => number,
    duplicates: Duplicates,
    d: number,
    emit: Emit<S>,
  ): void {
    const { gapMs, graceMs } = this.#options;
    const i = duplicates.rows[d] as number;
    const watermark = batch.watermarks[i] as number;
    this.#close(batch, watermark, emit);
    const time = duplicates.firstTimestamps[d] as number;
    const key = keyOf(i);
    if (key < 0) return;
    const own = this.#table
      .near(key, time, gapMs)
      .find(({ first, last }) => first <= time && time <= last);
    if (own !== undefined) {
      own.duplicates++;
      this.#table.touch(own);
    } else if (time <= watermark - graceMs - gapMs)
      emit(this.#report(batch, key, time, { late: 0, duplicates: 1 }, watermark));
  }

  #report(
    batch: Batch<unknown>,
    key: number,
    time: number,
    counts: { late: number; duplicates: number },
    watermark: number,
  ): Batch<Windowed<S>> {
    const { partition } = batch;
    const values = this.#keys.values[key] as readonly string[];
    const place = { key: values, start: time, end: time + this.#options.gapMs, partition };
    return windowedBatch(batch, [reportRow(place, counts)], watermark);
  }
}

function closedRow<S>(own: Session<S>, gapMs: number, partition: number): Windowed<S> {
  return {
    key: own.key,
    carried: own.carried,
    start: own.first,
    end: own.last + gapMs,
    state: own.state,
    partition,
    firstOffset: own.firstOffset,
    lastOffset: own.lastOffset,
    late: 0,
    duplicates: own.duplicates,
    revision: 0,
  };
}
