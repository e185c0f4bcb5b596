/**
 * A task: one stage × one partition number, an actor with a mailbox. It restores its last epoch, runs batches
 * one at a time, and ends an epoch at a batch boundary by one atomic commit of outputs, changed state and
 * offsets. When it dies anywhere, the last epoch is the truth and the log gives the rest again.
 *
 * Bounds: the mailbox holds `mailboxBytesMax`, then the partition is paused; outputs wait in at most about
 * `outputBytesMax`, then no batch is taken until the commit under way has ended.
 */
import type {
  Broker,
  RecordBatch,
  StateChange,
  TaskLedger,
  TopicPartition,
} from '../broker/index.ts';
import { FencedError, messageOf, TidemarkError } from '../model/index.ts';
import type { Clock, Logger } from '../runtime/index.ts';
import { deadLetterRecord } from './dead-letter.ts';
import { type PointsOut, StageInstance } from './stage-instance.ts';
import type { OutputRecord } from './task-context.ts';
import { epochCommitted, recordsProcessed, taskCounts, taskRestarted } from './telemetry.ts';
import type { Topology } from './topology.ts';

/** How a task writes points: resolves when all are stored but those it lists as rejected for good. */
export interface SinkPort {
  /** Waits as long as it takes; gives up only when the signal aborts. */
  write(
    points: readonly unknown[],
    signal: AbortSignal,
  ): Promise<readonly { readonly index: number; readonly message: string }[]>;
}

export interface EpochPolicy {
  /** An epoch ends at the first batch boundary after this. */
  readonly intervalMs: number;
  /** … or when its outputs reach this. */
  readonly outputBytesMax: number;
  readonly pointsMax: number;
  readonly mailboxBytesMax: number;
  /** Caught up and quiet for so long = idle. */
  readonly idleAfterMs: number;
}

export const defaultEpochPolicy: EpochPolicy = {
  intervalMs: 1_000,
  outputBytesMax: 16 * 1024 * 1024,
  pointsMax: 20_000,
  mailboxBytesMax: 4 * 1024 * 1024,
  idleAfterMs: 5_000,
};

export type TaskState = 'starting' | 'restoring' | 'running' | 'waiting' | 'failed' | 'stopped';

export interface TaskOptions {
  readonly topology: Topology;
  readonly stage: number;
  readonly partition: number;
  readonly partitions: number;
  /** The stage's input topics that have this partition. */
  readonly topics: readonly string[];
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy: EpochPolicy;
  readonly sinks: ReadonlyMap<string, SinkPort>;
  /** Asks the consumer to hand over more, after this task had answered false. */
  readonly resume: (partition: TopicPartition) => void;
  readonly seek: (position: TopicPartition & { offset: number }) => void;
  /** Puts the task in the line of those that have work. */
  readonly ready: (task: Task) => void;
  /** Group and ledger id prefix; a replay gives its own. */
  readonly group: string;
}

interface Meta {
  readonly epoch: number;
  readonly hash: string;
  /** null = none yet; JSON has no -Infinity. */
  readonly watermarks: Readonly<Record<string, number | null>>;
}

const CRASHES_MAX = 5;
/** How long letting go waits for a sink that does not answer; what it had will be written again by the next owner. */
const STOP_WITHIN_MS = 8_000;

export class Task {
  readonly partition: number;
  readonly stage: number;
  state: TaskState = 'starting';
  epoch = 0;
  restarts = 0;
  error: Error | undefined;
  instance: StageInstance;
  readonly #options: TaskOptions;
  #ledger: TaskLedger | undefined;
  #mailbox: RecordBatch[] = [];
  #mailboxBytes = 0;
  readonly #paused = new Set<string>();
  #positions = new Map<string, number>();
  #endOffsets = new Map<string, number>();
  #committed = new Map<string, number>();
  #committing: Promise<void> | undefined;
  /** Writes handed to sinks since the last cut; the cursor waits for them. */
  #writes: Promise<readonly OutputRecord[]>[] = [];
  #pointsInFlight = 0;
  #lastCommitMs = 0;
  #lastBatchMs = 0;
  #idle = false;
  #crashes = 0;
  #stopping = false;
  /** A commit failed: state was drained into it, so this instance must never commit again. */
  #spoiled = false;
  readonly #abort = new AbortController();

  constructor(options: TaskOptions) {
    this.#options = options;
    this.partition = options.partition;
    this.stage = options.stage;
    this.instance = this.#build();
  }

