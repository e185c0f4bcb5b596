/**
 * The way into the log of KairosDB's points: what the doors accept waits here for at most one append, shares it with
 * all that came meanwhile, and is acknowledged once it is durable. One append at a time, so that a series keeps its
 * order; bounded in bytes: at the bound HTTP answers 503 and telnet stops reading.
 *
 * A metric's points and deletes share a partition, so a delete takes what was acknowledged before it and nothing
 * acknowledged after it, however much still waits.
 */
import type { Draft, KairosIngest } from '../../api/index.ts';
import { type Broker, type ProducerRecord, partitionOfKey } from '../../broker/index.ts';
import {
  encodeDelete,
  type PackedChunk,
  type PackedDelete,
  PointsDraft,
  recordOf,
  type WriteOptions,
} from '../../databases/kairos/index.ts';
import { RetriableError } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { appendedPoints, pointsWaiting } from './telemetry.ts';

export interface PointLogParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly topic: string;
  /** Of the topic. */
  readonly partitions: number;
  readonly write: Pick<
    WriteOptions,
    'nonFinite' | 'defaultTtlSeconds' | 'forceDefaultTtl' | 'alignTtl'
  >;
  /** Resolves when what stands before `offset` in a partition is in the store; rejects when `signal` aborts. */
  readonly stored: (partition: number, offset: number, signal: AbortSignal) => Promise<void>;
  /** Why nothing may be added now: too much waits for the store. Default: nothing speaks against it. */
  readonly blocked?: () => string | undefined;
  /** Bytes not yet durable; with more, requests are refused. Default 32 MiB. */
  readonly waitingBytesMax?: number;
  /** A delete that is not carried out after this long is answered 503; it will be. Default 30 s. */
  readonly deleteWaitMs?: number;
}

interface Waiting {
  readonly chunks: readonly PackedChunk[];
  readonly remove?: ProducerRecord;
  readonly bytes: number;
  resolve(offset: number): void;
  reject(error: unknown): void;
}

/** One append: enough to be cheap, little enough that nobody waits long for it. */
const APPEND_BYTES = 2 * 1_024 ** 2;
/** A record of the log, about. */
const RECORD_BYTES = 128 * 1_024;
const RETRY_AFTER_MS = 1_000;
/** A backlog is looked at every few seconds. */
const RETRY_BLOCKED_MS = 5_000;

export class PointLog implements KairosIngest {
  readonly draft: PointsDraft;
  readonly #parts: PointLogParts;
  readonly #waitingBytesMax: number;
  readonly #stopping = new AbortController();
  #queue: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  #onRoom: (() => void)[] = [];

  constructor(parts: PointLogParts) {
    const { partitions, clock, write } = parts;
    this.#parts = parts;
    this.#waitingBytesMax = parts.waitingBytesMax ?? 32 * 1_024 ** 2;
    this.draft = new PointsDraft({
      ...write,
      nonFinite: write.nonFinite ?? 'reject',
      partitions,
      partitionOf: partitions === 1 ? () => 0 : (metric) => partitionOfKey(metric, partitions),
      nowMs: () => clock.now(),
    });
  }

  get busy(): boolean {
    return this.#waitingBytes >= this.#waitingBytesMax;
  }

