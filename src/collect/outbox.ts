/**
 * What a host has read and not yet handed over: a topic of an embedded log of its own, and a cursor in it. Readings
 * wait there through any outage and restart, and leave in order with their own times. A batch whose answer was lost
 * is sent again; the topology takes a reading that comes twice once.
 *
 *   append ─► log on disk ─► oldest batch ─► send ─► cursor moves
 *                 └─ beyond its bytes or age the oldest go, counted: newer readings are worth more
 */
import type { Broker, ProducerRecord, TaskLedger } from '../broker/index.ts';
import { backoffMs } from '../delivery/index.ts';
import { messageOf, seconds } from '../model/index.ts';
import { type Clock, type Logger, random } from '../runtime/index.ts';
import { outboxDropped, outboxSent } from './telemetry.ts';

/** Rejects as long as they can't be handed over; all of them are sent again then. */
export type SendRecords = (
  records: readonly ProducerRecord[],
  signal: AbortSignal,
) => Promise<void>;

export interface OutboxParts {
  /** An embedded log that nobody else uses. The outbox closes it. */
  readonly log: Broker;
  readonly send: SendRecords;
  readonly clock: Clock;
  readonly logger: Logger;
  /** On disk, delivered ones included; the oldest go. */
  readonly bytesMax: number;
  /** Older ones go. */
  readonly ageMsMax: number;
}

const TOPIC = 'outbox';
const BATCH_BYTES = 512 * 1_024;
/** How long a look for new records may take, so that stopping is quick. */
const WAIT_MS = seconds(1);
const BACKOFF = { backoff: 'exponential', backoffBaseMs: 500, backoffCapMs: 30_000 } as const;
const AT = { topic: TOPIC, partition: 0 } as const;
const NOTHING = Buffer.alloc(0);

export class Outbox {
  readonly #parts: OutboxParts;
  readonly #stopping = new AbortController();
  #ledger: TaskLedger | undefined;
  #next = 0;
  #running: Promise<void> | undefined;
  /** Readings that were given up since start. */
  dropped = 0;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const { log, bytesMax, ageMsMax } = this.#parts;
    await log.createTopics([
      { name: TOPIC, partitions: 1, retentionBytes: bytesMax, retentionMs: ageMsMax },
    ]);
    const group = 'tidemark.outbox';
    this.#ledger = await log.openLedger({
      id: group,
      changelog: group,
      partition: 0,
      changelogPartitions: 1,
      group,
      inputs: [AT],
    });
    const { offsets } = await this.#ledger.restore(() => {});
    this.#next = offsets[0]?.offset ?? 0;
    this.#running = this.#run();
  }

  /** Durable when it resolves. */
  async add(records: readonly { readonly key: string; readonly value: string }[]): Promise<void> {
    if (records.length > 0) await this.#parts.log.append(TOPIC, records);
  }

  /** Records that wait. */
  async waiting(): Promise<number> {
    const [topic] = await this.#parts.log.describeTopics([TOPIC]);
    const { firstOffset = 0, nextOffset = 0 } = topic?.partitions[0] ?? {};
    return Math.max(0, nextOffset - Math.max(this.#next, firstOffset));
  }

  /** What is not handed over waits for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the outbox stops'));
    await this.#running;
    await this.#ledger?.close();
    await this.#parts.log.close();
  }

  async #run(): Promise<void> {
    const { log, clock, logger } = this.#parts;
    const { signal } = this.#stopping;
    let attempt = 0;
    while (!signal.aborted) {
      try {
        await this.#forward(signal);
        if (attempt > 0) logger.info({ waiting: await this.waiting() }, 'readings are taken again');
        attempt = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (++attempt === 1) {
          logger.warn(
            { error: messageOf(error), waiting: await this.waiting().catch(() => null) },
            'readings can’t be handed over; they wait on disk',
          );
        }
        const waitMs = backoffMs(BACKOFF, { attempt, random });
        await clock.sleep(waitMs, signal).catch(() => {});
      }
    }
    await log.check().catch(() => {});
  }

  /** One batch, oldest first; or a look that found none. */
  async #forward(signal: AbortSignal): Promise<void> {
    const { log, send } = this.#parts;
    const batch = await log.read({
      ...AT,
      from: this.#next,
      maxBytes: BATCH_BYTES,
      maxWaitMs: WAIT_MS,
      signal,
    });
    if (batch === null || batch.count === 0) return;
    const gone = (batch.offsets[0] as number) - this.#next;
    if (gone > 0) this.#drop(gone);
    const records: ProducerRecord[] = [];
    for (let i = 0; i < batch.count; i++) {
      const key = batch.bytes.subarray(batch.keyStart[i], batch.keyEnd[i]);
      const value = batch.bytes.subarray(batch.valueStart[i], batch.valueEnd[i]);
      records.push({ key, value });
    }
    await send(records, signal);
    await this.#ledger?.commit({
      appends: [],
      state: [],
      offsets: [{ ...AT, offset: batch.nextOffset }],
      meta: NOTHING,
    });
    this.#next = batch.nextOffset;
    outboxSent(batch.count);
  }

  #drop(count: number): void {
    this.dropped += count;
    outboxDropped(count);
    this.#parts.logger.error(
      { dropped: count },
      'readings waited longer, or were more, than the outbox keeps: the oldest are gone',
    );
  }
}