  /** Fences any earlier owner, restores the last epoch, and tells where to read on. */
  async start(): Promise<readonly (TopicPartition & { offset: number })[]> {
    const { broker, topology, stage, partition, partitions, topics, clock, group } = this.#options;
    this.state = 'restoring';
    await this.#ledger?.close().catch(() => {});
    const ledger = await broker.openLedger({
      id: `${group}-${partition}`,
      changelog: changelogOf(group),
      partition,
      changelogPartitions: partitions,
      group,
      inputs: topics.map((topic) => ({ topic, partition })),
    });
    this.#ledger = ledger;
    const instance = this.#build();
    const restored = await ledger.restore((key, value) => instance.stores.restore(key, value));
    instance.stores.restored();
    if (instance.stores.orphans > 0) {
      this.#options.logger.warn(
        { topology: topology.name, stage, partition, entries: instance.stores.orphans },
        'state of steps that no longer exist was left aside; a renamed step begins empty',
      );
    }
    const meta =
      restored.meta === undefined ? undefined : (JSON.parse(restored.meta.toString()) as Meta);
    if (meta !== undefined) instance.restoreWatermarks(meta.watermarks);
    this.epoch = meta?.epoch ?? 0;
    this.#mailbox = [];
    this.#mailboxBytes = 0;
    this.#idle = false;
    this.#positions = new Map();
    const starts: (TopicPartition & { offset: number })[] = [];
    for (const { topic, offset } of restored.offsets) {
      const start = offset ?? (await this.#beginning(topic));
      this.#positions.set(topic, start);
      starts.push({ topic, partition, offset: start });
    }
    this.#committed = new Map(this.#positions);
    this.instance = instance;
    this.#writes = [];
    this.#spoiled = false;
    this.#lastCommitMs = clock.now();
    this.#lastBatchMs = clock.now();
    this.state = 'running';
    return starts;
  }