  /** Resolves when there is room again. */
  async room(): Promise<void> {
    while (this.busy && !this.#stopping.signal.aborted)
      await new Promise<void>((resolve) => this.#onRoom.push(resolve));
  }

  async accept(draft: Draft): Promise<void> {
    const points = draft.count;
    if (points === 0) return;
    const chunks = (draft as PointsDraft).take();
    await this.#enqueue(chunks, undefined);
    appendedPoints(points);
  }

  async delete(request: PackedDelete): Promise<void> {
    const { topic, partitions, stored, clock, deleteWaitMs = 30_000 } = this.#parts;
    const partition =
      partitions === 1 ? 0 : partitionOfKey(Buffer.from(request.metric), partitions);
    const offset = await this.#enqueue([], { partition, key: null, value: encodeDelete(request) });
    const late = new AbortController();
    const patience = new AbortController();
    void clock.sleep(deleteWaitMs, patience.signal).then(
      () => late.abort(),
      () => {},
    );
    try {
      await stored(partition, offset + 1, AbortSignal.any([late.signal, this.#stopping.signal]));
    } catch {
      throw new RetriableError(
        `the delete of ${request.metric} stands in the log (${topic}/${partition} at ${offset}) and will be carried out, but the store has not come to it yet: see /v1/backlog`,
        { code: 'DELETE_WAITS', retryAfterMs: 10_000 },
      );
    } finally {
      patience.abort();
    }
  }

  /** Appends what waits; then takes no more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#release();
    await this.#running;
  }

  #enqueue(chunks: readonly PackedChunk[], remove: ProducerRecord | undefined): Promise<number> {
    const bytes =
      chunks.reduce((sum, chunk) => sum + chunk.bytes.length + 64, 0) + (remove ? 1_024 : 0);
    if (this.#stopping.signal.aborted) {
      return Promise.reject(
        new RetriableError('this process is stopping: nothing of this request was stored', {
          code: 'INGEST_STOPPING',
          retryAfterMs: RETRY_AFTER_MS,
        }),
      );
    }
    const full = this.#parts.blocked?.();
    if (full !== undefined) {
      return Promise.reject(
        new RetriableError(`${full}: nothing of this request was stored, send it again`, {
          code: 'BACKLOG_FULL',
          retryAfterMs: RETRY_BLOCKED_MS,
        }),
      );
    }
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > this.#waitingBytesMax) {
      return Promise.reject(
        new RetriableError(
          `${this.#waitingBytes} bytes of points wait for the log, the limit is ${this.#waitingBytesMax}: nothing of this request was stored, send it again`,
          { code: 'INGEST_BUSY', retryAfterMs: RETRY_AFTER_MS },
        ),
      );
    }
    this.#waitingBytes += bytes;
    pointsWaiting(this.#waitingBytes);
    return new Promise<number>((resolve, reject) => {
      this.#queue.push({ chunks, ...(remove && { remove }), bytes, resolve, reject });
      this.#running ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // What came in this turn of the event loop goes together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) await this.#appendSome();
    this.#running = undefined;
  }

  async #appendSome(): Promise<void> {
    const { broker, topic } = this.#parts;
    let taken = 0;
    let bytes = 0;
    while (taken < this.#queue.length && (taken === 0 || bytes < APPEND_BYTES)) {
      bytes += (this.#queue[taken] as Waiting).bytes;
      taken++;
    }
    const waiting = this.#queue.splice(0, taken);
    const { records, offsetOf } = recordsOf(waiting);
    try {
      const appended = await broker.append(topic, records);
      for (const each of waiting) {
        const at = offsetOf.get(each);
        each.resolve(at === undefined ? -1 : (appended[at]?.offset ?? -1));
      }
    } catch (error) {
      for (const each of waiting) each.reject(refused(error));
    } finally {
      this.#waitingBytes -= bytes;
      pointsWaiting(this.#waitingBytes);
      if (!this.busy) this.#release();
    }
  }

  #release(): void {
    for (const resume of this.#onRoom.splice(0)) resume();
  }
}

/** In order per partition; a delete stands alone. */
function recordsOf(waiting: readonly Waiting[]): {
  readonly records: readonly ProducerRecord[];
  readonly offsetOf: ReadonlyMap<Waiting, number>;
} {
  const records: ProducerRecord[] = [];
  const offsetOf = new Map<Waiting, number>();
  const open = new Map<number, { chunks: PackedChunk[]; bytes: number }>();
  const close = (partition: number) => {
    const part = open.get(partition);
    if (part === undefined) return;
    open.delete(partition);
    records.push({ partition, key: null, value: recordOf(part.chunks) });
  };
  for (const each of waiting) {
    for (const chunk of each.chunks) {
      const part = open.get(chunk.partition) ?? { chunks: [], bytes: 0 };
      open.set(chunk.partition, part);
      part.chunks.push(chunk);
      part.bytes += chunk.bytes.length;
      if (part.bytes >= RECORD_BYTES) close(chunk.partition);
    }
    if (each.remove === undefined) continue;
    close(each.remove.partition as number);
    offsetOf.set(each, records.length);
    records.push(each.remove);
  }
  for (const partition of [...open.keys()]) close(partition);
  return { records, offsetOf };
}

/** Whatever the log refuses, the client may send again: the same points land on themselves. */
function refused(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return new RetriableError(
    `the log did not take the points (${error.message}): some or none of this request may be stored, send it again`,
    {
      code: 'LOG_UNAVAILABLE',
      cause: error,
      retryAfterMs: (error as RetriableError).retryAfterMs ?? RETRY_AFTER_MS,
    },
  );
}
