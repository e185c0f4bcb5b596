/**
 * A member of a group with its partitions: what comes is assigned, then fetched; what goes is stopped, handed
 * to `revoked`, and only then no longer claimed. For each partition the handlers' calls never overlap.
 */
import { FatalError, messageOf } from '../../model/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { ConsumeOptions, Consumer, PartitionPosition, TopicPartition } from '../contract.ts';
import type { Cluster } from './cluster.ts';
import { asTidemarkError } from './errors.ts';
import { Fetcher, type FetchLimits } from './fetcher.ts';
import { Membership } from './membership.ts';

const REVOKE_TIMEOUT_MS = 10_000;

export interface ConsumerSettings {
  readonly options: ConsumeOptions;
  /** Joining waits at the broker, and so does fetching: each has its own connections. */
  readonly groupCluster: Cluster;
  readonly fetchCluster: Cluster;
  readonly limits: FetchLimits;
  readonly sessionTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  onStopped(): void;
}

interface Ownership extends TopicPartition {
  /** Fetched and handed over; before that it is being restored. */
  running: boolean;
  /** Settles when the handlers are done with it, once it is going. */
  leaving: Promise<void> | undefined;
}

const keyOf = ({ topic, partition }: TopicPartition): string => `${partition}:${topic}`;
const tp = ({ topic, partition }: TopicPartition): TopicPartition => ({ topic, partition });

export class KafkaConsumer implements Consumer {
  readonly #settings: ConsumerSettings;
  readonly #fetcher: Fetcher;
  readonly #membership: Membership;
  readonly #owned = new Map<string, Ownership>();
  /** Handlers' calls of a partition that are still under way. */
  readonly #busy = new Map<string, Promise<unknown>>();
  #stopping: Promise<void> | undefined;
  #failed = false;

  constructor(settings: ConsumerSettings) {
    this.#settings = settings;
    const { options, clock, logger } = settings;
    this.#fetcher = new Fetcher({
      cluster: settings.fetchCluster,
      limits: settings.limits,
      stallTimeoutMs: settings.stallTimeoutMs,
      clock,
      logger,
      batch: (batch) => options.handlers.batch(batch),
      failed: (error) => this.#fail(error),
    });
    this.#membership = new Membership({
      cluster: settings.groupCluster,
      group: options.group,
      topics: options.topics,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      clock,
      logger,
      handlers: {
        owned: () => [...this.#owned.values()].map(tp),
        assignment: (partitions) => this.#apply(partitions),
        lost: () => this.#revoke([...this.#owned.values()]),
        failed: (error) => this.#fail(error),
      },
    });
    this.#membership.start();
  }

  resume(partition: TopicPartition): void {
    this.#fetcher.resume(partition);
  }

  seek(position: TopicPartition & { readonly offset: number }): void {
    this.#fetcher.seek(position);
  }

  positions(): readonly PartitionPosition[] {
    return this.#fetcher.positions();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop(true);
    return this.#stopping;
  }

  async #stop(revoke: boolean): Promise<void> {
    if (revoke) await this.#revoke([...this.#owned.values()]);
    await this.#membership.stop();
    await this.#fetcher.stop();
    await this.#settings.groupCluster.close();
    this.#settings.onStopped();
  }

  #apply(partitions: readonly TopicPartition[]): void {
    if (this.#stopping !== undefined) return;
    const assigned = new Set(partitions.map(keyOf));
    const going = [...this.#owned.values()].filter((owned) => !assigned.has(keyOf(owned)));
    const coming = partitions.filter((partition) => !this.#owned.has(keyOf(partition)));
    if (going.length > 0) {
      void this.#revoke(going).then(() => {
        if (this.#stopping === undefined) this.#membership.rejoin();
      });
    }
    if (coming.length > 0) {
      void this.#assign(coming).catch((error) =>
        this.#fail(asTidemarkError(error, 'taking over partitions')),
      );
    }
    const { group } = this.#settings.options;
    if (going.length > 0 || coming.length > 0) {
      this.#settings.logger.info(
        { group, come: coming.map(keyOf), go: going.map(keyOf) },
        'partitions changed hands',
      );
    }
  }

  async #assign(partitions: readonly TopicPartition[]): Promise<void> {
    const coming: Ownership[] = partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      running: false,
      leaving: undefined,
    }));
    for (const ownership of coming) this.#owned.set(keyOf(ownership), ownership);
    const before = coming.map((ownership) => this.#busy.get(keyOf(ownership)));
    const assigning = Promise.allSettled(before).then(() =>
      this.#settings.options.handlers.assigned(coming.map(tp)),
    );
    for (const ownership of coming) this.#track(ownership, assigning);
    const starts = await assigning;
    for (const ownership of coming) {
      // Taken away while it was being restored: `#revoke` sees to it.
      if (this.#owned.get(keyOf(ownership)) !== ownership || ownership.leaving) continue;
      const start = starts.find(
        ({ topic, partition }) => topic === ownership.topic && partition === ownership.partition,
      );
      if (start === undefined) {
        const { topic, partition } = ownership;
        throw new FatalError(
          `assigned() gave no offset for ${topic}/${partition}: return one for each partition`,
          { code: 'ASSIGNMENT_INCOMPLETE', context: { topic, partition } },
        );
      }
      ownership.running = true;
      this.#fetcher.add(start);
    }
  }

  /** Stops them, tells the handlers, and gives up our claim when they are done or out of time. */
  async #revoke(going: readonly Ownership[]): Promise<void> {
    const { clock, logger, options } = this.#settings;
    const fresh = going.filter((ownership) => ownership.leaving === undefined);
    if (fresh.length > 0) {
      const before: (Promise<unknown> | undefined)[] = [];
      for (const ownership of fresh) {
        this.#fetcher.remove(ownership);
        before.push(this.#busy.get(keyOf(ownership)));
      }
      const revoking = Promise.allSettled(before)
        .then(() => options.handlers.revoked(fresh.map(tp)))
        .catch((error) => {
          logger.error(
            { group: options.group, partitions: fresh.map(keyOf), error: messageOf(error) },
            'giving up partitions failed; their next owner goes on from the last commit',
          );
        });
      const timeoutMs = options.revokeTimeoutMs ?? REVOKE_TIMEOUT_MS;
      const done = new AbortController();
      const timeout = clock.sleep(timeoutMs, done.signal).then(
        () =>
          logger.warn(
            { group: options.group, partitions: fresh.map(keyOf), timeoutMs },
            'giving up partitions takes too long; they go to their next owner now',
          ),
        () => {},
      );
      const leaving = Promise.race([revoking, timeout]).then(() => {
        done.abort(new Error('revoked'));
        for (const ownership of fresh) {
          if (this.#owned.get(keyOf(ownership)) === ownership) this.#owned.delete(keyOf(ownership));
        }
      });
      for (const ownership of fresh) {
        this.#track(ownership, revoking);
        ownership.leaving = leaving;
      }
    }
    await Promise.all(going.map((ownership) => ownership.leaving));
  }

  #track(partition: TopicPartition, call: Promise<unknown>): void {
    const key = keyOf(partition);
    this.#busy.set(key, call);
    const forget = () => {
      if (this.#busy.get(key) === call) this.#busy.delete(key);
    };
    call.then(forget, forget);
  }

  #fail(error: Error): void {
    if (this.#failed || this.#stopping !== undefined) return;
    this.#failed = true;
    const { options, logger } = this.#settings;
    logger.error({ group: options.group, error: messageOf(error) }, 'the consumer stopped');
    this.#stopping = this.#stop(false).catch(() => {});
    void this.#stopping.then(() => options.handlers.failed(error));
  }
}
