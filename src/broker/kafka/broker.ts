/** The broker contract on a Kafka cluster: puts the parts of this folder together. */
import { FatalError } from '../../model/index.ts';
import { type Clock, type Logger, silentLogger, systemClock } from '../../runtime/index.ts';
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
import { Appender } from './appender.ts';
import { Cluster } from './cluster.ts';
import { KafkaConsumer } from './consumer.ts';
import { asTidemarkError, isTransient, unknownTopic } from './errors.ts';
import type { FetchLimits } from './fetcher.ts';
import { committedOffsets } from './groups.ts';
import { KafkaLedger } from './ledger.ts';
import { listOffsets, Offset } from './offsets.ts';
import type { KafkaOptions } from './options.ts';
import { Reader } from './reader.ts';
import { createTopics, deleteNamespace, describeTopics } from './topics.ts';
import { TransactionalProducer } from './transaction.ts';

const DEFAULTS = {
  sessionTimeoutMs: 10_000,
  stallTimeoutMs: 30_000,
  requestTimeoutMs: 30_000,
  retryForMs: 30_000,
} as const;

const MIB = 1024 * 1024;
const FETCH_DEFAULTS: FetchLimits = {
  fetchBytesMax: 4 * MIB,
  partitionBytesMax: MIB,
  bufferBytesMax: 8 * MIB,
  waitMs: 250,
};
const STEP_MS = 50;

/** Connects at once; rejects when no broker is reached or it is older than Kafka 2.3. */
export async function openKafkaBroker(options: KafkaOptions): Promise<Broker> {
  const broker = new KafkaBroker(options);
  try {
    await broker.check();
  } catch (error) {
    await broker.close();
    throw error;
  }
  return broker;
}

class KafkaBroker implements Broker {
  readonly kind = 'kafka';
  readonly #options: KafkaOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #cluster: Cluster;
  readonly #appender: Appender;
  readonly #reader: Reader;
  readonly #consumers = new Set<KafkaConsumer>();
  readonly #retryForMs: number;
  #closed: Promise<void> | undefined;

  constructor(options: KafkaOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = (options.logger ?? silentLogger).child({ room: 'broker', broker: 'kafka' });
    this.#retryForMs = options.retryForMs ?? DEFAULTS.retryForMs;
    this.#cluster = this.#makeCluster();
    this.#appender = new Appender({ cluster: this.#cluster, ...this.#producing() });
    this.#reader = new Reader({
      makeCluster: () => this.#makeCluster(),
      clock: this.#clock,
      retryForMs: this.#retryForMs,
    });
  }

  createTopics(topics: readonly TopicSpec[]): Promise<void> {
    return this.#retrying('making topics', () =>
      createTopics(this.#cluster, this.#clock, topics, this.#options.replicationFactor),
    );
  }

  describeTopics(topics?: readonly string[]): Promise<readonly TopicDescription[]> {
    return this.#retrying('describing topics', () => describeTopics(this.#cluster, topics));
  }

  append(topic: string, records: readonly ProducerRecord[]): Promise<readonly AppendedRecord[]> {
    return this.#appender.append(topic, records);
  }

  read(request: ReadRequest): Promise<RecordBatch | null> {
    return this.#reader.read(request);
  }

  offsetAt({ topic, partition }: TopicPartition, timestampMs: number): Promise<number> {
    return this.#retrying(`looking up an offset of ${topic}/${partition}`, async () => {
      const at = { topic, partition };
      const timestamp = Math.max(0, Math.ceil(timestampMs));
      const [found] = await listOffsets(this.#cluster, [{ ...at, timestamp }]);
      if (found!.offset >= 0) return found!.offset;
      const [end] = await listOffsets(this.#cluster, [{ ...at, timestamp: Offset.end }]);
      return end!.offset;
    });
  }

  async consume(options: ConsumeOptions): Promise<Consumer> {
    const existing = new Set(
      await this.#retrying('consuming', () => this.#cluster.refresh(options.topics)),
    );
    for (const topic of options.topics) if (!existing.has(topic)) throw unknownTopic(topic);
    const { sessionTimeoutMs = DEFAULTS.sessionTimeoutMs } = this.#options;
    const consumer: KafkaConsumer = new KafkaConsumer({
      options,
      // A heartbeat that hangs must fail in time for another one within the session.
      groupCluster: this.#makeCluster(sessionTimeoutMs / 3),
      fetchCluster: this.#makeCluster(),
      limits: { ...FETCH_DEFAULTS, ...this.#options.fetch },
      sessionTimeoutMs,
      stallTimeoutMs: this.#options.stallTimeoutMs ?? DEFAULTS.stallTimeoutMs,
      clock: this.#clock,
      logger: this.#logger,
      onStopped: () => this.#consumers.delete(consumer),
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  async openLedger(options: LedgerOptions): Promise<TaskLedger> {
    await this.createTopics([
      {
        name: options.changelog,
        partitions: options.changelogPartitions,
        cleanup: 'compact',
      },
    ]);
    const producer = new TransactionalProducer(
      { cluster: this.#cluster, ...this.#producing() },
      options.id,
    );
    await this.#retrying(`opening the ledger of ${options.id}`, () => producer.init());
    return new KafkaLedger({
      options,
      producer,
      cluster: this.#cluster,
      reader: this.#reader,
      clock: this.#clock,
      logger: this.#logger,
      retryForMs: this.#retryForMs,
    });
  }

  committedOffsets(
    group: string,
  ): Promise<readonly (TopicPartition & { readonly offset: number })[]> {
    return this.#retrying(`reading the offsets of group ${group}`, () =>
      committedOffsets(this.#cluster, group),
    );
  }

  deleteNamespace(prefix: string): Promise<void> {
    return this.#retrying(`deleting ${prefix}*`, () =>
      deleteNamespace(this.#cluster, this.#clock, prefix),
    );
  }

  async check(): Promise<void> {
    try {
      await this.#cluster.refresh([]);
    } catch (error) {
      throw asTidemarkError(error, `reaching Kafka at ${this.#options.brokers.join(', ')}`);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.stop()));
    this.#appender.close();
    await this.#reader.close();
    await this.#cluster.close();
  }

  #producing() {
    return {
      compression: this.#options.compression ?? 'lz4',
      clock: this.#clock,
      retryForMs: this.#retryForMs,
      requestTimeoutMs: this.#options.requestTimeoutMs ?? DEFAULTS.requestTimeoutMs,
    } as const;
  }

  #makeCluster(requestTimeoutMsMax = Number.POSITIVE_INFINITY): Cluster {
    const { brokers, clientId = 'tidemark', tls, sasl } = this.#options;
    const { requestTimeoutMs = DEFAULTS.requestTimeoutMs } = this.#options;
    return new Cluster({
      brokers,
      clientId,
      tls: tls === true ? {} : tls || null,
      sasl: sasl ?? null,
      requestTimeoutMs: Math.min(requestTimeoutMs, requestTimeoutMsMax),
      clock: this.#clock,
    });
  }

  async #retrying<T>(doing: string, work: () => Promise<T>): Promise<T> {
    const deadlineMs = this.#clock.now() + this.#retryForMs;
    for (;;) {
      if (this.#closed !== undefined) {
        throw new FatalError('the broker is closed', { code: 'BROKER_CLOSED' });
      }
      try {
        return await work();
      } catch (error) {
        if (!isTransient(error) || this.#clock.now() >= deadlineMs) {
          throw asTidemarkError(error, doing);
        }
        await this.#clock.sleep(STEP_MS);
      }
    }
  }
}
