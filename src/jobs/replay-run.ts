/**
 * One replay: a topology run again over a past stretch of the log, in isolation. It reads with random access,
 * joins no group, commits nothing and appends nothing; what it derives goes to whoever takes it.
 */
import type { RecordBatch } from '../broker/index.ts';
import {
  type OutputRecord,
  recordBatchOf,
  StageInstance,
  type StageOutputs,
  type Topology,
} from '../stream/index.ts';
import { type PartitionRange, type ReplayLog, WARM_UP_MS } from './replay-range.ts';

export interface ReplayRunOptions {
  readonly topology: Topology;
  readonly broker: ReplayLog;
  readonly ranges: readonly PartitionRange[];
  readonly signal: AbortSignal;
  /** Waits between batches, so that what is live goes first. */
  readonly pace: () => Promise<void>;
  /** Records of derived topics, and points, in order. */
  readonly take: (outputs: StageOutputs) => Promise<void>;
  readonly onProgress: (records: number) => void;
  /** Close every window at the end, and give also those that were not read whole. */
  readonly finish?: boolean;
}

const READ_BYTES = 512 * 1024;

/** Resolves at the end of the ranges with the time from which on windows were read whole; rejects with the signal's reason when it aborts. */
export async function runReplay(options: ReplayRunOptions): Promise<number> {
  const { topology, broker, ranges, signal, pace, take, onProgress } = options;
  const partitions = Math.max(1, ...ranges.map((range) => range.partition + 1));
  const run = new IsolatedRun(topology, partitions);
  const covered = new Coverage();
  const cursors = ranges.map((range) => ({ range, at: range.start }));
  // Round robin keeps the partitions' event times close together, so later stages hold few open windows.
  for (let open = cursors.filter(more); open.length > 0; open = open.filter(more)) {
    for (const cursor of open) {
      signal.throwIfAborted();
      const { range } = cursor;
      const read = await broker.read({
        topic: range.topic,
        partition: range.partition,
        from: cursor.at,
        maxBytes: READ_BYTES,
      });
      // The first valid record alone: its event time tells from which windows on nothing is missing.
      const first = !range.whole && run.watermark(range.partition) === undefined;
      const end =
        first && read !== null ? Math.min(range.end, (read.offsets[0] as number) + 1) : range.end;
      const batch = read === null ? undefined : upTo(read, end);
      const reached = batch === undefined ? range.end : Math.min(batch.nextOffset, range.end);
      if (batch !== undefined && batch.count > 0) {
        await run.process(batch);
        const reachedTime = run.watermark(range.partition);
        if (first && reachedTime !== undefined) covered.sawFirst(reachedTime);
        const outputs = run.takeOutputs();
        await take(options.finish === true ? outputs : covered.whole(outputs));
      }
      onProgress(reached - cursor.at);
      cursor.at = reached;
      await pace();
    }
  }
  // A partition that has nothing in the range must not hold the others back.
  const empty = ranges.filter((range) => range.start >= range.end).map((range) => range.partition);
  await run.idle(empty);
  if (options.finish === true) {
    await run.finish();
    await take(run.takeOutputs());
    return Number.NEGATIVE_INFINITY;
  }
  await take(covered.whole(run.takeOutputs()));
  return covered.wholeFrom;
}

const more = (cursor: { readonly range: PartitionRange; readonly at: number }): boolean =>
  cursor.at < cursor.range.end;

/** The batch without what lies at or past `end`. */
export function upTo(batch: RecordBatch, end: number): RecordBatch {
  let count = batch.count;
  while (count > 0 && (batch.offsets[count - 1] as number) >= end) count--;
  return count === batch.count ? batch : { ...batch, count, nextOffset: end };
}

/** All tasks of all stages in memory; internal topics are handed on directly. */
export class IsolatedRun {
  readonly #topology: Topology;
  readonly #stages: StageInstance[][] = [];
  readonly #nextOffset = new Map<string, number>();
  #records: OutputRecord[] = [];
  #points: StageOutputs['points'][number][] = [];

