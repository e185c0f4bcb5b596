/**
 * A transactional producer for one id, as plain requests: begin is the first partition added, nothing is sent
 * for an empty transaction, and the end is asked for until the coordinator says that it is complete.
 */
import { RetriableError } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import type { TopicPartition } from '../contract.ts';
import type { Cluster } from './cluster.ts';
import type { Compression } from './compression.ts';
import { code, isStaleLeader, isTransient, typeOf } from './errors.ts';
import { errorFromCode } from './library.ts';
import { cut } from './outgoing.ts';
import {
  type EncodedBatch,
  type ProduceResult,
  produceExchange,
  sequenceAfter,
} from './produce.ts';
import { type EncodableRecord, encodeBatch } from './record-batch-encode.ts';
import { recordsProduced } from './telemetry.ts';

export interface TransactionSettings {
  readonly cluster: Cluster;
  readonly compression: Compression;
  readonly clock: Clock;
  readonly retryForMs: number;
  readonly requestTimeoutMs: number;
}

export interface TransactionRecords extends TopicPartition {
  readonly records: readonly EncodableRecord[];
}

/** The coordinator aborts what is open this long, so that a crash doesn't hold up readers for ever. */
const TRANSACTION_TIMEOUT_MS = 60_000;
/** The coordinator is busy ending the last one: it takes a few milliseconds. */
const BUSY_MS = 2;
const BACKOFF_MIN_MS = 20;
const BACKOFF_MAX_MS = 500;

const keyOf = ({ topic, partition }: TopicPartition): string => `${partition}:${topic}`;

/** The end of a transaction was asked for and no answer came: it may have been committed. */
export class OutcomeUnknown extends Error {}

export class TransactionalProducer {
  readonly #settings: TransactionSettings;
  readonly #id: string;
  #producerId = -1n;
  #producerEpoch = -1;
  readonly #sequences = new Map<string, number>();

  constructor(settings: TransactionSettings, id: string) {
    this.#settings = settings;
    this.#id = id;
  }

