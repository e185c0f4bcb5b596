/**
 * Compares what a replay derives with what the derived topics hold: record by record, by topic, key and window.
 * Only the revision may differ: it tells how often a window was given, not what is in it.
 */
import { createHash } from 'node:crypto';
import type { Broker } from '../broker/index.ts';
import type { OutputRecord } from '../stream/index.ts';
import { windowStartOf } from './replay-run.ts';

export interface DiffReport {
  readonly compared: number;
  readonly different: number;
  /** The first differences, as text. */
  readonly examples: readonly string[];
}

const EXAMPLES_MAX = 20;

/** What is stored, as a digest of 16 characters per record. */
export class StoredRecords {
  readonly #digests = new Map<string, string>();
  #compared = 0;
  #different = 0;
  readonly #examples: string[] = [];

  static async read(
    broker: Broker,
    topics: readonly string[],
    signal: AbortSignal,
  ): Promise<StoredRecords> {
    const stored = new StoredRecords();
    for (const { name: topic, partitions } of await broker.describeTopics(topics)) {
      for (const { partition, firstOffset, nextOffset } of partitions) {
        for (let from = firstOffset; from < nextOffset; ) {
          signal.throwIfAborted();
          const batch = await broker.read({ topic, partition, from, maxBytes: 1024 * 1024 });
          if (batch === null) break;
          for (let i = 0; i < batch.count; i++) {
            const part = (start: number, end: number) =>
              start < 0 ? null : batch.bytes.subarray(start, end);
            stored.#keep({
              topic,
              key: part(batch.keyStart[i] as number, batch.keyEnd[i] as number),
              value: part(batch.valueStart[i] as number, batch.valueEnd[i] as number),
            });
          }
          from = batch.nextOffset;
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    }
    return stored;
  }

  compare(records: readonly OutputRecord[]): void {
    for (const record of records) {
      // Late and dead-letter records repeat in order but have no identity of their own.
      if (windowStartOf(record) === undefined) continue;
      this.#compared++;
      const known = this.#digests.get(identity(record));
      if (known === digest(record)) continue;
      this.#different++;
      if (this.#examples.length < EXAMPLES_MAX) {
        const start = new Date(windowStartOf(record) as number).toISOString();
        this.#examples.push(
          `${record.topic} ${record.key} ${start}: ${known === undefined ? 'only in the replay' : 'changed'}`,
        );
      }
    }
  }

  report(): DiffReport {
    return { compared: this.#compared, different: this.#different, examples: this.#examples };
  }

  #keep(record: OutputRecord): void {
    if (windowStartOf(record) !== undefined) this.#digests.set(identity(record), digest(record));
  }
}

const identity = (record: OutputRecord): string =>
  `${record.topic}\u001f${record.key}\u001f${networkOf(record)}\u001f${windowStartOf(record)}`;

function networkOf(record: OutputRecord): string {
  return String((JSON.parse(String(record.value)) as { network?: unknown }).network ?? '');
}

function digest(record: OutputRecord): string {
  const { revision: _, ...rest } = JSON.parse(String(record.value)) as Record<string, unknown>;
  return createHash('sha256').update(JSON.stringify(rest)).digest('base64url').slice(0, 16);
}
