/**
 * Which sinks are paused, for every process of an installation and after any restart: a compacted topic in the log
 * itself, so that nothing else needs to be shared. What a paused sink would have stored waits behind its cursor.
 */
import type { Broker } from '../broker/index.ts';
import { messageOf } from '../model/index.ts';
import type { Clock, Logger } from '../runtime/index.ts';
import type { RunningFeed } from './running-feed.ts';

const TOPIC = 'tidemark.sinks';
const LOOK_INTERVAL_MS = 1_000;

export interface SinkControlParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly feeds: () => readonly RunningFeed[];
}

export class SinkControl {
  readonly #parts: SinkControlParts;
  readonly #paused = new Set<string>();
  #next = 0;
  #stop = () => {};
  #looking: Promise<void> = Promise.resolve();

  constructor(parts: SinkControlParts) {
    this.#parts = parts;
  }

  /** Reads what was decided before; call it before the feeds start. */
  async start(): Promise<void> {
    const { broker, clock, logger } = this.#parts;
    await broker.createTopics([{ name: TOPIC, partitions: 1, cleanup: 'compact' }]);
    await this.#look();
    this.#stop = clock.every(LOOK_INTERVAL_MS, () => {
      this.#look().catch((error: unknown) =>
        logger.warn({ error: messageOf(error) }, 'which sinks are paused could not be read'),
      );
    });
  }

  async stop(): Promise<void> {
    this.#stop();
    await this.#looking.catch(() => {});
  }

  isPaused(sink: string): boolean {
    return this.#paused.has(sink);
  }

  /** Durable when it resolves, and done in this process; others follow within a second or two. */
  async set(sinks: readonly { readonly sink: string; readonly paused: boolean }[]): Promise<void> {
    const records = sinks.map(({ sink, paused }) => ({
      key: sink,
      value: JSON.stringify({ paused }),
    }));
    if (records.length > 0) await this.#parts.broker.append(TOPIC, records);
    await this.#look();
  }

  #look(): Promise<void> {
    this.#looking = this.#looking.catch(() => {}).then(() => this.#readOn());
    return this.#looking;
  }

  async #readOn(): Promise<void> {
    for (;;) {
      const batch = await this.#parts.broker.read({ topic: TOPIC, partition: 0, from: this.#next });
      if (batch === null) break;
      for (let i = 0; i < batch.count; i++) {
        const text = (start = -1, end = -1) =>
          start < 0 ? '' : batch.bytes.toString('utf8', start, end);
        const sink = text(batch.keyStart[i], batch.keyEnd[i]);
        if (isPausing(text(batch.valueStart[i], batch.valueEnd[i]))) this.#paused.add(sink);
        else this.#paused.delete(sink);
      }
      this.#next = batch.nextOffset;
    }
    await Promise.all(
      this.#parts.feeds().map((feed) => feed.setPaused(this.#paused.has(feed.bound.feed.name))),
    );
  }
}

function isPausing(text: string): boolean {
  try {
    return (JSON.parse(text) as { paused?: unknown } | null)?.paused === true;
  } catch {
    return false;
  }
}
