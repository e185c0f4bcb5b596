/**
 * Runs a topology in memory, with no broker, no timers and no threads: records in, records out, in the same
 * tick. Event time moves with the records; crashes, idleness and rebalances happen when told. For tests of
 * topologies, ours and yours.
 *
 *   const driver = drive(voteLatency, { partitions: 2 });
 *   driver.pipe('votes', [{ key: 'v1', value: { … } }]);
 *   driver.read('votes.rollup.5m');
 *
 * Where a step works asynchronously (`enrich`), what was told waits for it: `await driver.settled()`, then read.
 */
import { partitionOfKey, type RecordBatch } from '../broker/index.ts';
import { type LooseRecord, recordBatchOf } from './record-batch.ts';
import { StageInstance } from './stage-instance.ts';
import type { OutputRecord } from './task-context.ts';
import type { Topology } from './topology.ts';

export interface DriverOptions {
  /** Of the source topics. Default 1. */
  readonly partitions?: number;
  /** Records per batch. Results don't depend on it. Default 4096. */
  readonly batchRecords?: number;
}

export interface DrivenRecord {
  readonly key?: string | null;
  /** Text and bytes as they are; anything else as JSON. */
  readonly value: unknown;
  readonly partition?: number;
  /** The log's time; default: far enough on that no event time is "in the future". */
  readonly timestamp?: number;
}

interface Driven {
  readonly stage: number;
  readonly partition: number;
  instance: StageInstance;
  /** As of the last epoch. */
  state: Map<string, Buffer>;
  positions: Map<string, number>;
  watermarks: Readonly<Record<string, number>>;
  /** Since the last epoch. */
  reading: Map<string, number>;
}

type Telling = Generator<Promise<void>, void, void>;

const FAR_FUTURE_MS = 8.64e15;

export class TopologyDriver {
  readonly topology: Topology;
  /** Points that went into sinks, in order, as of the last epoch. */
  readonly points = new Map<string, unknown[]>();
  readonly #partitions: number;
  readonly #batchRecords: number;
  readonly #logs = new Map<string, LooseRecord[][]>();
  readonly #tasks: Driven[] = [];
  /** What was told and is not through, in order; the first waits for something. */
  #told: Telling[] = [];
  #waiting: Promise<void> | undefined;

