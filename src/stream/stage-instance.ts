/**
 * One task's copy of one stage: the drawing built into live RxJS pipes, its state stores and what it has put
 * out since the last epoch. Synchronous and without I/O, but for what operators `defer`; the task (or a test,
 * or a replay) feeds it batches and takes outputs and state from it at a batch boundary, which is a consistent
 * cut once `drained` has nothing to wait for.
 */
import { type Observable, Subject, type Subscription } from 'rxjs';
import type { RecordBatch } from '../broker/index.ts';
import { StoreSet } from '../state/index.ts';
import type { Batch } from './batch.ts';
import type { Decoder } from './codec.ts';
import { deadLetter } from './dead-letter.ts';
import { HeldWork } from './held-work.ts';
import { progressBatch } from './rows.ts';
import {
  type OutputRecord,
  type PointOrigin,
  type TaskContext,
  type TaskCounter,
  withTask,
} from './task-context.ts';
import type { SourceDefinition, Topology } from './topology.ts';

export interface PointsOut {
  readonly sink: string;
  readonly points: readonly unknown[];
  readonly origin: PointOrigin;
}

export interface StageOutputs {
  readonly records: readonly OutputRecord[];
  readonly points: readonly PointsOut[];
}

interface Input {
  readonly definition: SourceDefinition;
  readonly decoder: Decoder<unknown>;
  readonly rows: Subject<Batch<unknown>>;
  watermark: number;
}

export interface StageInstanceOptions {
  readonly topology: Topology;
  readonly stage: number;
  readonly partition: number;
  readonly partitions: number;
  /** Default: no step lets others in between parts of its work; see TaskContext. */
  readonly nextTurn?: () => Promise<void>;
}

/** The greatest time a Date can hold, ms: later than any event. */
export const END_OF_TIME = 8.64e15;

export class StageInstance {
  readonly stores = new StoreSet();
  /** Views that operators offer to live queries, by name. */
  readonly exposed = new Map<string, unknown>();
  readonly counts: Record<TaskCounter, number> = { late: 0, duplicate: 0, rejected: 0, skipped: 0 };
  readonly task: TaskContext;
  /** Memory that outputs wait in until the next epoch, roughly. */
  outputBytes = 0;
  readonly #inputs = new Map<string, Input>();
  readonly #subscriptions: Subscription[] = [];
  readonly #held = new HeldWork();
  readonly #idleListeners: ((idle: boolean) => void)[] = [];
  #records: OutputRecord[] = [];
  #points: PointsOut[] = [];
  #step = '';
  #failure: { error: unknown } | undefined;

