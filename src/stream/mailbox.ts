/** Batches handed to a task and not yet run, within a bound; remembers which topics were told to wait. */
import type { RecordBatch } from '../broker/index.ts';

export class Mailbox {
  readonly #bytesMax: number;
  readonly #paused = new Set<string>();
  #batches: RecordBatch[] = [];
  #bytes = 0;

  /** At `bytesMax` the topic of the batch is told to wait; what was under way may still come. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get empty(): boolean {
    return this.#batches.length === 0;
  }

  /** Takes a batch in; false = this topic is to wait. */
  put(batch: RecordBatch): boolean {
    this.#batches.push(batch);
    this.#bytes += batch.byteLength;
    if (this.#bytes < this.#bytesMax) return true;
    this.#paused.add(batch.topic);
    return false;
  }

  /** A batch that was not taken in: its topic is to wait. */
  refuse(batch: RecordBatch): false {
    this.#paused.add(batch.topic);
    return false;
  }

  /** The oldest batch. */
  take(): RecordBatch | undefined {
    const batch = this.#batches.shift();
    if (batch !== undefined) this.#bytes -= batch.byteLength;
    return batch;
  }

  /** The topics that wait, once half is free; they wait no longer. */
  takePaused(): readonly string[] {
    if (this.#paused.size === 0 || this.#bytes > this.#bytesMax / 2) return [];
    const paused = [...this.#paused];
    this.#paused.clear();
    return paused;
  }

  /** Drops the batches; topics told to wait still do. */
  clear(): void {
    this.#batches = [];
    this.#bytes = 0;
  }
}
