/**
 * Keeps the owned partitions' records coming: one fetch under way per broker, the next one asked for before the
 * last is looked at, bytes bounded, and hand-over in turns so that no partition and no timer starves.
 */
import { FatalError, messageOf } from '../../model/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { PartitionPosition, RecordBatch, TopicPartition } from '../contract.ts';
import type { Cluster } from './cluster.ts';
import {
  asTidemarkError,
  code,
  isStaleLeader,
  isTransient,
  typeOf,
  unknownTopic,
} from './errors.ts';
import { type FetchAnswer, fetchExchange } from './fetch.ts';
import {
  type Accepted,
  type Hold,
  isStalled,
  keyOf,
  makePartition,
  type Partition,
  tp,
} from './fetched-partition.ts';
import { errorFromCode } from './library.ts';
import { listOffsets, Offset } from './offsets.ts';
import { openRecordSet, openRuns } from './record-set.ts';
import {
  batchesAborted,
  fetchFailed,
  fetchStalled,
  offsetsSkipped,
  recordsConsumed,
} from './telemetry.ts';

export interface FetchLimits {
  readonly fetchBytesMax: number;
  readonly partitionBytesMax: number;
  readonly bufferBytesMax: number;
  readonly waitMs: number;
}

export interface FetcherSettings {
  readonly cluster: Cluster;
  readonly limits: FetchLimits;
  readonly stallTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  batch(batch: RecordBatch): boolean;
  failed(error: Error): void;
}

/** Hand-over gives way to timers and sockets after this long. */
const SLICE_MS = 5;
/** With held partitions beside quiet ones a fetch must not sit at the broker when they are let go. */
const SHORT_WAIT_MS = 10;
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 2_000;
const EXPANSION_GUESS = 4;
const ANSWER_BYTES_MIN = 64 * 1024;
/** Held this long, a partition gives up its buffers when others need the memory. */
const HELD_LONG_MS = 1_000;
/** A topic that is gone this long was deleted. */
const TOPIC_GONE_MS = 30_000;

export class Fetcher {
  readonly #settings: FetcherSettings;
  readonly #partitions = new Map<string, Partition>();
  readonly #loops = new Map<number, Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #stopWatchdog: () => void;
  #buffered = 0;
  /** How much larger records are unpacked: answers are asked for that much smaller. A guess until seen. */
  #expansion = EXPANSION_GUESS;
  #pumping = false;
  #turn = 0;
  #wakers: (() => void)[] = [];
  #locating: Promise<void> | undefined;
  /** Grows while answers are empty and partitions are held; back to the start when something changes. */
  #shortWaitMs = SHORT_WAIT_MS;

  constructor(settings: FetcherSettings) {
    this.#settings = settings;
    const everyMs = Math.max(100, settings.stallTimeoutMs / 4);
    this.#stopWatchdog = settings.clock.every(everyMs, () => this.#watch());
  }

  add(at: TopicPartition & { readonly offset: number }): void {
    this.#place(at, false);
  }

  /** Held partitions stay held. */
  seek(at: TopicPartition & { readonly offset: number }): void {
    const partition = this.#partitions.get(keyOf(at));
    if (partition === undefined) return;
    partition.queue.clear();
    this.#place(at, partition.held);
  }