  constructor(topology: Topology, partitions: number) {
    this.#topology = topology;
    for (let stage = 0; stage < topology.stages; stage++) {
      const count = stage === 0 ? partitions : 1;
      const instances = Array.from({ length: count }, (_, partition) => {
        const instance = new StageInstance({ topology, stage, partition, partitions: count });
        instance.stores.restored();
        return instance;
      });
      this.#stages.push(instances);
    }
  }

  /** All tasks, stage by stage, for whoever reads their state. */
  get tasks(): readonly { readonly instance: StageInstance; readonly partition: number }[] {
    return this.#stages.flatMap((instances) =>
      instances.map((instance, partition) => ({ instance, partition })),
    );
  }

  watermark(partition: number): number | undefined {
    const reached = Math.max(...Object.values(this.#stages[0]?.[partition]?.watermarks() ?? {}));
    return Number.isFinite(reached) ? reached : undefined;
  }

  async process(batch: RecordBatch): Promise<void> {
    this.#stages[0]?.[batch.partition]?.process(batch);
    await this.#collect();
  }

  async idle(partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) this.#stages[0]?.[partition]?.setIdle(true);
    await this.#collect();
  }

  /** The input has ended: stage by stage, so that the next one sees all of the last. */
  async finish(): Promise<void> {
    for (const instances of this.#stages) {
      for (const instance of instances) instance.finish();
      await this.#collect();
    }
  }

  takeOutputs(): StageOutputs {
    const outputs = { records: this.#records, points: this.#points };
    this.#records = [];
    this.#points = [];
    return outputs;
  }

  /** Stage by stage, so that what one gives an internal topic is processed by the next. */
  async #collect(): Promise<void> {
    for (const instances of this.#stages) {
      for (const instance of instances) {
        await instance.drained();
        const { records, points } = instance.takeOutputs();
        // State is not kept: the run starts anew when it dies.
        instance.stores.drain(() => {});
        this.#points.push(...points);
        for (const record of records) await this.#route(record);
      }
    }
  }

  async #route(record: OutputRecord): Promise<void> {
    const source = this.#topology.sources.find((s) => s.internal && s.topic === record.topic);
    if (source === undefined) {
      this.#records.push(record);
      return;
    }
    const offset = this.#nextOffset.get(record.topic) ?? 0;
    this.#nextOffset.set(record.topic, offset + 1);
    const part = { key: record.key, value: record.value, offset, timestamp: 0 };
    const next = this.#stages[source.stage]?.[0];
    next?.process(recordBatchOf(record.topic, 0, [part]));
    await next?.drained();
  }
}

/** Lets only those windows through whose every record lies within what was read. */
class Coverage {
  #wholeFrom = Number.NEGATIVE_INFINITY;

  get wholeFrom(): number {
    return this.#wholeFrom;
  }

  /** The first event time of a partition whose reading began in the middle. */
  sawFirst(eventTimeMs: number): void {
    this.#wholeFrom = Math.max(this.#wholeFrom, eventTimeMs + WARM_UP_MS / 2);
  }

  whole(outputs: StageOutputs): StageOutputs {
    if (this.#wholeFrom === Number.NEGATIVE_INFINITY) return outputs;
    const records = outputs.records.filter(
      (record) => (windowStartOf(record) ?? Number.POSITIVE_INFINITY) >= this.#wholeFrom,
    );
    return { records, points: outputs.points };
  }
}

/** Start of a record's window, ms; undefined for records that are not about a window. */
export function windowStartOf(record: {
  readonly value: Buffer | string | null;
}): number | undefined {
  if (record.value === null) return undefined;
  try {
    const start = (JSON.parse(String(record.value)) as { window?: { start?: unknown } } | null)
      ?.window?.start;
    return typeof start === 'number' ? start : undefined;
  } catch {
    return undefined;
  }
}
