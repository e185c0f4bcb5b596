/**
 * The embedded broker: the whole contract in one process on one directory, nothing else to install. Its log is an
 * LMDB environment that only this process writes; every promise that says "durable" means fsynced.
 */
import { realpath } from 'node:fs/promises';
import { FatalError, messageOf, RetriableError } from '../../model/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type {
  AppendedRecord,
  Broker,
  ConsumeOptions,
  Consumer,
  LedgerOptions,
  ProducerRecord,
  ReadRequest,
  RecordBatch,
  TaskLedger,
  TopicDescription,
  TopicPartition,
  TopicSpec,
} from '../contract.ts';
import { Appender, bytesOf, checkOffset } from './appender.ts';
import { compact } from './compaction.ts';
import { EmbeddedConsumer } from './consumer.ts';
import { Group } from './group.ts';
import { committedOffsets, openLedger } from './ledger.ts';
import { checkNamespace, deleteNamespace, emptyTrash } from './namespace.ts';
import { claimDirectory, type Ownership } from './owner.ts';
import { offsetAt, readFrom } from './reader.ts';
import { expire } from './retention.ts';
import { Storage } from './storage.ts';
import { Tail } from './tail.ts';
import { bytesUsed } from './telemetry.ts';
import { checkName, completeSpec, emptyHead, type Partition, Topics } from './topics.ts';
import { Writer } from './writer.ts';

export interface EmbeddedBrokerOptions {
  /** Data directory, on a local disk; made when missing. One process at a time. */
  readonly directory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Partitions of topics that do not say. Default 1. */
  readonly defaultPartitions?: number;
  /** How long topics that do not say keep their records, ms. Default -1: for ever. */
  readonly defaultRetentionMs?: number;
  /** Bytes of log and state on disk; at the limit appends and commits get RetriableError LOG_FULL. Default: no limit but the disk. */
  readonly storageBytesMax?: number;
  /** Bytes of appends waiting to be written; at the limit more get RetriableError LOG_BUSY. Default 64 MiB. */
  readonly queueBytesMax?: number;
  /** Larger records get PoisonError RECORD_TOO_LARGE. Default 16 MiB. */
  readonly recordBytesMax?: number;
  /** How often retention and compaction look. Default 60 000. */
  readonly maintenanceIntervalMs?: number;
  /** Compaction starts when this much was appended since, and that is half of the partition. Default 1 MiB. */
  readonly compactionDirtyBytesMin?: number;
  /** Memory for keys in compaction; when they need more, a pass ends earlier and the next goes on. Default 64 MiB. */
  readonly compactionKeyBytesMax?: number;
  /** Tombstones of compacted topics stay this long, so that every reader meets them. Default 24 h. */
  readonly tombstoneMs?: number;
}

export interface EmbeddedBroker extends Broker {
  readonly kind: 'embedded';
  /** Writes the HTTP port into `engine.json`, where `readOwner` finds it. */
  announcePort(port: number): void;
  /** Runs retention and compaction now, after a sweep under way; never rejects (failures are logged). */
  maintain(): Promise<void>;
}

const READ_BYTES_MAX = 1024 ** 2;
/** 2: changes of state may wait packed (redo.ts). What 1 wrote is read as it is. */
const FORMAT = 2;
const FORMATS_READ = ['1', '2'];
const FORMAT_KEY = Buffer.from('format');
const CHECK_KEY = Buffer.from('check');

/**
 * Opens or makes the log of a directory. Rejects with FatalError DIRECTORY_IN_USE (names pid, port and cure),
 * DIRECTORY_UNUSABLE or LOG_FORMAT_UNKNOWN.
 */
export async function openEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const storage = await Storage.open(options.directory);
  let ownership: Ownership | undefined;
  try {
    const directory = await realpath(options.directory);
    ownership = claimDirectory(directory, storage, options.clock.now());
    const broker = new LogBroker(options, storage, ownership);
    await broker.start();
    return broker;
  } catch (error) {
    ownership?.release();
    await storage.close();
    throw error;
  }
}

class LogBroker implements EmbeddedBroker {
  readonly kind = 'embedded';
  readonly #options: EmbeddedBrokerOptions;
  readonly #storage: Storage;
  readonly #ownership: Ownership;
  readonly #topics = new Topics();
  readonly #tail = new Tail();
  readonly #writer: Writer;
  readonly #appender: Appender;
  readonly #groups = new Map<string, Group>();
  readonly #consumers = new Set<EmbeddedConsumer>();
  readonly #closing = new AbortController();
  #stopMaintenance = () => {};
  #maintained: Promise<void> = Promise.resolve();
  #sweeping = false;
  #closed: Promise<void> | undefined;

