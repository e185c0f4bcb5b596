/**
 * Runs a topology: one consumer group per stage, one task per assigned partition. Partitions come and go with
 * the group; a task's state comes and goes with them.
 */
import type { Broker, Consumer, RecordBatch, TopicPartition, TopicSpec } from '../broker/index.ts';
import { messageOf } from '../model/index.ts';
import { type Clock, type Logger, threadTurns } from '../runtime/index.ts';
import { isCaughtUp } from './caught-up.ts';
import { deadLetterTopic } from './dead-letter.ts';
import { defaultEpochPolicy, type EpochPolicy } from './epoch-policy.ts';
import type { SinkPort } from './sink-writes.ts';
import { Task } from './task.ts';
import type { Topology } from './topology.ts';

export interface RunnerOptions {
  readonly topology: Topology;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sinks?: ReadonlyMap<string, SinkPort>;
  readonly policy?: Partial<EpochPolicy>;
  /** Consumer group instead of the topology's own; later stages add theirs behind it. */
  readonly groupPrefix?: string;
}

const TICK_MS = 100;

export class TopologyRunner {
  readonly topology: Topology;
  readonly #options: RunnerOptions;
  readonly #policy: EpochPolicy;
  readonly #stages: StageRunner[] = [];
  #stopTicking = () => {};

  constructor(options: RunnerOptions) {
    this.topology = options.topology;
    this.#options = options;
    this.#policy = { ...defaultEpochPolicy, ...options.policy };
  }

  get tasks(): readonly Task[] {
    return this.#stages.flatMap((stage) => [...stage.tasks.values()]);
  }

  /** Why the topology as a whole can't go on; undefined while it can. */
  get failure(): Error | undefined {
    return this.#stages.find((stage) => stage.failure !== undefined)?.failure;
  }

  /** Makes missing topics and joins the groups; resolves before partitions are assigned. */
  async start(): Promise<void> {
    const { topology, broker, clock } = this.#options;
    await broker.createTopics(topicsOf(topology));
    for (let stage = 0; stage < topology.stages; stage++) {
      const runner = new StageRunner(this.#options, this.#policy, stage);
      this.#stages.push(runner);
      await runner.start();
    }
    this.#stopTicking = clock.every(TICK_MS, () => {
      for (const stage of this.#stages) stage.tick();
    });
  }

  /**
   * The input has ended for good (a recording is through): closes every window, stage by stage. Resolves when
   * all of it is committed.
   */
  async finish(): Promise<void> {
    for (const stage of this.#stages) {
      await this.#settled(stage);
      await Promise.all([...stage.tasks.values()].map((task) => task.finish()));
    }
  }

  /** Resolves when all that the log holds is processed and committed; on a stream that never pauses, never. */
  async settled(): Promise<void> {
    for (const stage of this.#stages) await this.#settled(stage);
  }

  async #settled(stage: StageRunner): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      // Before partitions came there is nothing to be behind with, and nothing done either.
      const lag = stage.assigned ? await stage.lag() : 1;
      if (lag === 0 && [...stage.tasks.values()].every((task) => task.settled)) return;
      await clock.sleep(20);
    }
  }

  /** Commits what is done and leaves the groups; earlier stages first, so that later ones see all of it. */
  async stop(): Promise<void> {
    this.#stopTicking();
    for (const stage of this.#stages) await stage.stop();
  }
}

/** Every topic a topology needs, sources included; existing ones are left as they are. */
export function topicsOf(topology: Topology): readonly TopicSpec[] {
  const specs = new Map<string, TopicSpec>();
  for (const source of topology.sources) {
    specs.set(
      source.topic,
      source.internal ? { name: source.topic, partitions: 1 } : { name: source.topic },
    );
    if (source.rejects === 'dead-letter' || sinksByDefault(topology)) {
      const name = deadLetterTopic(source.topic);
      specs.set(name, { name, partitions: 1 });
    }
  }
  for (const name of [...topology.outputs, ...topicsInDetails(topology)]) {
    if (!specs.has(name)) specs.set(name, { name });
  }
  return [...specs.values()];
}

/** Whether a sink's dead letters go beside the topic that it reads. */
const sinksByDefault = ({ graph }: Topology): boolean =>
  graph.nodes.some(({ kind, detail }) => kind === 'sink' && detail.deadLetter === undefined);

/** Topics of late records, and of dead letters that go elsewhere than by default. */
function topicsInDetails(topology: Topology): readonly string[] {
  return topology.graph.nodes.flatMap(({ detail: { late, deadLetter } }) =>
    [late, deadLetter].filter((name) => typeof name === 'string'),
  );
}