  /** Fences whoever had the id before, settles what they left open, and waits until that is done. */
  async init(): Promise<void> {
    const answer = (await this.#coordinator('InitProducerId', {
      transactionTimeout: TRANSACTION_TIMEOUT_MS,
    })) as { producerId: string | number; producerEpoch: number };
    this.#producerId = BigInt(answer.producerId);
    this.#producerEpoch = answer.producerEpoch;
    this.#sequences.clear();
  }

  /**
   * Writes everything and commits it with the offsets; visible to all when it resolves. Rejects with kafkajs'
   * error when it did not happen, with OutcomeUnknown when that can't be told.
   */
  async commit(
    writes: readonly TransactionRecords[],
    group: string,
    offsets: readonly (TopicPartition & { readonly offset: number })[],
  ): Promise<void> {
    const { producerId, producerEpoch } = this.#ids();
    let begun = false;
    try {
      // Asked together: a broker answers a connection's requests in turn.
      const joining: Promise<unknown>[] = [];
      if (writes.length > 0) {
        begun = true;
        joining.push(
          this.#coordinator('AddPartitionsToTxn', {
            producerId,
            producerEpoch,
            topics: byTopic(writes, ({ partition }) => partition),
          }),
        );
      }
      if (offsets.length > 0) {
        begun = true;
        joining.push(
          this.#coordinator('AddOffsetsToTxn', { producerId, producerEpoch, groupId: group }),
        );
      }
      if (!begun) return;
      await all(joining);
      await all([this.#write(writes), this.#commitOffsets(group, offsets)]);
    } catch (error) {
      // Not to hold up readers until the next owner of the id, or the timeout, ends it. Nobody is there to be
      // asked when the cluster is away.
      if (begun && !isTransient(error)) await this.#end(false).catch(() => {});
      throw error;
    }
    try {
      await this.#end(true);
    } catch (error) {
      if (isTransient(error) || typeOf(error) === 'CONCURRENT_TRANSACTIONS') {
        throw new OutcomeUnknown('no answer to the commit', { cause: error });
      }
      throw error;
    }
  }

  /**
   * EndTxn may be repeated: the same end of a transaction that is ending or has ended is no error. The first
   * answer says it is decided; asked again, the coordinator answers CONCURRENT_TRANSACTIONS until the markers
   * are in all partitions, so that afterwards everybody sees it.
   */
  async #end(commit: boolean): Promise<void> {
    const options = { ...this.#ids(), transactionResult: commit };
    await this.#coordinator('EndTxn', options);
    await this.#coordinator('EndTxn', options);
  }

  async #commitOffsets(
    group: string,
    offsets: readonly (TopicPartition & { readonly offset: number })[],
  ): Promise<void> {
    if (offsets.length === 0) return;
    const { cluster } = this.#settings;
    await this.#retrying(() =>
      cluster.requestCoordinator('group', group, 'TxnOffsetCommit', {
        transactionalId: this.#id,
        groupId: group,
        ...this.#ids(),
        topics: byTopic(offsets, ({ partition, offset }) => ({
          partition,
          offset: String(offset),
          metadata: null,
        })),
      }),
    );
  }

  /** Each partition's batches in order, one per request; all partitions of a broker in one request. */
  async #write(writes: readonly TransactionRecords[]): Promise<void> {
    const rounds: TransactionRecords[][] = [];
    for (const write of writes) {
      cut(write.records).forEach(({ from, to }, round) => {
        rounds[round] ??= [];
        rounds[round]!.push({ ...write, records: write.records.slice(from, to) });
      });
    }
    for (const round of rounds) await this.#writeRound(round);
  }

  async #writeRound(round: readonly TransactionRecords[]): Promise<void> {
    const { cluster, compression, clock, requestTimeoutMs } = this.#settings;
    let left = await Promise.all(
      round.map(async ({ topic, partition, records }) => ({
        topic,
        partition,
        count: records.length,
        bytes: await encodeBatch(
          records,
          {
            producerId: this.#producerId,
            producerEpoch: this.#producerEpoch,
            baseSequence: this.#sequences.get(keyOf({ topic, partition })) ?? 0,
            transactional: true,
          },
          compression,
          clock.now(),
        ),
      })),
    );
    await this.#retrying(async () => {
      const byNode = new Map<number, EncodedBatch[]>();
      for (const batch of left) {
        const leader = (await cluster.leadersOf(batch.topic))[batch.partition] ?? -1;
        if (leader < 0) {
          cluster.forgetLeaders(batch.topic);
          throw errorFromCode(5);
        }
        byNode.set(leader, [...(byNode.get(leader) ?? []), batch]);
      }
      let failure: unknown;
      await Promise.all(
        [...byNode].map(async ([node, batches]) => {
          try {
            const results = (await cluster.send(
              node,
              produceExchange(batches, this.#id, requestTimeoutMs),
            )) as ProduceResult[];
            for (const result of results) {
              if (
                result.errorCode === code.none ||
                result.errorCode === code.duplicateSequenceNumber
              ) {
                const done = left.find((b) => keyOf(b) === keyOf(result));
                if (done === undefined) continue;
                left = left.filter((batch) => batch !== done);
                const key = keyOf(done);
                this.#sequences.set(key, sequenceAfter(this.#sequences.get(key) ?? 0, done.count));
                recordsProduced(done.topic, done.count, done.bytes.length);
              } else {
                const error = errorFromCode(result.errorCode);
                if (isStaleLeader(error)) cluster.forgetLeaders(result.topic);
                failure ??= error;
              }
            }
          } catch (error) {
            for (const { topic } of batches) cluster.forgetLeaders(topic);
            failure ??= error;
          }
        }),
      );
      if (failure !== undefined) throw failure;
    });
  }

  #ids(): { producerId: string; producerEpoch: number } {
    if (this.#producerEpoch < 0) throw new Error('init() comes first');
    return { producerId: String(this.#producerId), producerEpoch: this.#producerEpoch };
  }

  #coordinator(name: string, options: object): Promise<unknown> {
    return this.#retrying(() =>
      this.#settings.cluster.requestCoordinator('transaction', this.#id, name, {
        transactionalId: this.#id,
        ...options,
      }),
    );
  }

  async #retrying<T>(work: () => Promise<T>): Promise<T> {
    const { clock, retryForMs } = this.#settings;
    const deadlineMs = clock.now() + retryForMs;
    for (let backoffMs = BACKOFF_MIN_MS; ; ) {
      try {
        return await work();
      } catch (error) {
        const busy = typeOf(error) === 'CONCURRENT_TRANSACTIONS';
        if (!(busy || isTransient(error))) throw error;
        if (clock.now() >= deadlineMs) {
          if (!busy) throw error;
          throw new RetriableError(
            `transactional id ${this.#id}: another transaction does not come to its end`,
            { code: 'TRANSACTION_BUSY', cause: error },
          );
        }
        await clock.sleep(busy ? BUSY_MS : backoffMs);
        if (!busy) backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
      }
    }
  }
}

/** Waits for all, then rejects with the first failure: nothing goes on behind the caller's back. */
async function all(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) {
    if (result.status === 'rejected') throw result.reason;
  }
}

function byTopic<T extends TopicPartition, R>(
  list: readonly T[],
  each: (item: T) => R,
): { topic: string; partitions: R[] }[] {
  const topics = new Map<string, R[]>();
  for (const item of list) {
    const partitions = topics.get(item.topic) ?? [];
    partitions.push(each(item));
    topics.set(item.topic, partitions);
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}
