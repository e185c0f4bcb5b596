/**
 * Reading at random, without a group: one partition per fetch over connections of its own. A fetch may wait at
 * the broker, so each reader under way has a connection; idle ones are kept for the next.
 */
import { FatalError } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import type { ReadRequest, RecordBatch, TopicPartition } from '../contract.ts';
import type { Cluster } from './cluster.ts';
import { asTidemarkError, code, isStaleLeader, isTransient, unknownTopic } from './errors.ts';
import { type FetchAnswer, type FetchedPartition, fetchExchange } from './fetch.ts';
import { errorFromCode } from './library.ts';
import { listOffsets, Offset } from './offsets.ts';
import { BATCH_BYTES_MAX, RecordQueue } from './record-queue.ts';
import { openRecordSet, openRuns } from './record-set.ts';

export interface ReaderSettings {
  readonly makeCluster: () => Cluster;
  readonly clock: Clock;
  readonly retryForMs: number;
}

/** Connections under way at most; further reads wait for one. */
const READERS_MAX = 32;
/** A wait at the broker is cut into pieces, so that an aborted reader's connection is soon free again. */
const WAIT_PIECE_MS = 1_000;
const SCAN_BYTES = 8 * 1024 * 1024;
const BACKOFF_MIN_MS = 20;
const BACKOFF_MAX_MS = 500;

export class Reader {
  readonly #settings: ReaderSettings;
  readonly #idle: Cluster[] = [];
  readonly #all = new Set<Cluster>();
  readonly #waiting: (() => void)[] = [];
  readonly #closing = new AbortController();

  constructor(settings: ReaderSettings) {
    this.#settings = settings;
  }

  async read(request: ReadRequest): Promise<RecordBatch | null> {
    const { topic, partition, maxBytes = BATCH_BYTES_MAX, maxWaitMs = 0, signal } = request;
    const { clock } = this.#settings;
    signal?.throwIfAborted();
    const untilMs = clock.now() + maxWaitMs;
    const stop = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    return this.#withCluster(stop, async (cluster) => {
      let from = request.from;
      for (;;) {
        const waitMs = Math.max(0, Math.min(untilMs - clock.now(), WAIT_PIECE_MS));
        const part = await this.#fetch(cluster, { topic, partition }, from, maxBytes, waitMs, stop);
        if (part === null) {
          const first = await this.#first(cluster, { topic, partition });
          if (from >= first) return null;
          from = first;
          continue;
        }
        const set = openRecordSet(part.records, from, part.abortedTransactions);
        if (set.batches.length > 0) {
          const queue = new RecordQueue({ topic, partition }, from);
          const runs = await openRuns(part.records, set);
          queue.push({ runs, nextOffset: set.nextOffset, release() {} });
          const batch = queue.take(part.lastStableOffset, maxBytes);
          if (batch !== null) return batch;
        }
        if (set.nextOffset > from) from = set.nextOffset;
        else if (clock.now() >= untilMs) return null;
      }
    });
  }

  /**
   * Everything committed from `from` up to the offset `to`, batch by batch, the next fetch under way while
   * `each` works.
   */
  async scan(
    at: TopicPartition,
    from: number,
    to: number,
    each: (batch: RecordBatch) => void,
  ): Promise<void> {
    const stop = this.#closing.signal;
    await this.#withCluster(stop, async (cluster) => {
      let offset = from;
      const fetch = () => this.#fetch(cluster, at, offset, SCAN_BYTES, 0, stop);
      let next = offset < to ? fetch() : undefined;
      while (next !== undefined) {
        const part = await next;
        if (part === null) {
          // Compaction or retention removed what was there; the log begins further on now.
          offset = Math.max(offset + 1, await this.#first(cluster, at));
          next = offset < to ? fetch() : undefined;
          continue;
        }
        const start = offset;
        const set = openRecordSet(part.records, start, part.abortedTransactions);
        if (set.nextOffset === offset) {
          throw new FatalError(
            `${at.topic}/${at.partition} ends at ${offset}, but had ${to} offsets a moment ago: it lost records`,
            { code: 'LOG_TRUNCATED', context: { ...at, offset } },
          );
        }
        offset = set.nextOffset;
        next = offset < to ? fetch() : undefined;
        // A failure of the fetch under way is met by the next await, not by an unhandled rejection.
        next?.catch(() => {});
        const queue = new RecordQueue(at, start);
        const runs = await openRuns(part.records, set);
        queue.push({ runs, nextOffset: set.nextOffset, release() {} });
        for (;;) {
          const batch = queue.take(to);
          if (batch === null) break;
          each(batch);
        }
      }
    });
  }

  async close(): Promise<void> {
    this.#closing.abort(new FatalError('the broker is closed', { code: 'BROKER_CLOSED' }));
    await Promise.all([...this.#all].map((cluster) => cluster.close()));
  }

  async #first(cluster: Cluster, at: TopicPartition): Promise<number> {
    const [first] = await listOffsets(cluster, [{ ...at, timestamp: Offset.first }]);
    return first!.offset;
  }

  /** null = the offset is out of range. */
  async #fetch(
    cluster: Cluster,
    { topic, partition }: TopicPartition,
    offset: number,
    bytesMax: number,
    waitMs: number,
    stop: AbortSignal,
  ): Promise<FetchedPartition | null> {
    const { clock, retryForMs } = this.#settings;
    const deadlineMs = clock.now() + retryForMs;
    for (let backoffMs = BACKOFF_MIN_MS; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS)) {
      stop.throwIfAborted();
      try {
        const leaders = await cluster.leadersOf(topic);
        const leader = leaders[partition];
        if (leader === undefined) {
          throw new FatalError(
            `topic ${topic} has partitions 0 to ${leaders.length - 1}, not ${partition}`,
            { code: 'UNKNOWN_PARTITION', context: { topic, partition } },
          );
        }
        if (leader < 0) throw errorFromCode(5);
        const answer = (await abortable(
          cluster.send(
            leader,
            fetchExchange({
              partitions: [{ topic, partition, offset, bytesMax }],
              bytesMax,
              waitMs,
            }),
          ),
          stop,
        )) as FetchAnswer;
        const part = answer.partitions[0];
        const errorCode = answer.errorCode || part?.errorCode || 0;
        if (errorCode === code.offsetOutOfRange) return null;
        if (errorCode !== code.none || part === undefined) throw errorFromCode(errorCode);
        return part;
      } catch (error) {
        stop.throwIfAborted();
        if (isStaleLeader(error)) cluster.forgetLeaders(topic);
        if (!isTransient(error) || clock.now() >= deadlineMs) {
          if (isStaleLeader(error)) throw unknownTopic(topic);
          throw asTidemarkError(error, `reading ${topic}/${partition}`, { topic, partition });
        }
        await clock.sleep(backoffMs, stop);
      }
    }
  }

  async #withCluster<T>(stop: AbortSignal, use: (cluster: Cluster) => Promise<T>): Promise<T> {
    while (this.#idle.length === 0 && this.#all.size >= READERS_MAX) {
      await abortable(new Promise<void>((resolve) => this.#waiting.push(resolve)), stop);
    }
    stop.throwIfAborted();
    const cluster = this.#idle.pop() ?? this.#settings.makeCluster();
    this.#all.add(cluster);
    try {
      return await use(cluster);
    } finally {
      this.#idle.push(cluster);
      this.#waiting.shift()?.();
    }
  }
}

/** Rejects with the signal's reason as soon as it aborts; the work itself goes on and is forgotten. */
function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