  /** One batch from the consumer; false = enough for now. */
  offer(batch: RecordBatch): boolean {
    if (this.state !== 'running' || this.#stopping) {
      this.#paused.add(batch.topic);
      return false;
    }
    this.#mailbox.push(batch);
    this.#mailboxBytes += batch.byteLength;
    this.#endOffsets.set(batch.topic, batch.endOffset);
    this.#options.ready(this);
    if (this.#mailboxBytes < this.#options.policy.mailboxBytesMax) return true;
    this.#paused.add(batch.topic);
    return false;
  }

  /** Runs one batch of the mailbox. Returns whether there is more to do now. */
  turn(): boolean {
    if (this.state !== 'running') return false;
    const { policy, clock } = this.#options;
    if (this.#full()) {
      this.#commitIfFree();
      return false;
    }
    const batch = this.#mailbox.shift();
    if (batch === undefined) return false;
    this.#mailboxBytes -= batch.byteLength;
    try {
      if (this.#idle) this.#setIdle(false);
      this.instance.process(batch);
      this.#handOverPoints();
    } catch (error) {
      this.#spoiled = true;
      this.#crash(error);
      return false;
    }
    this.#positions.set(batch.topic, batch.nextOffset);
    recordsProcessed(this.#options.topology.name, batch.count);
    this.#lastBatchMs = clock.now();
    if (this.#full() || this.#lastBatchMs - this.#lastCommitMs >= policy.intervalMs)
      this.#commitIfFree();
    this.#resumeIfRoom();
    return this.#mailbox.length > 0 && !this.#full();
  }

  /** Called now and then: ends epochs in quiet times and notices idleness. `caughtUp`: the consumer is at the log's end. */
  tick(caughtUp: boolean): void {
    if (this.state !== 'running') return;
    const { clock, policy } = this.#options;
    const now = clock.now();
    if (
      !this.#idle &&
      caughtUp &&
      this.#mailbox.length === 0 &&
      now - this.#lastBatchMs >= policy.idleAfterMs
    ) {
      this.#setIdle(true);
    }
    if (now - this.#lastCommitMs >= policy.intervalMs && this.#dirty()) this.#commitIfFree();
  }

  /** The input has ended for good: closes every window and commits. Call when nothing is left to read. */
  async finish(): Promise<void> {
    while (this.#committing !== undefined) await this.#committing;
    this.instance.finish();
    this.#handOverPoints();
    this.#commitIfFree();
    await this.#committing;
  }

  get mailboxEmpty(): boolean {
    return this.#mailbox.length === 0;
  }

  /** Whether all that was handed over is processed and committed. */
  get settled(): boolean {
    return (
      this.state === 'running' &&
      this.#mailbox.length === 0 &&
      this.#committing === undefined &&
      !this.#dirty()
    );
  }

  /** Finishes the batch in hand, commits, lets go. Never rejects; what could not be committed will be read again. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const running = this.state === 'running';
    this.#mailbox = [];
    this.#mailboxBytes = 0;
    const deadline = new AbortController();
    void this.#options.clock.sleep(STOP_WITHIN_MS, deadline.signal).then(
      () => this.#abort.abort(new Error(`stopped waiting after ${STOP_WITHIN_MS} ms`)),
      () => {},
    );
    try {
      if (running) {
        await this.#committing;
        if (this.state === 'running' && !this.#spoiled && this.#dirty()) await this.#commit();
      }
    } catch (error) {
      this.#options.logger.warn(
        { ...this.#where(), error: messageOf(error) },
        'the last epoch was not committed before letting go; its records will be read again',
      );
    }
    deadline.abort();
    this.state = 'stopped';
    await this.#ledger?.close().catch(() => {});
    this.instance.close();
  }

  offsets(): readonly {
    topic: string;
    partition: number;
    nextOffset: number;
    endOffset: number;
    lag: number;
  }[] {
    return this.#options.topics.map((topic) => {
      const nextOffset = this.#positions.get(topic) ?? 0;
      const endOffset = Math.max(nextOffset, this.#endOffsets.get(topic) ?? 0);
      return {
        topic,
        partition: this.partition,
        nextOffset,
        endOffset,
        lag: endOffset - nextOffset,
      };
    });
  }

  /** Lowest watermark of the inputs; null before any record. */
  watermark(): number | null {
    const lowest = Math.min(...Object.values(this.instance.watermarks()));
    return Number.isFinite(lowest) ? lowest : null;
  }

  #build(): StageInstance {
    const { topology, stage, partition, partitions } = this.#options;
    return new StageInstance({ topology, stage, partition, partitions });
  }

  async #beginning(topic: string): Promise<number> {
    const { topology, broker } = this.#options;
    const from = topology.sources.find((source) => source.topic === topic)?.from;
    const [description] = await broker.describeTopics([topic]);
    const found = description?.partitions.find((p) => p.partition === this.partition);
    return (from === 'latest' ? found?.nextOffset : found?.firstOffset) ?? 0;
  }

  #full(): boolean {
    const { policy } = this.#options;
    return (
      this.instance.outputBytes >= policy.outputBytesMax || this.#pointsInFlight >= policy.pointsMax
    );
  }

  #dirty(): boolean {
    if (this.instance.outputBytes > 0) return true;
    for (const [topic, position] of this.#positions)
      if (this.#committed.get(topic) !== position) return true;
    return false;
  }

  #setIdle(idle: boolean): void {
    this.#idle = idle;
    this.instance.setIdle(idle);
  }

  #resumeIfRoom(): void {
    if (this.#paused.size === 0 || this.#mailboxBytes > this.#options.policy.mailboxBytesMax / 2)
      return;
    for (const topic of this.#paused) this.#options.resume({ topic, partition: this.partition });
    this.#paused.clear();
  }

  #commitIfFree(): void {
    if (this.#committing !== undefined || this.#stopping || this.#spoiled) return;
    this.#committing = this.#commit()
      .catch((error: unknown) => {
        this.#spoiled = true;
        this.#crash(error);
      })
      .finally(() => {
        this.#committing = undefined;
        this.#options.ready(this);
      });
  }

  /** The cut is taken here, synchronously; what runs while the commit is under way belongs to the next epoch. */
  async #commit(): Promise<void> {
    const { clock, topology } = this.#options;
    const instance = this.instance;
    const ledger = this.#ledger as TaskLedger;
    const records = instance.takeRecords();
    const writes = this.#writes;
    this.#writes = [];
    const state: StateChange[] = [];
    instance.stores.drain((key, value) => state.push({ key, value }));
    const positions = new Map(this.#positions);
    const epoch = this.epoch + 1;
    const meta: Meta = { epoch, hash: topology.hash, watermarks: finite(instance.watermarks()) };
    this.#lastCommitMs = clock.now();
    // Points first, cursor after: a crash between the two writes the same points again, which changes nothing.
    const rejected = (await Promise.all(writes)).flat();
    await ledger.commit({
      appends: rejected.length === 0 ? records : [...records, ...rejected],
      state,
      offsets: [...positions].map(([topic, offset]) => ({
        topic,
        partition: this.partition,
        offset,
      })),
      meta: Buffer.from(JSON.stringify(meta)),
    });
    this.epoch = epoch;
    this.#committed = positions;
    this.#crashes = 0;
    epochCommitted(topology.name, {
      startedMs: this.#lastCommitMs,
      endedMs: clock.now(),
      records: records.length,
    });
    taskCounts(topology.name, instance.counts);
  }

  /** Points go to their sinks as soon as a batch gave them; the sink batches, retries and keeps order. */
  #handOverPoints(): void {
    const taken = this.instance.takePoints();
    if (taken.length === 0) return;
    for (const [sink, outs] of Map.groupBy(taken, (out) => out.sink)) {
      const port = this.#options.sinks.get(sink);
      if (port === undefined) throw new Error(`BUG: no sink is bound to the name "${sink}"`);
      const points = outs.flatMap((out) => out.points);
      this.#pointsInFlight += points.length;
      const written = port
        .write(points, this.#abort.signal)
        .then((rejections) =>
          rejections.map(({ index, message }) => rejectedRecord(outs, index, message)),
        )
        .finally(() => {
          this.#pointsInFlight -= points.length;
          this.#options.ready(this);
        });
      // The commit awaits it; until then a failure must not count as unhandled.
      written.catch(() => {});
      this.#writes.push(written);
    }
  }

  #crash(error: unknown): void {
    if (this.#stopping || this.state === 'failed' || this.state === 'waiting') return;
    const { logger, clock } = this.#options;
    this.error = error instanceof Error ? error : new Error(String(error));
    this.#mailbox = [];
    this.#mailboxBytes = 0;
    if (error instanceof FencedError) {
      this.state = 'stopped';
      logger.info(this.#where(), 'another process took this task over');
      return;
    }
    const lasting = error instanceof TidemarkError && error.family === 'retriable';
    this.#crashes += lasting ? 0 : 1;
    if (this.#crashes >= CRASHES_MAX) {
      this.state = 'failed';
      logger.error(
        { ...this.#where(), error: this.error.message, stack: this.error.stack },
        `the task crashed ${CRASHES_MAX} times at the same epoch and is stopped; mend the cause, then restart`,
      );
      return;
    }
    this.state = 'waiting';
    this.restarts++;
    taskRestarted(this.#options.topology.name);
    const delayMs = Math.min(30_000, 100 * 2 ** Math.min(this.restarts, 8));
    logger.warn(
      { ...this.#where(), error: this.error.message, delayMs },
      'the task goes back to its last epoch',
    );
    void clock
      .sleep(delayMs)
      .then(() => this.#restart())
      .catch((failure: unknown) => {
        this.state = 'running';
        this.#crash(failure);
      });
  }

  async #restart(): Promise<void> {
    if (this.#stopping) return;
    await this.#committing?.catch(() => {});
    const starts = await this.start();
    if (this.#stopping) return;
    // What came meanwhile lies past the place we go back to.
    this.#mailbox = [];
    this.#mailboxBytes = 0;
    this.#paused.clear();
    for (const start of starts) {
      this.#options.seek(start);
      this.#options.resume(start);
    }
    this.error = undefined;
  }

  #where(): object {
    return {
      topology: this.#options.topology.name,
      stage: this.stage,
      partition: this.partition,
      epoch: this.epoch,
    };
  }
}

/** Internal topics begin with `tidemark.`, whatever the group is called (contract). */
export const changelogOf = (group: string): string =>
  `${group.startsWith('tidemark.') ? group : `tidemark.${group}`}.changelog`;

function rejectedRecord(outs: readonly PointsOut[], index: number, message: string): OutputRecord {
  let rest = index;
  for (const { points, origin } of outs) {
    if (rest < points.length) {
      const { topic, partition } = origin;
      const offset = origin.offsets[rest] as number;
      return deadLetterRecord(
        { topic, partition, offset, ...origin.original(rest) },
        'SINK_REJECTED',
        message,
      );
    }
    rest -= points.length;
  }
  throw new Error(`BUG: a sink rejected point ${index}, which was not in its batch`);
}

const finite = (watermarks: Readonly<Record<string, number>>): Record<string, number | null> =>
  Object.fromEntries(
    Object.entries(watermarks).map(([topic, w]) => [topic, Number.isFinite(w) ? w : null]),
  );
