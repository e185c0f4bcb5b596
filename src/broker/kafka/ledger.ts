/**
 * A task's right to commit epochs: one transactional id, one changelog partition. An epoch's derived records,
 * state changes, input offsets and meta go into one transaction; what is not in it never happened.
 */
import { FatalError, FencedError, RetriableError, type TidemarkError } from '../../model/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { EpochCommit, LedgerOptions, TaskLedger, TopicPartition } from '../contract.ts';
import { decodeEpoch, type EpochRecord, encodeEpoch, META_KEY, stateKey } from './changelog.ts';
import type { Cluster } from './cluster.ts';
import { asTidemarkError, isFenced, isTransient } from './errors.ts';
import { committedOffsets } from './groups.ts';
import { listOffsets, Offset } from './offsets.ts';
import { asBuffer, encodable, partitionFor } from './outgoing.ts';
import type { Reader } from './reader.ts';
import type { EncodableRecord } from './record-batch-encode.ts';
import { commitEnded } from './telemetry.ts';
import {
  OutcomeUnknown,
  type TransactionalProducer,
  type TransactionRecords,
} from './transaction.ts';

export interface LedgerSettings {
  readonly options: LedgerOptions;
  readonly producer: TransactionalProducer;
  readonly cluster: Cluster;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly retryForMs: number;
}

/** A commit's offsets reach the group's coordinator a moment after its marker. */
const SETTLE_MS = 5_000;
const SETTLE_STEP_MS = 50;

export class KafkaLedger implements TaskLedger {
  readonly #settings: LedgerSettings;
  #roundRobin = 0;
  /** Why nothing more can be committed. */
  #ended: TidemarkError | undefined;
  #committing = false;

  constructor(settings: LedgerSettings) {
    this.#settings = settings;
  }