class StageRunner {
  readonly tasks = new Map<number, Task>();
  /** Whether partitions have come since the start. */
  assigned = false;
  failure: Error | undefined;
  readonly #options: RunnerOptions;
  readonly #policy: EpochPolicy;
  readonly #stage: number;
  readonly #group: string;
  readonly #topics: readonly string[];
  #consumer: Consumer | undefined;
  #stopped = false;

  constructor(options: RunnerOptions, policy: EpochPolicy, stage: number) {
    this.#options = options;
    this.#policy = policy;
    this.#stage = stage;
    const { topology, groupPrefix } = options;
    const own = groupPrefix ?? topology.group(0);
    this.#group = stage === 0 ? own : `${own}.stage-${stage}`;
    this.#topics = [
      ...new Set(topology.sources.filter((s) => s.stage === stage).map((s) => s.topic)),
    ];
  }

  async start(): Promise<void> {
    this.#consumer = await this.#options.broker.consume({
      group: this.#group,
      topics: this.#topics,
      handlers: {
        assigned: (partitions) => this.#assigned(partitions),
        revoked: (partitions) => this.#revoked(partitions),
        batch: (batch) => this.#batch(batch),
        failed: (error) => this.#failed(error),
      },
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#consumer?.stop();
  }

  /** Records between what this process's tasks have processed and the end of their partitions, asked of the log. */
  async lag(): Promise<number> {
    const descriptions = await this.#options.broker.describeTopics(this.#topics);
    const endOf = (topic: string, partition: number) =>
      descriptions.find((d) => d.name === topic)?.partitions.find((p) => p.partition === partition)
        ?.nextOffset ?? 0;
    const handedOver = this.#consumer?.positions() ?? [];
    const offsets = [...this.tasks.values()].flatMap((task) =>
      task.offsets().map((o) => {
        // Behind the last record there may be markers of transactions, which only the consumer sees.
        const seen =
          handedOver.find((p) => p.topic === o.topic && p.partition === o.partition)?.nextOffset ??
          0;
        return {
          ...o,
          nextOffset: task.mailboxEmpty ? Math.max(o.nextOffset, seen) : o.nextOffset,
        };
      }),
    );
    return offsets.reduce(
      (sum, o) => sum + Math.max(0, endOf(o.topic, o.partition) - o.nextOffset),
      0,
    );
  }

  tick(): void {
    const now = this.#options.clock.now();
    const positions = this.#consumer?.positions() ?? [];
    for (const task of this.tasks.values()) {
      task.tick(
        isCaughtUp(
          positions.filter((p) => p.partition === task.partition),
          now,
        ),
      );
    }
  }

  async #assigned(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (TopicPartition & { offset: number })[]> {
    const { broker } = this.#options;
    const descriptions = await broker.describeTopics(this.#topics);
    const total = Math.max(1, ...descriptions.map((d) => d.partitions.length));
    const byNumber = Map.groupBy(partitions, (p) => p.partition);
    const starts = await Promise.all(
      [...byNumber].map(async ([partition, inputs]) => {
        const task = this.#task(
          partition,
          inputs.map((p) => p.topic),
          total,
        );
        this.tasks.set(partition, task);
        return task.start();
      }),
    );
    this.assigned = true;
    return starts.flat();
  }

  #task(partition: number, topics: readonly string[], partitions: number): Task {
    const { topology, broker, clock, logger, sinks } = this.#options;
    return new Task({
      topology,
      stage: this.#stage,
      partition,
      partitions,
      topics,
      broker,
      clock,
      logger,
      policy: this.#policy,
      sinks: sinks ?? new Map(),
      group: this.#group,
      resume: (p) => this.#consumer?.resume(p),
      seek: (p) => this.#consumer?.seek(p),
      ready: (task) => threadTurns.ready(task),
    });
  }

  async #revoked(partitions: readonly TopicPartition[]): Promise<void> {
    const numbers = new Set(partitions.map((p) => p.partition));
    await Promise.all(
      [...numbers].map(async (number) => {
        const task = this.tasks.get(number);
        await task?.stop();
        // A quick reassignment may have put a new task in its place.
        if (this.tasks.get(number) === task) this.tasks.delete(number);
      }),
    );
  }

  #batch(batch: RecordBatch): boolean {
    return this.tasks.get(batch.partition)?.offer(batch) ?? false;
  }

  #failed(error: Error): void {
    if (this.#stopped) return;
    const { logger, clock, topology } = this.#options;
    logger.error(
      { topology: topology.name, stage: this.#stage, error: messageOf(error) },
      'the consumer stopped; joining the group again in 5 s',
    );
    this.failure = error;
    void this.#revoked([...this.tasks.keys()].map((partition) => ({ topic: '', partition })))
      .then(() => clock.sleep(5_000))
      .then(async () => {
        if (this.#stopped) return;
        await this.start();
        this.failure = undefined;
      })
      .catch((again: unknown) =>
        this.#failed(again instanceof Error ? again : new Error(String(again))),
      );
  }
}
