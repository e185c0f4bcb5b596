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
import { type Clock, type Logger, threadTurns } from '../runtime/index.ts';
import { changelogOf, decodeEpochMeta, encodeEpochMeta } from './epoch-meta.ts';
import type { EpochPolicy } from './epoch-policy.ts';
import { Mailbox } from './mailbox.ts';
import { type SinkPort, SinkWrites } from './sink-writes.ts';
import { StageInstance } from './stage-instance.ts';
import { epochCommitted, recordsProcessed, taskCounts, taskRestarted } from './telemetry.ts';
import type { Topology } from './topology.ts';

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

const CRASHES_MAX = 5;

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
  readonly #mailbox: Mailbox;
  #positions = new Map<string, number>();
  #endOffsets = new Map<string, number>();
  #committed = new Map<string, number>();
  #committing: Promise<void> | undefined;
  /** A batch's work has begun and not ended: no turn and no cut until it has. */
  #draining: Promise<void> | undefined;
  /** State is being taken into an epoch: no turn until all of it is. */
  #cutting = false;
  readonly #writes: SinkWrites;
  #lastCommitMs = 0;
  #lastBatchMs = 0;
  #idle = false;
  #caughtUp = false;
  #crashes = 0;
  #stopping = false;
  /** A commit failed: state was drained into it, so this instance must never commit again. */
  #spoiled = false;

  constructor(options: TaskOptions) {
    this.#options = options;
    this.#mailbox = new Mailbox(options.policy.mailboxBytesMax);
    this.#writes = new SinkWrites(options.sinks, () => options.ready(this));
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
    if (instance.stores.outdated > 0) {
      this.#options.logger.info(
        { topology: topology.name, stage, partition, entries: instance.stores.outdated },
        'state of what a step did before is removed with the next epoch; the step begins anew',
      );
    }
    const meta = decodeEpochMeta(restored.meta);
    if (meta !== undefined) instance.restoreWatermarks(meta.watermarks);
    this.epoch = meta?.epoch ?? 0;
    this.#mailbox.clear();
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
    this.#writes.forget();
    this.#draining = undefined;
    this.#spoiled = false;
    this.#lastCommitMs = clock.now();
    this.#lastBatchMs = clock.now();
    this.state = 'running';
    return starts;
  }

  /** One batch from the consumer; false = enough for now. */
  offer(batch: RecordBatch): boolean {
    if (this.state !== 'running' || this.#stopping) return this.#mailbox.refuse(batch);
    this.#endOffsets.set(batch.topic, batch.endOffset);
    this.#options.ready(this);
    return this.#mailbox.put(batch);
  }

  /** Runs one batch of the mailbox. Returns whether there is more to do now. */
  turn(): boolean {
    if (!this.#free) return false;
    if (this.#full()) {
      this.#commitIfFree();
      return false;
    }
    const batch = this.#mailbox.take();
    if (batch === undefined) return false;
    try {
      if (this.#idle) this.#setIdle(false);
      this.instance.process(batch);
      const drained = this.instance.drained();
      if (drained !== undefined) {
        this.#drain(drained, () => this.#processed(batch));
        return false;
      }
      this.#processed(batch);
    } catch (error) {
      this.#spoiled = true;
      this.#crash(error);
      return false;
    }
    return !this.#mailbox.empty && !this.#full();
  }

  /** Called now and then: ends epochs in quiet times and notices idleness. `caughtUp`: the consumer is at the log's end. */
  tick(caughtUp: boolean): void {
    this.#caughtUp = caughtUp;
    if (!this.#free) return;
    const { clock, policy } = this.#options;
    const now = clock.now();
    if (
      !this.#idle &&
      caughtUp &&
      this.#mailbox.empty &&
      now - this.#lastBatchMs >= policy.idleAfterMs
    ) {
      this.#setIdle(true);
    }
    if (now - this.#lastCommitMs >= policy.intervalMs && this.#dirty()) this.#commitIfFree();
  }

  /** The input has ended for good: closes every window and commits. Call when nothing is left to read. */
  async finish(): Promise<void> {
    for (let busy = this.#busy; busy !== undefined; busy = this.#busy) await busy;
    this.instance.finish();
    this.#draining = this.instance.drained();
    try {
      await this.#draining;
    } finally {
      this.#draining = undefined;
    }
    this.#writes.begin(this.instance.takePoints());
    this.#commitIfFree();
    await this.#committing;
  }

  get mailboxEmpty(): boolean {
    return this.#mailbox.empty;
  }

  /** Whether all that was handed over is processed and committed. */
  get settled(): boolean {
    return (
      this.state === 'running' && this.#mailbox.empty && this.#busy === undefined && !this.#dirty()
    );
  }

  /**
   * Whether it waits for records and for nothing else: it is at the log's end as far as the log has lately said, has
   * been for `idleAfterMs`, so that nothing is held back for slower partitions, and all that came of it is committed
   * and stored.
   */
  get idle(): boolean {
    return this.#idle && this.#caughtUp && this.settled && this.#writes.pointsInFlight === 0;
  }

  /** Finishes the batch in hand, commits, lets go. Never rejects; what could not be committed will be read again. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const running = this.state === 'running';
    this.#mailbox.clear();
    const deadline = new AbortController();
    const { stopWithinMs } = this.#options.policy;
    void this.#options.clock.sleep(stopWithinMs, deadline.signal).then(
      () => this.#abandon(new Error(`stopped waiting after ${stopWithinMs} ms`)),
      () => {},
    );
    try {
      if (running) {
        await this.#draining;
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
    return new StageInstance({
      topology,
      stage,
      partition,
      partitions,
      nextTurn: () => threadTurns.next(),
    });
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
      this.instance.outputBytes >= policy.outputBytesMax ||
      this.#writes.pointsInFlight >= policy.pointsMax
    );
  }

  /** Whether a batch may run now. */
  get #free(): boolean {
    return this.state === 'running' && this.#draining === undefined && !this.#cutting;
  }

  #dirty(): boolean {
    if (this.instance.outputBytes > 0) return true;
    for (const [topic, position] of this.#positions)
      if (this.#committed.get(topic) !== position) return true;
    return false;
  }

  get #busy(): Promise<void> | undefined {
    return this.#draining ?? this.#committing;
  }

  /** The batch is through: its place counts from here on. */
  #processed(batch: RecordBatch): void {
    const { policy, clock, topology } = this.#options;
    this.#writes.begin(this.instance.takePoints());
    this.#positions.set(batch.topic, batch.nextOffset);
    recordsProcessed(topology.name, batch.count);
    this.#lastBatchMs = clock.now();
    if (this.#full() || this.#lastBatchMs - this.#lastCommitMs >= policy.intervalMs)
      this.#commitIfFree();
    for (const topic of this.#mailbox.takePaused())
      this.#options.resume({ topic, partition: this.partition });
  }

  /** Goes on once what the batch began has ended; unless the task went back to its epoch meanwhile. */
  #drain(drained: Promise<void>, then: () => void): void {
    const { instance } = this;
    const current = () => this.instance === instance && this.state === 'running' && !this.#spoiled;
    const draining: Promise<void> = drained
      .then(() => {
        if (current()) then();
      })
      .catch((error: unknown) => {
        if (!current()) return;
        this.#spoiled = true;
        this.#crash(error);
      })
      .finally(() => {
        if (this.#draining === draining) this.#draining = undefined;
        this.#options.ready(this);
      });
    this.#draining = draining;
  }

  #setIdle(idle: boolean): void {
    this.#idle = idle;
    this.instance.setIdle(idle);
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

  /** The cut is taken here, and no batch runs until it is; what runs while it is committed belongs to the next epoch. */
  async #commit(): Promise<void> {
    const { clock, topology } = this.#options;
    const instance = this.instance;
    const ledger = this.#ledger as TaskLedger;
    const records = instance.takeRecords();
    const positions = new Map(this.#positions);
    const epoch = this.epoch + 1;
    const meta = encodeEpochMeta(epoch, topology.hash, instance.watermarks());
    this.#lastCommitMs = clock.now();
    const writes = this.#writes.cut();
    writes.catch(() => {});
    const state = await this.#takeState(instance);
    // Points first, cursor after: a crash between the two writes the same points again, which changes nothing.
    const rejected = await writes;
    await ledger.commit({
      appends: rejected.length === 0 ? records : [...records, ...rejected],
      state,
      offsets: [...positions].map(([topic, offset]) => ({
        topic,
        partition: this.partition,
        offset,
      })),
      meta,
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

  /**
   * What changed since the last epoch, in parts with the event loop free in between; the first waits for its turn
   * too, since the epochs of all topologies end at the same tick.
   */
  async #takeState(instance: StageInstance): Promise<readonly StateChange[]> {
    const state: StateChange[] = [];
    const parts = instance.stores.drainInParts((key, value) => state.push({ key, value }));
    this.#cutting = true;
    try {
      do await threadTurns.next();
      while (parts.next().done !== true);
    } finally {
      this.#cutting = false;
      this.#options.ready(this);
    }
    return state;
  }

  /** What has not ended by now is not waited for; a batch in hand is as if it had not been. */
  #abandon(reason: Error): void {
    this.#writes.abort(reason);
    if (this.#draining === undefined) return;
    this.#spoiled = true;
    this.instance.close();
  }

  #crash(error: unknown): void {
    if (this.#stopping || this.state === 'failed' || this.state === 'waiting') return;
    const { logger, clock } = this.#options;
    this.error = error instanceof Error ? error : new Error(String(error));
    this.#mailbox.clear();
    this.instance.close();
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
    this.#mailbox.clear();
    this.#mailbox.takePaused();
    for (const start of starts) {
      this.#options.seek(start);
      this.#options.resume(start);
    }
    this.error = undefined;
  }

  #where(): object {
    const { stage, partition, epoch } = this;
    return { topology: this.#options.topology.name, stage, partition, epoch };
  }
}
