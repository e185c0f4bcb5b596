/**
 * The agent on its way to a real Kafka that is away for a while, itself killed meanwhile: what it has read of this
 * host arrives later, in order, byte for byte.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { openEmbeddedBroker, openKafkaBroker } from '../../src/broker/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { metricOf } from '../../topologies/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { recordsOf } from '../support/engine-contents.ts';
import { KafkaProxy } from '../support/kafka-proxy.ts';
import { needs } from '../support/require.ts';
import { newRun } from '../support/run-names.ts';

const HOST = 'agent-of-test';

/** One life of the agent, by what it says of itself. */
class AgentLife {
  /** Readings taken in this life, and how many of all wait. */
  taken = 0;
  waiting = 0;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(words: readonly string[], environment: Readonly<Record<string, string>>) {
    const script = fileURLToPath(new URL('agent-kafka.child.ts', import.meta.url));
    this.#child = spawn(process.execPath, [script, ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH, ...environment },
    });
    this.#closed = once(this.#child, 'close');
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => {
      [this.taken = 0, this.waiting = 0] = line.split(' ').map(Number);
    });
    onTestFinished(() => this.end('SIGKILL'));
  }

  async until(reached: (life: this) => boolean | Promise<boolean>): Promise<void> {
    while (!(await reached(this))) {
      if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.#child.exitCode}`);
      await systemClock.sleep(20);
    }
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#child.kill(signal);
    await this.#closed;
  }
}

test.skipIf(!needs(['KAFKA_BROKERS']))(
  'readings taken while Kafka was away and the agent was killed are there later, in order, none lost',
  async () => {
    const brokers = process.env.KAFKA_BROKERS as string;
    const data = await temporaryDirectory();
    const namespace = `tidemark.${newRun()}`;
    const topic = `${namespace}.system.metrics`;
    const kafka = await openKafkaBroker({
      brokers: brokers.split(','),
      clock: systemClock,
      logger: silentLogger,
    });
    onTestFinished(async () => {
      await kafka.deleteNamespace(namespace);
      await kafka.close();
    });
    const proxy = new KafkaProxy(brokers.split(',')[0] as string);
    const environment = {
      KAFKA_BROKERS: await proxy.start(),
      TIDEMARK_AGENT_HOST: HOST,
      TIDEMARK_AGENT_INTERVAL_MS: '100',
    };
    onTestFinished(() => proxy.stop());
    const live = () => new AgentLife([data, topic], environment);

    const first = live();
    await first.until(({ taken, waiting }) => taken >= 15 && waiting === 0);
    expect(proxy.rewritten).toBeGreaterThan(0);
    // Away: what is read now waits on disk, and the process that read it is killed, twice.
    proxy.cut();
    let before = first.taken;
    await first.until(({ taken, waiting }) => taken >= before + 15 && waiting >= 15);
    await first.end('SIGKILL');
    const stored = (await recordsOf(kafka, [topic])).length;
    const second = live();
    await second.until(({ taken, waiting }) => taken >= 15 && waiting >= 30 && proxy.refused > 0);
    await second.end('SIGKILL');
    // Nothing gets past the proxy.
    expect((await recordsOf(kafka, [topic])).length).toBe(stored);

    // Back, and cut off once more in the middle of it.
    const third = live();
    await third.until(() => proxy.refused > 1);
    proxy.mend();
    await third.until(async () => (await recordsOf(kafka, [topic])).length > stored);
    proxy.cut();
    before = third.taken;
    await third.until(({ taken }) => taken >= before + 5);
    proxy.mend();
    await third.until(({ waiting }) => waiting > 0);
    await third.until(({ waiting }) => waiting === 0);
    before = third.taken;
    await third.end('SIGTERM');

    const taken = await takenBy(data);
    const arrived = await recordsOf(kafka, [topic]);
    // Sent again where an answer was lost; the topology drops those. The first of each, in the order of the topic:
    const values = [...new Set(arrived.map(({ value }) => value))];
    expect(values).toEqual(taken.slice(0, values.length));
    // What it read after it had said that nothing waits may have to wait for the next start.
    expect(values.length).toBeGreaterThanOrEqual(taken.length - (third.taken - before));
    expect(values.length).toBeGreaterThan(stored + 30);
    expect(new Set(arrived.map(({ key }) => key))).toEqual(new Set([HOST]));

    // Each reading's times go on, however late it arrived.
    const metrics = values.map((value) => metricOf(JSON.parse(value)));
    for (const readings of Map.groupBy(metrics, ({ reading }) => reading).values()) {
      const times = readings.map(({ timestamp }) => timestamp);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(new Set(times).size).toBe(times.length);
    }
  },
);

/** All that was ever durable in the agent's outbox, sent or not: the log keeps what it has handed over. */
async function takenBy(data: string): Promise<readonly string[]> {
  const directory = join(data, 'agent');
  const log = await openEmbeddedBroker({ directory, clock: systemClock, logger: silentLogger });
  try {
    return (await recordsOf(log, ['outbox'])).map(({ value }) => value);
  } finally {
    await log.close();
  }
}