  constructor(options: EmbeddedBrokerOptions, storage: Storage, ownership: Ownership) {
    const { clock, logger } = options;
    this.#options = options;
    this.#storage = storage;
    this.#ownership = ownership;
    this.#writer = new Writer({
      storage,
      tail: this.#tail,
      logger,
      queueBytesMax: options.queueBytesMax ?? 64 * 1024 ** 2,
      storageBytesMax: options.storageBytesMax ?? Number.POSITIVE_INFINITY,
    });
    this.#appender = new Appender(this.#topics, clock, options.recordBytesMax ?? 16 * 1024 ** 2);
  }

  async start(): Promise<void> {
    const { meta } = this.#storage.tables;
    const format = meta.get(FORMAT_KEY)?.toString();
    if (format !== undefined && !FORMATS_READ.includes(format))
      throw new FatalError(
        `The log in ${this.#storage.path} has format ${format}, this version reads ${FORMATS_READ.join(' and ')}: use the version that wrote it, or an empty directory.`,
        { code: 'LOG_FORMAT_UNKNOWN', context: { path: this.#storage.path, format } },
      );
    if (format !== String(FORMAT))
      await this.#writer.run({
        bytes: 0,
        stage: (stage) => stage.put(meta, FORMAT_KEY, Buffer.from(String(FORMAT))),
      });
    this.#topics.load(this.#storage);
    await emptyTrash(this.#storage, this.#writer);
    await this.maintain();
    this.#stopMaintenance = this.#options.clock.every(
      this.#options.maintenanceIntervalMs ?? 60_000,
      () => {
        // A sweep that takes longer than the interval is not joined by a second one.
        if (!this.#sweeping) void this.maintain();
      },
    );
  }

  announcePort(port: number): void {
    this.#assertOpen();
    this.#ownership.announcePort(port);
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#assertOpen();
    const { defaultPartitions = 1, defaultRetentionMs = -1 } = this.#options;
    const defaults = { partitions: defaultPartitions, retentionMs: defaultRetentionMs };
    for (const spec of specs) completeSpec(spec, 0, defaults);
    const { topics } = this.#storage.tables;
    await this.#writer.run({
      bytes: 0,
      stage: (stage) => {
        for (const spec of specs) {
          const key = Buffer.from(spec.name);
          if (stage.getShared(topics, key)) continue;
          const stored = completeSpec(spec, stage.nextNumber('topic'), defaults);
          stage.putShared(topics, key, Buffer.from(JSON.stringify(stored)));
          stage.afterwards(() => this.#topics.add(spec.name, stored, () => emptyHead));
        }
      },
    });
  }

  async describeTopics(topics?: readonly string[]): Promise<readonly TopicDescription[]> {
    this.#assertOpen();
    return this.#topics.describe(topics);
  }

  async append(
    topic: string,
    records: readonly ProducerRecord[],
  ): Promise<readonly AppendedRecord[]> {
    this.#assertOpen();
    this.#topics.get(topic);
    if (records.length === 0) return [];
    return this.#writer.run({
      bytes: bytesOf(records),
      refusable: true,
      stage: (stage) => this.#appender.prepare(records, () => topic)(stage),
    });
  }

  async read(request: ReadRequest): Promise<RecordBatch | null> {
    this.#assertOpen();
    const { from, maxBytes = READ_BYTES_MAX, maxWaitMs = 0, signal } = request;
    signal?.throwIfAborted();
    checkOffset(from, { topic: request.topic, partition: request.partition });
    const partition = this.#topics.partition(request.topic, request.partition);
    const first = readFrom(this.#storage.tables, partition, from, maxBytes).batch;
    if (first || maxWaitMs <= 0) return first;
    return this.#readWhenThere(partition, from, maxBytes, maxWaitMs, signal);
  }

  async #readWhenThere(
    partition: Partition,
    from: number,
    maxBytes: number,
    maxWaitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<RecordBatch | null> {
    const settled = new AbortController();
    const stop = AbortSignal.any([
      settled.signal,
      this.#closing.signal,
      ...(signal ? [signal] : []),
    ]);
    let unwatch = () => {};
    try {
      const found = new Promise<RecordBatch>((resolve, reject) => {
        unwatch = partition.watch(() => {
          try {
            // Throws UNKNOWN_TOPIC when this was the topic's deletion.
            this.#topics.partition(partition.topic, partition.partition);
            const { batch } = readFrom(this.#storage.tables, partition, from, maxBytes);
            if (batch) resolve(batch);
          } catch (error) {
            reject(error);
          }
        });
      });
      return await Promise.race([
        found,
        this.#options.clock.sleep(maxWaitMs, stop).then(() => null),
      ]);
    } finally {
      unwatch();
      settled.abort(new Error('answered'));
    }
  }

  async offsetAt(place: TopicPartition, timestampMs: number): Promise<number> {
    this.#assertOpen();
    const partition = this.#topics.partition(place.topic, place.partition);
    return offsetAt(this.#storage.tables, partition, timestampMs);
  }

  async consume(options: ConsumeOptions): Promise<Consumer> {
    this.#assertOpen();
    checkName(options.group, 'group name');
    for (const topic of options.topics) this.#topics.get(topic);
    const group = this.#groups.get(options.group) ?? new Group(this.#topics);
    this.#groups.set(options.group, group);
    const consumer = new EmbeddedConsumer(options, {
      tables: this.#storage.tables,
      tail: this.#tail,
      clock: this.#options.clock,
      logger: this.#options.logger,
      group,
      stopped: () => {
        this.#consumers.delete(consumer);
        if (group.empty && this.#groups.get(options.group) === group)
          this.#groups.delete(options.group);
      },
    });
    this.#consumers.add(consumer);
    group.join(consumer);
    return consumer;
  }

  async openLedger(options: LedgerOptions): Promise<TaskLedger> {
    this.#assertOpen();
    return openLedger(
      {
        tables: this.#storage.tables,
        writer: this.#writer,
        topics: this.#topics,
        appender: this.#appender,
      },
      options,
    );
  }

  async committedOffsets(
    group: string,
  ): Promise<readonly (TopicPartition & { readonly offset: number })[]> {
    this.#assertOpen();
    return committedOffsets(this.#storage.tables.groups, group);
  }

  async deleteNamespace(prefix: string): Promise<void> {
    this.#assertOpen();
    checkNamespace(prefix);
    await deleteNamespace(this.#storage, this.#writer, this.#topics, prefix);
  }

  /** One look at the log; after a failed write also one small write, so that a mended disk is noticed. */
  async check(): Promise<void> {
    this.#assertOpen();
    const { meta } = this.#storage.tables;
    meta.get(FORMAT_KEY);
    if (!this.#writer.failure) return;
    await this.#writer.run({
      bytes: 0,
      stage: (stage) => stage.put(meta, CHECK_KEY, Buffer.from('written')),
    });
  }

  maintain(): Promise<void> {
    this.#maintained = this.#maintained.then(() => this.#sweep());
    return this.#maintained;
  }

  async #sweep(): Promise<void> {
    this.#sweeping = true;
    for (const { partitions } of this.#topics.all())
      for (const partition of partitions)
        if (!this.#closing.signal.aborted) await this.#tidy(partition);
    if (!this.#closing.signal.aborted) bytesUsed(this.#storage.usedBytes());
    this.#sweeping = false;
  }

  async #tidy(partition: Partition): Promise<void> {
    const { clock, logger } = this.#options;
    const { tables } = this.#storage;
    const writer = this.#writer;
    try {
      await expire(tables, writer, partition, clock.now());
      await compact(partition, {
        tables,
        writer,
        nowMs: clock.now(),
        dirtyBytesMin: this.#options.compactionDirtyBytesMin ?? 1024 ** 2,
        keyBytesMax: this.#options.compactionKeyBytesMax ?? 64 * 1024 ** 2,
        tombstoneMs: this.#options.tombstoneMs ?? 86_400_000,
        stopped: () => this.#closing.signal.aborted,
      });
    } catch (error) {
      logger.error(
        { topic: partition.topic, partition: partition.partition, error },
        `retention or compaction failed, the next sweep tries again: ${messageOf(error)}`,
      );
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stopMaintenance();
    this.#closing.abort(closedError());
    await Promise.all([...this.#consumers].map((consumer) => consumer.stop()));
    await this.#maintained;
    await this.#writer.close();
    try {
      this.#ownership.release();
    } finally {
      await this.#storage.close();
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }
}

const closedError = () =>
  new RetriableError('The log is closed: open it again.', { code: 'LOG_CLOSED' });
