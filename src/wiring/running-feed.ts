/**
 * A feed while it runs: its runner, what it gave up, and how it is paused, resumed and made to give up what waits.
 * What moves its cursor happens one after another and while no task of this process has it.
 */
import type { Broker, TopicPartition } from '../broker/index.ts';
import { type Clock, counter, type Logger } from '../runtime/index.ts';
import { changelogOf, type EpochPolicy, TopologyRunner } from '../stream/index.ts';
import type { BoundFeed } from './feeds.ts';

const droppedPoints = counter(
  'backlog_dropped_points_total',
  'Records that a sink will never store: given up by hand, by a limit of its backlog, or removed by retention before it read them.',
  ['sink', 'reason'],
);

/** Why records were given up. */
export type DropReason = 'cleared' | 'limit' | 'retention';

export interface RunningFeedParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy: Partial<EpochPolicy>;
}

type Position = TopicPartition & { readonly offset: number };

export class RunningFeed {
  readonly bound: BoundFeed;
  /** Records given up since start. */
  dropped = 0;
  runner: TopologyRunner;
  readonly #parts: RunningFeedParts;
  #paused = false;
  #started = false;
  #stopped = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(bound: BoundFeed, parts: RunningFeedParts) {
    this.bound = bound;
    this.#parts = parts;
    this.runner = this.#newRunner();
  }

  /** Reads nothing and writes nothing; what comes waits in the topic. */
  get paused(): boolean {
    return this.#paused;
  }

  start(): Promise<void> {
    return this.#inTurn(async () => {
      this.#started = true;
      if (!this.#paused) await this.runner.start();
    });
  }

  stop(): Promise<void> {
    return this.#inTurn(async () => {
      this.#stopped = true;
      await this.runner.stop();
    });
  }

  /** Goes on from its cursor when resumed: nothing is lost that retention and limits keep. */
  setPaused(paused: boolean): Promise<void> {
    return this.#inTurn(async () => {
      if (paused === this.#paused || this.#stopped) return;
      this.#paused = paused;
      if (!this.#started) return;
      if (paused) await this.runner.stop();
      else await this.#startAnew();
    });
  }

  /** Moves the cursor to the end of its topics; gives how many records were passed over. */
  clear(): Promise<number> {
    return this.#inTurn(async () => {
      const { broker } = this.#parts;
      const topics = this.bound.feed.sources.map((source) => source.topic);
      const ends = (await broker.describeTopics(topics)).flatMap(({ name: topic, partitions }) =>
        partitions.map(({ partition, nextOffset: offset }) => ({ topic, partition, offset })),
      );
      return this.#pass(ends, 'cleared');
    });
  }

  /** Moves the cursor forward to these places, never back; gives how many records were passed over. */
  dropTo(places: readonly Position[]): Promise<number> {
    return this.#inTurn(() => this.#pass(places, 'limit'));
  }

  /** Counts and tells what nobody can bring back. */
  noteDropped(points: number, reason: DropReason): void {
    if (points === 0) return;
    this.dropped += points;
    const sink = this.bound.feed.name;
    droppedPoints.add({ sink, reason }, points);
    this.#parts.logger.warn({ sink, points, reason }, 'a sink will never store these records');
  }

  async #pass(places: readonly Position[], reason: DropReason): Promise<number> {
    await this.runner.stop();
    try {
      const topics = [...new Set(places.map(({ topic }) => topic))];
      const described = await this.#parts.broker.describeTopics(topics);
      const partitions = Math.max(1, ...described.map((d) => d.partitions.length));
      let passed = 0;
      for (const [partition, here] of Map.groupBy(places, (place) => place.partition))
        passed += await this.#moveTo(here, partition, partitions);
      this.noteDropped(passed, reason);
      return passed;
    } finally {
      if (!this.#stopped && !this.#paused && this.#started) await this.#startAnew();
    }
  }

  async #moveTo(
    places: readonly Position[],
    partition: number,
    partitions: number,
  ): Promise<number> {
    const { broker } = this.#parts;
    const { group, feed } = this.bound;
    const ledger = await broker.openLedger({
      id: `${group}-${partition}`,
      changelog: changelogOf(group),
      partition,
      changelogPartitions: partitions,
      group,
      inputs: places.map(({ topic }) => ({ topic, partition })),
    });
    try {
      const { meta, offsets } = await ledger.restore(() => {});
      const before = (topic: string) => offsets.find((o) => o.topic === topic)?.offset ?? 0;
      const ahead = places.filter(({ topic, offset }) => offset > before(topic));
      if (ahead.length === 0) return 0;
      const empty = Buffer.from(JSON.stringify({ epoch: 0, hash: feed.hash, watermarks: {} }));
      await ledger.commit({ appends: [], state: [], offsets: ahead, meta: meta ?? empty });
      return ahead.reduce((sum, { topic, offset }) => sum + offset - before(topic), 0);
    } finally {
      await ledger.close();
    }
  }

  async #startAnew(): Promise<void> {
    this.runner = this.#newRunner();
    await this.runner.start();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #newRunner(): TopologyRunner {
    const { broker, clock, logger, policy } = this.#parts;
    const { feed, sink, port, group } = this.bound;
    return new TopologyRunner({
      topology: feed,
      broker,
      clock,
      logger,
      policy: { ...policy, ...this.bound.policy },
      sinks: new Map([[sink, port]]),
      groupPrefix: group,
    });
  }
}
