/**
 * One member of a group: reads its partitions in turn, one batch per turn of the event loop, and hands it over
 * synchronously. Nothing is fetched ahead, so memory is one batch, and a held partition costs nothing.
 */
import { FatalError, messageOf } from '../../model/index.ts';
import { type Clock, type Logger, threadTurns } from '../../runtime/index.ts';
import type { ConsumeOptions, Consumer, PartitionPosition, TopicPartition } from '../contract.ts';
import { checkOffset } from './appender.ts';
import type { Group, Member } from './group.ts';
import { readFrom } from './reader.ts';
import type { Tables } from './storage.ts';
import type { Tail } from './tail.ts';
import type { Partition } from './topics.ts';

/** A batch is of about this many bytes and at most 4,096 records; one larger record comes alone. A turn is a batch. */
const BATCH_BYTES_MAX = 512 * 1024;
const REVOKE_TIMEOUT_MS = 10_000;

export interface ConsumerParts {
  readonly tables: Tables;
  readonly tail: Tail;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly group: Group;
  /** Called once, when it has stopped. */
  readonly stopped: (consumer: EmbeddedConsumer) => void;
}

/** A partition from its grant to the end of its release. */
interface Owned {
  readonly partition: Partition;
  nextOffset: number;
  /** `active` once assigned gave its offset; only then is a release told to `revoked`. */
  phase: 'granted' | 'active';
  /** Nothing of it is handed over any more. */
  released: boolean;
  held: boolean;
  queued: boolean;
  unwatch: () => void;
}

const placeOf = ({ partition: { topic, partition } }: Owned): TopicPartition => ({
  topic,
  partition,
});

export class EmbeddedConsumer implements Consumer, Member {
  readonly topics: readonly string[];
  readonly #parts: ConsumerParts;
  readonly #options: ConsumeOptions;
  readonly #owned = new Map<Partition, Owned>();
  /** Partitions with something to hand over, in turn. */
  readonly #ready: Owned[] = [];
  /** Calls of `assigned` and `revoked`, one after the other. */
  #calls: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;
  #failed = false;

  constructor(options: ConsumeOptions, parts: ConsumerParts) {
    this.#options = options;
    this.#parts = parts;
    this.topics = [...new Set(options.topics)];
  }

  resume(partition: TopicPartition): void {
    const owned = this.#find(partition);
    if (!owned) return;
    owned.held = false;
    this.#enqueue(owned);
  }

  seek(position: TopicPartition & { readonly offset: number }): void {
    checkOffset(position.offset, { topic: position.topic, partition: position.partition });
    const owned = this.#find(position);
    if (!owned) return;
    owned.nextOffset = position.offset;
    this.#enqueue(owned);
  }

  positions(): readonly PartitionPosition[] {
    const confirmedAtMs = this.#parts.clock.now();
    return [...this.#owned.values()].flatMap(({ partition, phase, released, nextOffset }) =>
      phase === 'active' && !released
        ? {
            topic: partition.topic,
            partition: partition.partition,
            nextOffset,
            endOffset: partition.head.nextOffset,
            confirmedAtMs,
          }
        : [],
    );
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#parts.group.leave(this).then(() => this.#parts.stopped(this));
    return this.#stopping;
  }

  grant(partitions: readonly Partition[]): void {
    const granted = partitions.map((partition): Owned => {
      const owned: Owned = {
        partition,
        nextOffset: 0,
        phase: 'granted',
        released: false,
        held: false,
        queued: false,
        unwatch: () => {},
      };
      owned.unwatch = partition.watch(() => this.#enqueue(owned));
      partition.readers.add(owned);
      this.#owned.set(partition, owned);
      return owned;
    });
    void this.#call(async () => {
      const still = granted.filter((owned) => !owned.released);
      if (still.length === 0 || this.#failed) return;
      const starts = await this.#options.handlers.assigned(still.map(placeOf));
      const offsets = still.map((owned) => startOf(owned, starts));
      for (const [i, owned] of still.entries()) {
        owned.nextOffset = offsets[i] as number;
        owned.phase = 'active';
        this.#enqueue(owned);
      }
    });
  }

