/**
 * The single writer: operations queue here, and all that queued while the last write was being synced go into the
 * next one, so that many callers share one fsync. An operation checks everything before it changes the stage;
 * then a refusal costs only itself.
 */
import { RetriableError, type TidemarkError } from '../../model/index.ts';
import type { Logger } from '../../runtime/index.ts';
import { Stage } from './stage.ts';
import type { Storage } from './storage.ts';
import type { Tail } from './tail.ts';
import { diskWritten } from './telemetry.ts';

export interface Operation<T> {
  /** What it adds to the disk, about; 0 for those that free space. */
  readonly bytes: number;
  /** Refused when the queue is full, rather than admitted regardless (commits: one per task at most). */
  readonly refusable?: boolean;
  stage(stage: Stage): T;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Queued extends Waiting {
  readonly operation: Operation<unknown>;
}

interface Staged extends Waiting {
  readonly result: unknown;
}

/** One write takes no more than this, so that its callers do not wait for the whole queue's bytes. */
const WRITE_BYTES_MAX = 16 * 1024 ** 2;
/** The storage limit is measured anew after this many bytes; between, what was written is added up. */
const MEASURE_EVERY_BYTES = 64 * 1024 ** 2;

export interface WriterOptions {
  readonly storage: Pick<Storage, 'tables' | 'write' | 'usedBytes'>;
  readonly tail: Tail;
  readonly logger: Logger;
  /** Bytes waiting to be written; at the limit further appends are refused with RetriableError LOG_BUSY. */
  readonly queueBytesMax: number;
  /** Bytes of log and state on disk; at the limit appends and commits are refused with RetriableError LOG_FULL. */
  readonly storageBytesMax: number;
}

export class Writer {
  readonly #options: WriterOptions;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | undefined;
  #closed = false;
  #usedBytes = Number.NaN;
  #sinceMeasured = 0;
  /** The last write's failure, until one succeeds. */
  #failure: TidemarkError | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  get failure(): TidemarkError | undefined {
    return this.#failure;
  }

  /** Resolves with what `stage` returned, once on disk. Rejects with what `stage` threw, or with the write's failure. */
  run<T>(operation: Operation<T>): Promise<T> {
    if (this.#closed)
      return Promise.reject(
        new RetriableError('The log is closed: open it again.', { code: 'LOG_CLOSED' }),
      );
    const { queueBytesMax } = this.#options;
    if (
      operation.refusable &&
      this.#queuedBytes > 0 &&
      this.#queuedBytes + operation.bytes > queueBytesMax
    )
      return Promise.reject(
        new RetriableError(
          `${this.#queuedBytes} bytes wait to be written, the limit is ${queueBytesMax}: send slower, or wait for the appends under way.`,
          { code: 'LOG_BUSY', context: { queuedBytes: this.#queuedBytes, queueBytesMax } },
        ),
      );
    this.#queuedBytes += operation.bytes;
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ operation, resolve: resolve as (value: unknown) => void, reject });
      this.#running ??= this.#drain();
    });
  }

  /** Writes what is queued, then refuses more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #drain(): Promise<void> {
    // What callers of this turn of the event loop add goes into the first write.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) await this.#writeSome();
    this.#running = undefined;
  }

  async #writeSome(): Promise<void> {
    const stage = new Stage(this.#options.storage.tables);
    // Not the operations: what they held goes as soon as it stands in blocks, not when the disk is done.
    const staged: Staged[] = [];
    let bytes = 0;
    let taken = 0;
    for (const queued of this.#queue) {
      if (taken > 0 && bytes + queued.operation.bytes > WRITE_BYTES_MAX) break;
      taken++;
      bytes += queued.operation.bytes;
      try {
        this.#checkSpace(queued.operation.bytes);
        const { resolve, reject } = queued;
        staged.push({ resolve, reject, result: queued.operation.stage(stage) });
      } catch (error) {
        queued.reject(error);
      }
    }
    this.#queue = this.#queue.slice(taken);
    this.#queuedBytes -= bytes;
    try {
      const writes = stage.complete();
      if (writes.length > 0) {
        const written = diskWritten(bytes);
        await this.#options.storage.write(writes);
        written();
      }
      if (this.#failure) this.#options.logger.info({}, 'the log can be written again');
      this.#failure = undefined;
    } catch (error) {
      if (!this.#failure) this.#options.logger.error({ error }, (error as Error).message);
      this.#failure = error as TidemarkError;
      for (const { reject } of staged) reject(error);
      return;
    }
    stage.publish(this.#options.tail);
    for (const { resolve, result } of staged) resolve(result);
  }

  #checkSpace(bytes: number): void {
    const { storage, storageBytesMax } = this.#options;
    if (bytes === 0 || storageBytesMax === Number.POSITIVE_INFINITY) return;
    this.#sinceMeasured += bytes;
    if (
      !(this.#usedBytes + this.#sinceMeasured <= storageBytesMax) ||
      this.#sinceMeasured > MEASURE_EVERY_BYTES
    ) {
      this.#usedBytes = storage.usedBytes();
      this.#sinceMeasured = bytes;
    }
    if (this.#usedBytes + bytes <= storageBytesMax) return;
    throw new RetriableError(
      `The log holds ${this.#usedBytes} bytes, its limit is ${storageBytesMax}: raise storageBytesMax or lower the topics' retention; writing goes on by itself.`,
      { code: 'LOG_FULL', context: { usedBytes: this.#usedBytes, storageBytesMax } },
    );
  }
}