  constructor(topology: Topology, options: DriverOptions) {
    this.topology = topology;
    this.#partitions = options.partitions ?? 1;
    this.#batchRecords = options.batchRecords ?? 4096;
    for (let stage = 0; stage < topology.stages; stage++) {
      const partitions = stage === 0 ? this.#partitions : 1;
      for (let partition = 0; partition < partitions; partition++) {
        const instance = this.#instance(stage, partition);
        this.#tasks.push({
          stage,
          partition,
          instance,
          state: new Map(),
          positions: new Map(),
          watermarks: {},
          reading: new Map(),
        });
      }
    }
  }

  /** Appends to a topic and runs everything; ends with an epoch unless `commit: false`. */
  pipe(
    topic: string,
    records: readonly DrivenRecord[],
    options: { readonly commit?: boolean } = {},
  ): this {
    for (const record of records) {
      const key = record.key ?? null;
      const partition =
        record.partition ?? (key === null ? 0 : partitionOfKey(Buffer.from(key), this.#partitions));
      const { value } = record;
      const bytes =
        typeof value === 'string' || Buffer.isBuffer(value) || value === null
          ? value
          : JSON.stringify(value);
      this.#append(topic, partition, key, bytes, record.timestamp ?? FAR_FUTURE_MS);
    }
    this.run();
    if (options.commit !== false) this.commit();
    return this;
  }

  /** Processes what is in the logs and not yet processed. */
  run(): void {
    this.#tell(this.#running());
  }

  /** Ends an epoch: outputs become visible, state and positions durable; later stages read the outputs. */
  commit(): void {
    this.#tell(this.#committing());
  }

  /** Resolves when all that was told is through; rejects with what a step threw. */
  async settled(): Promise<void> {
    while (this.#told.length > 0) {
      await this.#waiting?.catch((error: unknown) => {
        this.#told = [];
        throw error;
      });
      this.#goOn();
    }
  }

  /** Everything since the last epoch is lost, as at a kill −9; then it is read again. */
  crash(): this {
    this.#told = [];
    for (const task of this.#tasks) {
      task.instance.close();
      task.instance = this.#instance(task.stage, task.partition);
      for (const [key, value] of task.state)
        task.instance.stores.restore(Buffer.from(key, 'hex'), value);
      task.instance.stores.restored();
      task.instance.restoreWatermarks(task.watermarks);
      task.reading = new Map(task.positions);
    }
    this.run();
    return this;
  }

  /** These partitions (default all) are caught up and quiet. */
  idle(partitions?: readonly number[]): this {
    this.#tell(this.#idling(partitions));
    return this;
  }

  /** The input has ended for good: every window closes, stage by stage. */
  end(): this {
    this.#tell(this.#ending());
    return this;
  }

  /** Values of a topic, parsed as JSON, partition by partition in order. */
  read<T = unknown>(topic: string): readonly T[] {
    return this.records(topic).map((record) => JSON.parse(String(record.value)) as T);
  }

  records(topic: string): readonly LooseRecord[] {
    return (this.#logs.get(topic) ?? []).flat();
  }

  /** What an operator exposes for live queries. */
  exposed(name: string, partition = 0): unknown {
    return this.#tasks
      .find((task) => task.partition === partition && task.instance.exposed.has(name))
      ?.instance.exposed.get(name);
  }

  #instance(stage: number, partition: number): StageInstance {
    const partitions = stage === 0 ? this.#partitions : 1;
    return new StageInstance({ topology: this.topology, stage, partition, partitions });
  }

  /** Does it now, unless something told before still waits; goes on with the rest in `settled`. */
  #tell(telling: Telling): void {
    this.#told.push(telling);
    if (this.#told.length === 1) this.#goOn();
  }

  #goOn(): void {
    for (let first = this.#told[0]; first !== undefined; first = this.#told[0]) {
      // A telling that throws is not gone on with.
      this.#told.shift();
      const step = first.next();
      if (step.done === true) continue;
      this.#waiting = step.value;
      this.#told.unshift(first);
      return;
    }
  }

  *#running(): Telling {
    for (const task of this.#tasks) yield* this.#advance(task);
  }

  *#committing(): Telling {
    for (const task of this.#tasks) {
      yield* this.#advance(task);
      const { records, points } = task.instance.takeOutputs();
      task.instance.stores.drain((key, value) => {
        if (value === null) task.state.delete(key.toString('hex'));
        else task.state.set(key.toString('hex'), Buffer.from(value));
      });
      task.positions = new Map(task.reading);
      task.watermarks = task.instance.watermarks();
      for (const record of records) this.#output(record);
      for (const { sink, points: written } of points) {
        const known = this.points.get(sink) ?? [];
        known.push(...written);
        this.points.set(sink, known);
      }
    }
  }

  *#idling(partitions: readonly number[] | undefined): Telling {
    for (const task of this.#tasks) {
      if (task.stage === 0 && (partitions === undefined || partitions.includes(task.partition)))
        task.instance.setIdle(true);
    }
    yield* this.#committing();
  }

  *#ending(): Telling {
    for (let stage = 0; stage < this.topology.stages; stage++) {
      for (const task of this.#tasks) {
        if (task.stage !== stage) continue;
        task.instance.finish();
        yield* drained(task);
      }
      yield* this.#committing();
    }
  }

  *#advance(task: Driven): Telling {
    for (const topic of task.instance.topics) {
      const log = this.#logs.get(topic)?.[task.partition] ?? [];
      for (let at = task.reading.get(topic) ?? 0; at < log.length; ) {
        const records = log.slice(at, at + this.#batchRecords);
        at += records.length;
        task.instance.process(
          recordBatchOf(topic, task.partition, records, log.length) as RecordBatch,
        );
        yield* drained(task);
        task.reading.set(topic, at);
      }
    }
  }

  #output(record: OutputRecord): void {
    const key = record.key === null ? null : Buffer.from(record.key);
    const known = this.#logs.get(record.topic)?.length ?? 1;
    const partition = record.partition ?? (key === null ? 0 : partitionOfKey(key, known));
    this.#append(
      record.topic,
      partition,
      record.key,
      record.value,
      record.timestamp ?? FAR_FUTURE_MS,
    );
  }

  #append(
    topic: string,
    partition: number,
    key: Buffer | string | null,
    value: Buffer | string | null,
    timestamp: number,
  ): void {
    let log = this.#logs.get(topic);
    if (log === undefined) {
      log = [];
      this.#logs.set(topic, log);
    }
    while (log.length <= partition) log.push([]);
    const own = log[partition] as LooseRecord[];
    own.push({ key, value, offset: own.length, timestamp });
  }
}

/** Waits for the work that a task's operators have begun. */
function* drained(task: Driven): Telling {
  const waiting = task.instance.drained();
  if (waiting !== undefined) yield waiting;
}

/** See `TopologyDriver`. */
export function drive(topology: Topology, options: DriverOptions = {}): TopologyDriver {
  return new TopologyDriver(topology, options);
}