  #place(at: TopicPartition & { readonly offset: number }, held: boolean): void {
    this.#partitions.set(keyOf(at), makePartition(at, held, this.#settings.clock.now()));
    this.#wake();
    void this.#locate();
  }

  /** Nothing of it is handed over from now on. */
  remove(at: TopicPartition): void {
    const partition = this.#partitions.get(keyOf(at));
    if (partition === undefined) return;
    this.#partitions.delete(keyOf(at));
    partition.queue.clear();
  }

  resume(at: TopicPartition): void {
    const partition = this.#partitions.get(keyOf(at));
    if (partition === undefined || !partition.held) return;
    partition.held = false;
    partition.dropped = false;
    partition.progressAtMs = this.#settings.clock.now();
    this.#pumpSoon();
    this.#wake();
  }

  positions(): PartitionPosition[] {
    return [...this.#partitions.values()].map(
      ({ topic, partition, queue, endOffset, confirmedAtMs }) => ({
        topic,
        partition,
        nextOffset: queue.nextOffset,
        endOffset: Math.max(endOffset, queue.nextOffset),
        confirmedAtMs,
      }),
    );
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the consumer is stopping'));
    this.#stopWatchdog();
    for (const partition of this.#partitions.values()) partition.queue.clear();
    this.#partitions.clear();
    this.#wake();
    await this.#settings.cluster.close();
    await Promise.all(this.#loops.values());
  }

  #wake(): void {
    this.#shortWaitMs = SHORT_WAIT_MS;
    for (const wake of this.#wakers.splice(0)) wake();
  }

  /** Starts a loop for each broker that leads something of ours, looking up leaders that aren't known. */
  #locate(): Promise<void> {
    // Partitions that come together go into one fetch: begin when all have been placed.
    this.#locating ??= Promise.resolve()
      .then(() => this.#locateOnce())
      .catch((error) => this.#fail(error))
      .finally(() => {
        this.#locating = undefined;
      });
    return this.#locating;
  }

  async #locateOnce(): Promise<void> {
    const { cluster, clock } = this.#settings;
    const { signal } = this.#stopping;
    for (let backoffMs = BACKOFF_MIN_MS; !signal.aborted; ) {
      const lost = new Set<string>();
      for (const partition of this.#partitions.values()) {
        const leader = cluster.knownLeader(partition.topic, partition.partition);
        if (leader === undefined) lost.add(partition.topic);
        else if (!this.#loops.has(leader)) this.#loops.set(leader, this.#loop(leader));
      }
      if (lost.size === 0) break;
      try {
        const existing = new Set(await cluster.refresh([...lost]));
        const now = clock.now();
        for (const partition of this.#partitions.values()) {
          if (!lost.has(partition.topic) || existing.has(partition.topic)) {
            partition.goneSinceMs = undefined;
            continue;
          }
          partition.goneSinceMs ??= now;
          if (now - partition.goneSinceMs > TOPIC_GONE_MS) throw unknownTopic(partition.topic);
        }
      } catch (error) {
        if (!isTransient(error)) throw error;
      }
      const found = [...this.#partitions.values()].every(
        ({ topic, partition }) => cluster.knownLeader(topic, partition) !== undefined,
      );
      if (found) continue;
      await clock.sleep(backoffMs, signal).catch(() => {});
      backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
    }
    this.#wake();
  }

  /** Fetches from one broker until stopped. */
  async #loop(node: number): Promise<void> {
    const { cluster, clock } = this.#settings;
    const { signal } = this.#stopping;
    let unpacking: Promise<void> = Promise.resolve();
    let backoffMs = BACKOFF_MIN_MS;
    while (!signal.aborted) {
      const { wanted, held } = this.#wanted(node);
      if (wanted.length === 0) {
        await this.#untilWoken(held);
        continue;
      }
      try {
        const answer = (await cluster.send(node, this.#request(wanted, held))) as FetchAnswer;
        if (signal.aborted) return;
        if (answer.errorCode !== 0) throw errorFromCode(answer.errorCode);
        const accepted = this.#accept(answer, wanted);
        backoffMs = BACKOFF_MIN_MS;
        if (accepted.length > 0) {
          unpacking = unpacking
            .then(() => this.#unpack(accepted))
            .catch((error) => this.#fail(error));
        } else if (held) {
          this.#shortWaitMs = Math.min(this.#shortWaitMs * 2, this.#settings.limits.waitMs);
        }
      } catch (error) {
        if (signal.aborted) return;
        fetchFailed(typeOf(error) ?? 'UNREACHABLE');
        if (!isTransient(error)) {
          this.#fail(error);
          return;
        }
        await clock.sleep(backoffMs, signal).catch(() => {});
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
        for (const { partition } of wanted) cluster.forgetLeaders(partition.topic);
        await this.#locate();
      }
    }
  }

  /** Until something changes; with held partitions, also until they have been held for long. */
  async #untilWoken(held: boolean): Promise<void> {
    const woken = new AbortController();
    const wake = new Promise<void>((resolve) => this.#wakers.push(resolve));
    if (!held) return wake;
    const long = this.#settings.clock.sleep(HELD_LONG_MS, woken.signal).catch(() => {});
    await Promise.race([wake, long]);
    woken.abort();
  }

  /**
   * Makes room when memory is used up: what was fetched of a partition that its handlers hold for long is thrown
   * away and fetched again when they go on. Else a few held partitions would keep all others waiting.
   */
  #makeRoom(): void {
    const since = this.#settings.clock.now() - HELD_LONG_MS;
    for (const partition of this.#partitions.values()) {
      if (!partition.held || partition.buffered === 0 || partition.heldSinceMs > since) continue;
      partition.queue.clear();
      partition.drops++;
      partition.dropped = true;
      partition.fetchOffset = partition.queue.nextOffset;
    }
  }

  /** What to ask this broker for, in turns; `held` when partitions of it are not asked for. */
  #wanted(node: number): { wanted: { partition: Partition; offset: number }[]; held: boolean } {
    const { cluster, limits } = this.#settings;
    const wanted: { partition: Partition; offset: number }[] = [];
    let held = false;
    if (this.#buffered >= limits.bufferBytesMax) this.#makeRoom();
    for (const partition of this.#partitions.values()) {
      if (cluster.knownLeader(partition.topic, partition.partition) !== node) continue;
      if (
        partition.recovering ||
        partition.buffered >= this.#packed(limits.partitionBytesMax) ||
        (partition.held && (partition.buffered > 0 || partition.dropped)) ||
        this.#buffered >= limits.bufferBytesMax
      ) {
        held = true;
        continue;
      }
      wanted.push({ partition, offset: partition.fetchOffset });
    }
    // The broker fills its answer in our order: begin with another partition each time.
    if (wanted.length > 1) {
      const first = this.#turn++ % wanted.length;
      wanted.push(...wanted.splice(0, first));
    }
    return { wanted, held };
  }

  #request(wanted: readonly { partition: Partition; offset: number }[], held: boolean) {
    const { limits } = this.#settings;
    return fetchExchange({
      partitions: wanted.map(({ partition, offset }) => ({
        topic: partition.topic,
        partition: partition.partition,
        offset,
        bytesMax: this.#packed(limits.partitionBytesMax),
      })),
      bytesMax: this.#packed(limits.fetchBytesMax),
      waitMs: held ? Math.min(this.#shortWaitMs, limits.waitMs) : limits.waitMs,
    });
  }

  /** As many packed bytes as make about this many unpacked. */
  #packed(bytes: number): number {
    return Math.max(ANSWER_BYTES_MIN, Math.floor(bytes / this.#expansion));
  }

  /** Notes ends and positions, so that the next fetch can go out; what has records is unpacked after. */
  #accept(
    answer: FetchAnswer,
    wanted: readonly { partition: Partition; offset: number }[],
  ): Accepted[] {
    const now = this.#settings.clock.now();
    const accepted: Accepted[] = [];
    const hold: Hold = { bytes: answer.bytes, parts: 0 };
    for (const part of answer.partitions) {
      const partition = this.#partitions.get(keyOf(part));
      const asked = wanted.find((w) => w.partition === partition);
      // Revoked, or moved on to another offset, since we asked.
      if (partition === undefined || asked === undefined) continue;
      if (asked.offset !== partition.fetchOffset) continue;
      if (part.errorCode !== code.none) {
        this.#partitionFailed(partition, part.errorCode);
        continue;
      }
      partition.endOffset = part.lastStableOffset;
      partition.confirmedAtMs = now;
      if (part.records.length === 0) continue;
      const set = openRecordSet(part.records, asked.offset, part.abortedTransactions);
      if (set.cutOff) {
        throw new FatalError(
          `${part.topic}/${part.partition}: the batch at offset ${asked.offset} does not fit an answer; raise fetchBytesMax`,
          { code: 'BATCH_TOO_LARGE', context: { topic: part.topic, partition: part.partition } },
        );
      }
      if (set.aborted > 0) batchesAborted(part.topic, set.aborted);
      partition.fetchOffset = set.nextOffset;
      partition.buffered += part.records.length;
      hold.parts++;
      accepted.push({ partition, drops: partition.drops, part, set, hold });
    }
    if (hold.parts > 0) this.#buffered += hold.bytes;
    return accepted;
  }

  async #unpack(accepted: readonly Accepted[]): Promise<void> {
    for (const { partition, drops, part, set, hold } of accepted) {
      const runs = await openRuns(part.records, set);
      let extra = 0;
      for (let i = 0; i < runs.length; i++) {
        const { bytes } = runs[i]!;
        if (bytes !== part.records && bytes !== runs[i - 1]?.bytes) extra += bytes.length;
      }
      hold.bytes += extra;
      this.#buffered += extra;
      if (runs.length > 0) {
        const ratio = Math.max(1, extra / part.records.length);
        const smoothed = this.#expansion * 0.8 + ratio * 0.2;
        this.#expansion = Math.max(ratio, smoothed);
      }
      let released = false;
      const release = () => {
        if (released) return;
        released = true;
        partition.buffered -= part.records.length;
        if (--hold.parts === 0) this.#buffered -= hold.bytes;
        this.#wake();
      };
      if (this.#partitions.get(keyOf(partition)) === partition && partition.drops === drops) {
        partition.queue.push({ runs, nextOffset: set.nextOffset, release });
        partition.progressAtMs = this.#settings.clock.now();
      } else release();
    }
    this.#pump();
  }

  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  /** Hands over in turns, a batch of each partition at a time. */
  #pump(): void {
    const until = performance.now() + SLICE_MS;
    for (let more = true; more; ) {
      more = false;
      for (const partition of this.#partitions.values()) {
        if (partition.held || partition.queue.isEmpty) continue;
        try {
          const batch = partition.queue.take(partition.endOffset);
          if (batch === null) continue;
          partition.progressAtMs = this.#settings.clock.now();
          recordsConsumed(batch.topic, batch.count, batch.byteLength);
          const wantsMore = this.#settings.batch(batch);
          // The handler may have sought, or lost the partition.
          const current = this.#partitions.get(keyOf(partition));
          if (!wantsMore && current !== undefined) {
            current.held = true;
            current.heldSinceMs = this.#settings.clock.now();
          } else if (!partition.queue.isEmpty) more = true;
        } catch (error) {
          this.#fail(error);
          return;
        }
      }
      if (more && performance.now() > until) {
        this.#pumpSoon();
        return;
      }
    }
  }

  #partitionFailed(partition: Partition, errorCode: number): void {
    const { cluster, logger } = this.#settings;
    const error = errorFromCode(errorCode);
    const { topic } = partition;
    fetchFailed(error.type);
    if (errorCode === code.offsetOutOfRange) {
      partition.recovering = true;
      void this.#recover(partition).catch((failure) => this.#fail(failure));
    } else if (isStaleLeader(error)) {
      logger.debug({ topic, partition: partition.partition, reason: error.type }, 'leader moved');
      cluster.forgetLeaders(topic);
      void this.#settings.clock
        .sleep(BACKOFF_MIN_MS, this.#stopping.signal)
        .then(() => this.#locate())
        .catch(() => {});
    } else if (!isTransient(error)) {
      this.#fail(asTidemarkError(error, `reading ${topic}/${partition.partition}`, { topic }));
    }
  }

  /** Retention overtook us: go on at the first record that is left, and say what was lost. */
  async #recover(partition: Partition): Promise<void> {
    const { cluster, clock, logger } = this.#settings;
    const { topic } = partition;
    for (let backoffMs = BACKOFF_MIN_MS; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS)) {
      try {
        const [first] = await listOffsets(cluster, [{ ...tp(partition), timestamp: Offset.first }]);
        if (this.#partitions.get(keyOf(partition)) !== partition) return;
        const from = partition.fetchOffset;
        if (first === undefined || from > first.offset) {
          throw new FatalError(
            `${topic}/${partition.partition} ends before offset ${from}, where reading was to go on: the topic was made anew or lost records; reset the group's offsets or use another group`,
            { code: 'OFFSET_PAST_END', context: { ...tp(partition), offset: from } },
          );
        }
        logger.warn(
          { ...tp(partition), from, to: first.offset },
          'retention deleted records before they were read; going on at the first that is left',
        );
        offsetsSkipped(topic, first.offset - from);
        partition.fetchOffset = first.offset;
        partition.queue.push({ runs: [], nextOffset: first.offset, release() {} });
        partition.recovering = false;
        this.#wake();
        return;
      } catch (error) {
        if (!isTransient(error)) throw error;
        await clock.sleep(backoffMs, this.#stopping.signal);
      }
    }
  }

  /** Records are there (or nobody has told us for long) and none come: hang up and fetch anew (kafkajs#659). */
  #watch(): void {
    const { clock, cluster, logger, stallTimeoutMs } = this.#settings;
    const now = clock.now();
    const stalled = new Map<number, Partition>();
    for (const partition of this.#partitions.values()) {
      if (!isStalled(partition, now, stallTimeoutMs)) continue;
      partition.progressAtMs = now;
      const leader = cluster.knownLeader(partition.topic, partition.partition);
      if (leader !== undefined) stalled.set(leader, partition);
    }
    for (const [node, partition] of stalled) {
      fetchStalled(partition.topic);
      logger.warn({ ...tp(partition), broker: node }, 'no records for long; fetching anew');
      void cluster.disconnect(node).catch((error) => {
        logger.debug({ broker: node, error: messageOf(error) }, 'could not hang up');
      });
    }
    if (stalled.size > 0) void this.#locate();
  }

  #fail(error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    this.#settings.failed(asTidemarkError(error, 'reading from Kafka'));
  }
}