  async release(partitions: readonly Partition[]): Promise<void> {
    const leaving = partitions.flatMap((partition) => this.#owned.get(partition) ?? []);
    for (const owned of leaving) {
      owned.released = true;
      owned.unwatch();
      owned.partition.readers.delete(owned);
      this.#parts.tail.release(owned.partition);
    }
    const done = this.#call(async () => {
      const known = leaving.filter((owned) => owned.phase === 'active');
      if (known.length > 0) await this.#options.handlers.revoked(known.map(placeOf));
    });
    await this.#patiently(done, leaving);
    for (const owned of leaving)
      if (this.#owned.get(owned.partition) === owned) this.#owned.delete(owned.partition);
  }

  /** Waits for `done`, but not longer than the revoke timeout. */
  async #patiently(done: Promise<void>, leaving: readonly Owned[]): Promise<void> {
    const { group, revokeTimeoutMs: timeoutMs = REVOKE_TIMEOUT_MS } = this.#options;
    const patience = new AbortController();
    const late = this.#parts.clock.sleep(timeoutMs, patience.signal).then(
      () => true,
      () => false,
    );
    if (await Promise.race([done.then(() => false), late]))
      this.#parts.logger.warn(
        { group, partitions: leaving.map(placeOf), timeoutMs },
        'a consumer did not let go of its partitions in time: they go to their next owner, who fences it',
      );
    patience.abort(new Error('released in time'));
  }

  #call(action: () => Promise<void>): Promise<void> {
    this.#calls = this.#calls.then(action).catch((error) => this.#fail(error));
    return this.#calls;
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    const reason = error instanceof Error ? error : new Error(messageOf(error));
    void this.stop().then(() => this.#options.handlers.failed(reason));
  }

  #find({ topic, partition }: TopicPartition): Owned | undefined {
    for (const owned of this.#owned.values())
      if (owned.partition.topic === topic && owned.partition.partition === partition) return owned;
    return undefined;
  }

  #enqueue(owned: Owned): void {
    const { partition, phase, released, held, queued, nextOffset } = owned;
    if (queued || held || released || phase !== 'active') return;
    if (nextOffset >= partition.head.nextOffset && !partition.deleted) return;
    owned.queued = true;
    this.#ready.push(owned);
    threadTurns.ready(this);
  }

  /** Hands over one batch. Returns whether there is more to hand over. */
  turn(): boolean {
    this.#handOverOne();
    return this.#ready.length > 0;
  }

  #handOverOne(): void {
    const owned = this.#ready.shift();
    if (!owned) return;
    owned.queued = false;
    if (owned.held || owned.released || this.#failed) return;
    const { partition } = owned;
    try {
      if (partition.deleted)
        throw new FatalError(`Topic "${partition.topic}" was deleted while it was consumed.`, {
          code: 'UNKNOWN_TOPIC',
          context: { ...placeOf(owned) },
        });
      const { batch, nextOffset } = readFrom(
        this.#parts.tables,
        partition,
        owned.nextOffset,
        BATCH_BYTES_MAX,
      );
      // Before the hand-over: the handler may seek.
      owned.nextOffset = nextOffset;
      this.#parts.tail.release(partition);
      if (batch && !this.#options.handlers.batch(batch)) owned.held = true;
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#enqueue(owned);
  }
}

/** Throws FatalError ASSIGNMENT_INCOMPLETE or OFFSET_INVALID. */
function startOf(
  owned: Owned,
  starts: readonly (TopicPartition & { readonly offset: number })[],
): number {
  const { topic, partition } = owned.partition;
  const start = starts.find((one) => one.topic === topic && one.partition === partition);
  if (!start)
    throw new FatalError(
      `assigned() gave no offset for ${topic}/${partition}: return one for each partition.`,
      { code: 'ASSIGNMENT_INCOMPLETE', context: { topic, partition } },
    );
  checkOffset(start.offset, { topic, partition });
  return start.offset;
}