  constructor(options: StageInstanceOptions) {
    const { topology, stage, partition, partitions, nextTurn } = options;
    const instance = this;
    this.task = {
      topology: topology.name,
      partition,
      partitions,
      get step() {
        return instance.#step;
      },
      store: (store, suffix = '', { isOnlyOne = false } = {}) =>
        this.stores.add(`${this.#step}${suffix}`, store, isOnlyOne ? this.#step : undefined),
      emit: (record) => {
        this.#records.push(record);
        this.outputBytes += sizeOf(record);
      },
      points: (sink, points, origin) => {
        this.#points.push({ sink, points, origin });
      },
      count: (what, by) => {
        this.counts[what] += by;
      },
      defer: (work, then) => this.#held.add(work, then),
      nextTurn,
      onIdle: (listener) => void this.#idleListeners.push(listener),
      expose: (name, view) => void this.exposed.set(name, view),
    };
    withTask(this.task, () =>
      topology.drawOn({
        stage,
        step: (name) => {
          this.#step = name;
        },
        source: (definition) => this.#open(definition),
        finish: (rows) => this.#run(rows),
      }),
    );
  }

  get topics(): readonly string[] {
    return [...this.#inputs.keys()];
  }

  /** Event time reached, per input topic; -Infinity before any valid record. */
  watermarks(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#inputs].map(([topic, input]) => [topic, input.watermark]));
  }

  restoreWatermarks(watermarks: Readonly<Record<string, number | null>>): void {
    for (const [topic, watermark] of Object.entries(watermarks)) {
      const input = this.#inputs.get(topic);
      if (input !== undefined && watermark !== null) input.watermark = watermark;
    }
  }

  /** Runs one batch through the pipes. What an operator throws is thrown here; the instance is then spent. */
  process(records: RecordBatch): void {
    const input = this.#inputs.get(records.topic);
    if (input === undefined) throw new Error(`BUG: stage has no source for topic ${records.topic}`);
    this.#assertDrained();
    const batch = this.#decode(input, records);
    input.watermark = batch.watermark;
    input.rows.next(batch);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /**
   * Undefined when all that `process` or `finish` began has ended, as it always has unless operators deferred
   * work. Else resolves when it has, or rejects with what an operator threw; until then no batch may follow
   * and no outputs or state may be taken.
   */
  drained(): Promise<void> | undefined {
    return this.#held.drained();
  }

  /** Tells operators that the input is caught up and quiet, or moves again. */
  setIdle(idle: boolean): void {
    for (const listener of this.#idleListeners) listener(idle);
  }

  /** The input has ended for good: the watermark passes every window. What comes after is late. */
  finish(): void {
    for (const [topic, input] of this.#inputs) {
      input.watermark = END_OF_TIME;
      input.rows.next(
        progressBatch({ topic, partition: this.task.partition, watermark: END_OF_TIME }),
      );
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  takeOutputs(): StageOutputs {
    this.#assertDrained();
    return { records: this.takeRecords(), points: this.takePoints() };
  }

  takeRecords(): readonly OutputRecord[] {
    const records = this.#records;
    this.#records = [];
    this.outputBytes = 0;
    return records;
  }

  takePoints(): readonly PointsOut[] {
    const points = this.#points;
    this.#points = [];
    return points;
  }

  /** Lets go of the pipes; work that is under way is aborted, what it gives is dropped. */
  close(): void {
    this.#held.close();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #assertDrained(): void {
    if (this.#held.busy)
      throw new Error('BUG: work is under way; await drained() before the next batch or cut');
  }

  #open(definition: SourceDefinition): Observable<Batch<unknown>> {
    const known = this.#inputs.get(definition.topic);
    if (known !== undefined) return known.rows;
    const rows = new Subject<Batch<unknown>>();
    const decoder = definition.codec.createDecoder();
    this.#inputs.set(definition.topic, {
      definition,
      decoder,
      rows,
      watermark: Number.NEGATIVE_INFINITY,
    });
    return rows;
  }

  #run(rows: Observable<Batch<unknown>>): void {
    this.#subscriptions.push(
      rows.subscribe({
        error: (error: unknown) => {
          this.#failure ??= { error };
          this.#held.fail(error);
        },
      }),
    );
  }

  /** Columns, selection and running watermark; rejected records go to the dead-letter topic. */
  #decode(input: Input, records: RecordBatch): Batch<unknown> {
    const { definition } = input;
    const decoded = input.decoder.decode(records);
    const { timestamps } = decoded;
    const watermarks = new Float64Array(records.count);
    const logTimes = records.timestamps;
    const tolerance = definition.futureToleranceMs;
    const given = decoded.selected;
    let watermark = input.watermark;
    let fromFuture: number[] | undefined;
    let g = 0;
    for (let i = 0; i < records.count; i++) {
      const valid = given === undefined || given[g] === i;
      if (valid) {
        g++;
        const timestamp = timestamps[i] as number;
        if (timestamp > (logTimes[i] as number) + tolerance) {
          fromFuture ??= [];
          fromFuture.push(i);
        } else if (timestamp > watermark) watermark = timestamp;
      }
      watermarks[i] = watermark;
    }
    const selected = fromFuture === undefined ? given : without(given, fromFuture, records.count);
    const batch: Batch<unknown> = {
      topic: records.topic,
      partition: records.partition,
      length: records.count,
      offsets: records.offsets,
      timestamps,
      watermarks,
      watermark,
      selected,
      columns: decoded.columns,
      absent: decoded.absent,
      duplicates: undefined,
      original: (i) => originalOf(records, i),
      row: (i) => decoded.row(i),
    };
    if (definition.rejects === 'skip') {
      this.counts.skipped += decoded.rejects.length + (fromFuture?.length ?? 0);
    } else if (decoded.rejects.length > 0 || fromFuture !== undefined) {
      this.#deadLetters(batch, decoded.rejects, fromFuture ?? [], logTimes);
    }
    return batch;
  }

  #deadLetters(
    batch: Batch<unknown>,
    rejects: readonly { row: number; code: string; message: string }[],
    fromFuture: readonly number[],
    logTimes: Float64Array,
  ): void {
    const future = fromFuture.map((row) => ({
      row,
      code: 'TIMESTAMP_IN_FUTURE',
      message: `event time ${iso(batch.timestamps[row])} is past the time at which the log took it, ${iso(logTimes[row])}, by more than the tolerance; set the producer's clock`,
    }));
    const all = [...rejects, ...future].sort((a, b) => a.row - b.row);
    for (const { row, code, message } of all) deadLetter(this.task, batch, row, code, message);
  }
}

/** Copies: one late record waiting for its epoch must not keep the megabytes alive that it was fetched in. */
function originalOf(records: RecordBatch, i: number): { key: Buffer | null; value: Buffer | null } {
  const part = (start: number, end: number) =>
    start < 0 ? null : Buffer.from(records.bytes.subarray(start, end));
  return {
    key: part(records.keyStart[i] as number, records.keyEnd[i] as number),
    value: part(records.valueStart[i] as number, records.valueEnd[i] as number),
  };
}

function without(
  selected: Int32Array | undefined,
  rows: readonly number[],
  length: number,
): Int32Array {
  const out = new Set(rows);
  return (selected ?? Int32Array.from({ length }, (_, i) => i)).filter((i) => !out.has(i));
}

const sizeOf = (record: OutputRecord): number =>
  (record.key?.length ?? 0) + (record.value?.length ?? 0) + 64;

const iso = (ms: number | undefined): string => {
  const date = new Date(ms ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString();
};
