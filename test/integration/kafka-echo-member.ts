/**
 * The smallest exact task over a broker: every input record is appended to the same partition of the output
 * and counted in the state, an epoch per batch. Run as a program it is one process of the group, to be killed.
 */
import { pathToFileURL } from 'node:url';
import {
  type Broker,
  type Consumer,
  openKafkaBroker,
  type RecordBatch,
  type TaskLedger,
  type TopicPartition,
} from '../../src/broker/index.ts';
import { messageOf, TidemarkError } from '../../src/model/index.ts';

export interface EchoOptions {
  readonly input: string;
  readonly output: string;
  readonly partitions: number;
}

interface Task {
  ledger: TaskLedger;
  count: number;
  readonly queue: RecordBatch[];
  working: Promise<void> | undefined;
  leaving: boolean;
}

const COUNT = Buffer.from('count');

export class EchoMember {
  readonly #broker: Broker;
  readonly #options: EchoOptions;
  readonly #tasks = new Map<number, Task>();
  #consumer: Consumer | undefined;
  /** What went wrong and was to be expected: fenced, retried. */
  readonly setbacks: string[] = [];
  readonly failures: Error[] = [];

  constructor(broker: Broker, options: EchoOptions) {
    this.#broker = broker;
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#consumer = await this.#broker.consume({
      group: `tidemark.${this.#options.output}`,
      topics: [this.#options.input],
      handlers: {
        assigned: (partitions) => Promise.all(partitions.map((at) => this.#open(at))),
        revoked: async (partitions) => {
          await Promise.all(partitions.map(({ partition }) => this.#close(partition)));
        },
        batch: (batch) => {
          const task = this.#tasks.get(batch.partition);
          if (task === undefined || task.leaving) return false;
          task.queue.push(batch);
          task.working ??= this.#work(batch, task).finally(() => {
            task.working = undefined;
          });
          return task.queue.length < 2;
        },
        failed: (error) => this.failures.push(error),
      },
    });
  }

  get partitions(): readonly number[] {
    return [...this.#tasks.keys()];
  }

  stop(): Promise<void> {
    return this.#consumer?.stop() ?? Promise.resolve();
  }

  async #open({ topic, partition }: TopicPartition) {
    const { output, partitions } = this.#options;
    const ledger = await this.#broker.openLedger({
      id: `${output}-${partition}`,
      changelog: `tidemark.${output}.changelog`,
      partition,
      changelogPartitions: partitions,
      group: `tidemark.${output}`,
      inputs: [{ topic, partition }],
    });
    let count = 0;
    const { offsets } = await ledger.restore((_key, value) => {
      count = Number(value);
    });
    const task: Task = { ledger, count, queue: [], working: undefined, leaving: false };
    this.#tasks.set(partition, task);
    return { topic, partition, offset: offsets[0]?.offset ?? 0 };
  }

  async #close(partition: number): Promise<void> {
    const task = this.#tasks.get(partition);
    if (task === undefined) return;
    task.leaving = true;
    await task.working;
    await task.ledger.close();
    this.#tasks.delete(partition);
  }

  async #work(at: TopicPartition, task: Task): Promise<void> {
    for (let batch = task.queue.shift(); batch && !task.leaving; batch = task.queue.shift()) {
      try {
        await this.#commit(batch, task);
      } catch (error) {
        this.setbacks.push(error instanceof TidemarkError ? error.code : messageOf(error));
        if (!(error instanceof TidemarkError) || error.family !== 'retriable') {
          this.#tasks.delete(at.partition);
          return;
        }
        const start = await this.#open(at);
        this.#consumer?.seek(start);
        this.#consumer?.resume(at);
        return;
      }
      if (!task.leaving) this.#consumer?.resume(at);
    }
  }

  async #commit(batch: RecordBatch, task: Task): Promise<void> {
    const { topic, partition, count, bytes, keyStart, keyEnd, valueStart, valueEnd } = batch;
    const part = (start: number, end: number) =>
      start < 0 ? null : Buffer.from(bytes.subarray(start, end));
    await task.ledger.commit({
      appends: Array.from({ length: count }, (_, i) => ({
        topic: this.#options.output,
        partition,
        key: part(keyStart[i]!, keyEnd[i]!),
        value: part(valueStart[i]!, valueEnd[i]!),
      })),
      state: [{ key: COUNT, value: Buffer.from(String(task.count + count)) }],
      offsets: [{ topic, partition, offset: batch.nextOffset }],
      meta: Buffer.alloc(0),
    });
    task.count += count;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [input, output, partitions] = process.argv.slice(2);
  const broker = await openKafkaBroker({
    brokers: (process.env.KAFKA_BROKERS ?? '').split(','),
    sessionTimeoutMs: 6_000,
  });
  const member = new EchoMember(broker, {
    input: input!,
    output: output!,
    partitions: Number(partitions),
  });
  await member.start();
  setInterval(() => {
    process.send?.({ partitions: member.partitions, setbacks: member.setbacks });
  }, 50);
  process.on('SIGTERM', () => {
    void broker.close().then(() => process.exit(0));
  });
}
