/** A feed while it runs: its runner, what it gave up, and how to make it give up what waits. */
import type { Broker } from '../broker/index.ts';
import type { Clock, Logger } from '../runtime/index.ts';
import { changelogOf, type EpochPolicy, TopologyRunner } from '../stream/index.ts';
import type { BoundFeed } from './feeds.ts';

export interface RunningFeedParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy: Partial<EpochPolicy>;
}

export class RunningFeed {
  readonly bound: BoundFeed;
  /** Records given up by `clear` since start. */
  dropped = 0;
  runner: TopologyRunner;
  readonly #parts: RunningFeedParts;

  constructor(bound: BoundFeed, parts: RunningFeedParts) {
    this.bound = bound;
    this.#parts = parts;
    this.runner = this.#newRunner();
  }

  start(): Promise<void> {
    return this.runner.start();
  }

  stop(): Promise<void> {
    return this.runner.stop();
  }

  /** Moves the cursor to the end of its topics; gives how many records were passed over. */
  async clear(): Promise<number> {
    const { broker } = this.#parts;
    const { feed } = this.bound;
    await this.runner.stop();
    try {
      const topics = feed.sources.map((source) => source.topic);
      const descriptions = await broker.describeTopics(topics);
      const partitions = Math.max(1, ...descriptions.map((d) => d.partitions.length));
      let passed = 0;
      for (let partition = 0; partition < partitions; partition++) {
        const ends = descriptions.flatMap((d) =>
          d.partitions
            .filter((p) => p.partition === partition)
            .map((p) => ({ topic: d.name, partition, offset: p.nextOffset })),
        );
        passed += await this.#moveTo(ends, partition, partitions);
      }
      this.dropped += passed;
      return passed;
    } finally {
      this.runner = this.#newRunner();
      await this.runner.start();
    }
  }

  async #moveTo(
    ends: readonly { topic: string; partition: number; offset: number }[],
    partition: number,
    partitions: number,
  ): Promise<number> {
    const { group } = this.bound;
    const ledger = await this.#parts.broker.openLedger({
      id: `${group}-${partition}`,
      changelog: changelogOf(group),
      partition,
      changelogPartitions: partitions,
      group,
      inputs: ends.map(({ topic }) => ({ topic, partition })),
    });
    try {
      const { meta, offsets } = await ledger.restore(() => {});
      const empty = Buffer.from(
        JSON.stringify({ epoch: 0, hash: this.bound.feed.hash, watermarks: {} }),
      );
      await ledger.commit({ appends: [], state: [], offsets: ends, meta: meta ?? empty });
      const before = (topic: string) => offsets.find((o) => o.topic === topic)?.offset ?? 0;
      return ends.reduce((sum, end) => sum + Math.max(0, end.offset - before(end.topic)), 0);
    } finally {
      await ledger.close();
    }
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