  async restore(
    each: (key: Buffer, value: Buffer) => void,
    onProgress?: (done: number, total: number) => void,
  ): Promise<{
    readonly meta: Buffer | undefined;
    readonly offsets: readonly (TopicPartition & { readonly offset: number | undefined })[];
  }> {
    const { changelog, partition } = this.#settings.options;
    const { cluster, reader } = this.#settings;
    const at = { topic: changelog, partition };
    const [first, end] = await this.#retrying('reading the changelog', () =>
      Promise.all(
        [Offset.first, Offset.end].map(
          async (timestamp) => (await listOffsets(cluster, [{ ...at, timestamp }]))[0]!.offset,
        ),
      ),
    );
    const total = end! - first!;
    const state = new Map<string, Buffer>();
    let epoch: EpochRecord | undefined;
    onProgress?.(0, total);
    await reader.scan(at, first!, end!, (batch) => {
      const { bytes, keyStart, keyEnd, valueStart, valueEnd, count } = batch;
      for (let i = 0; i < count; i++) {
        const start = keyStart[i]!;
        if (start < 0) continue;
        const value = valueStart[i]!;
        if (bytes[start] === META_KEY[0]) {
          if (value >= 0) epoch = decodeEpoch(bytes.subarray(value, valueEnd[i]!));
          continue;
        }
        const key = bytes.toString('latin1', start + 1, keyEnd[i]!);
        // Copied: a few live values must not keep the whole log's answers in memory.
        if (value < 0) state.delete(key);
        else state.set(key, Buffer.from(bytes.subarray(value, valueEnd[i]!)));
      }
      onProgress?.(Math.min(batch.nextOffset, end!) - first!, total);
    });
    const offsets = await this.#settledOffsets(epoch);
    for (const [key, value] of state) each(Buffer.from(key, 'latin1'), value);
    onProgress?.(total, total);
    return { meta: epoch?.meta, offsets };
  }

  async commit(epoch: EpochCommit): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#committing)
      throw new Error(`ledger ${this.#settings.options.id}: one commit at a time`);
    const { options, producer } = this.#settings;
    const doing = `committing an epoch of ${options.id}`;
    this.#committing = true;
    try {
      const writes = await this.#retrying(doing, () => this.#writesOf(epoch));
      await producer.commit(writes, options.group, epoch.offsets);
      commitEnded('committed');
    } catch (error) {
      this.#ended = this.#failureOf(error, doing);
      throw this.#ended;
    } finally {
      this.#committing = false;
    }
  }

  async close(): Promise<void> {
    this.#ended ??= new FatalError(`ledger ${this.#settings.options.id} is closed`, {
      code: 'LEDGER_CLOSED',
    });
  }

  #failureOf(error: unknown, doing: string): TidemarkError {
    const { id } = this.#settings.options;
    const context = { id };
    if (isFenced(error)) {
      commitEnded('fenced');
      return new FencedError(`${doing}: another process has taken over the task`, {
        cause: error,
        context,
      });
    }
    if (error instanceof OutcomeUnknown) {
      commitEnded('unknown');
      return new RetriableError(
        `${doing}: no answer to the commit; open the ledger anew, which settles it, and go on from what it restores`,
        { code: 'COMMIT_OUTCOME_UNKNOWN', cause: error.cause, context },
      );
    }
    commitEnded('failed');
    const failure = asTidemarkError(error, doing, context);
    // A transaction that failed half-way is aborted whatever failed: the epoch may be tried again.
    return failure.family === 'fatal' && failure.code === 'KAFKA_REFUSED'
      ? new RetriableError(failure.message, { code: failure.code, cause: error, context })
      : failure;
  }

  /** All records of the epoch by partition; state and meta behind each other in the changelog. */
  async #writesOf(epoch: EpochCommit): Promise<TransactionRecords[]> {
    const { cluster, options } = this.#settings;
    const writes = new Map<string, TopicPartition & { records: EncodableRecord[] }>();
    const add = (topic: string, partition: number, record: EncodableRecord) => {
      const name = `${partition}:${topic}`;
      const write = writes.get(name);
      if (write) write.records.push(record);
      else writes.set(name, { topic, partition, records: [record] });
    };
    for (const record of epoch.appends) {
      const { topic } = record;
      const partitions = (await cluster.leadersOf(topic)).length;
      const key = asBuffer(record.key);
      const partition = partitionFor(record, key, partitions, topic, () => this.#roundRobin++);
      add(topic, partition, encodable(record, key));
    }
    for (const { key, value } of epoch.state) {
      add(options.changelog, options.partition, { key: stateKey(key), value });
    }
    const { group } = options;
    const value = encodeEpoch({ group, offsets: epoch.offsets, meta: epoch.meta });
    add(options.changelog, options.partition, { key: META_KEY, value });
    return [...writes.values()];
  }

  /** The group's offsets, which must be those of the last epoch: else somebody has moved the group. */
  async #settledOffsets(
    epoch: EpochRecord | undefined,
  ): Promise<(TopicPartition & { offset: number | undefined })[]> {
    const { cluster, clock, options } = this.#settings;
    const untilMs = clock.now() + SETTLE_MS;
    for (;;) {
      const committed = await this.#retrying('reading the group offsets', () =>
        options.inputs.length === 0
          ? Promise.resolve([])
          : committedOffsets(cluster, options.group, options.inputs),
      );
      const offsets = options.inputs.map(({ topic, partition }) => ({
        topic,
        partition,
        offset: committed.find((c) => c.topic === topic && c.partition === partition)?.offset,
      }));
      const moved = offsets.filter(({ topic, partition, offset }) => {
        const ours = epoch?.offsets.find((o) => o.topic === topic && o.partition === partition);
        return ours !== undefined && ours.offset !== offset;
      });
      if (moved.length === 0 || epoch?.group !== options.group) return offsets;
      if (clock.now() >= untilMs) throw cursorMoved(options, epoch, moved);
      await clock.sleep(SETTLE_STEP_MS);
    }
  }

  async #retrying<T>(doing: string, work: () => Promise<T>): Promise<T> {
    const { clock, retryForMs } = this.#settings;
    const deadlineMs = clock.now() + retryForMs;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!isTransient(error) || clock.now() >= deadlineMs) throw asTidemarkError(error, doing);
        await clock.sleep(SETTLE_STEP_MS);
      }
    }
  }
}

function cursorMoved(
  options: LedgerOptions,
  epoch: EpochRecord,
  moved: readonly (TopicPartition & { offset: number | undefined })[],
): FatalError {
  const list = moved.map(({ topic, partition, offset }) => {
    const ours = epoch.offsets.find((o) => o.topic === topic && o.partition === partition)!;
    return `${topic}/${partition} is at ${offset ?? 'none'}, the state at ${ours.offset}`;
  });
  return new FatalError(
    `consumer group ${options.group} was moved by somebody else: ${list.join('; ')}. Set the group's offsets back, or delete topic ${options.changelog} and the group to begin anew, or replay under another name`,
    { code: 'CURSOR_MOVED', context: { group: options.group, changelog: options.changelog } },
  );
}
