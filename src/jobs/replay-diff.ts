/**
 * Compares what a replay derives with what the derived topics hold. Records about a window are compared by topic,
 * key and window, all but their revision, which tells how often a window was given and not what is in it. Other
 * records have no identity but their bytes: each must stand in its topic, as often as it is derived.
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
  readonly #topics: ReadonlySet<string>;
  readonly #digests = new Map<string, string>();
  readonly #others = new Map<string, number>();
  #compared = 0;
  #different = 0;
  readonly #examples: string[] = [];

  private constructor(topics: readonly string[]) {
    this.#topics = new Set(topics);
  }

  static async read(
    broker: Broker,
    topics: readonly string[],
    signal: AbortSignal,
  ): Promise<StoredRecords> {
    const stored = new StoredRecords(topics);
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
      // Late records and dead letters go beside the derived topics.
      if (!this.#topics.has(record.topic)) continue;
      this.#compared++;
      const difference = this.#differenceOf(record);
      if (difference === undefined) continue;
      this.#different++;
      if (this.#examples.length < EXAMPLES_MAX) {
        this.#examples.push(`${record.topic} ${record.key}${difference}`);
      }
    }
  }

  report(): DiffReport {
    return { compared: this.#compared, different: this.#different, examples: this.#examples };
  }

  #keep(record: OutputRecord): void {
    const windowed = windowedOf(record);
    if (windowed !== undefined) this.#digests.set(windowed.identity, windowed.digest);
    else {
      const identity = bytesOf(record);
      this.#others.set(identity, (this.#others.get(identity) ?? 0) + 1);
    }
  }

  #differenceOf(record: OutputRecord): string | undefined {
    const windowed = windowedOf(record);
    if (windowed === undefined) {
      const identity = bytesOf(record);
      const left = this.#others.get(identity) ?? 0;
      this.#others.set(identity, left - 1);
      return left > 0 ? undefined : ': only in the replay';
    }
    const known = this.#digests.get(windowed.identity);
    if (known === windowed.digest) return undefined;
    const start = new Date(windowed.start).toISOString();
    return ` ${start}: ${known === undefined ? 'only in the replay' : 'changed'}`;
  }
}

interface WindowedRecord {
  readonly identity: string;
  readonly digest: string;
  readonly start: number;
}

function windowedOf(record: OutputRecord): WindowedRecord | undefined {
  const start = windowStartOf(record);
  if (start === undefined) return undefined;
  const { revision: _, ...rest } = JSON.parse(String(record.value)) as Record<string, unknown>;
  const identity = [record.topic, record.key, rest.network ?? '', start].join('\u001f');
  return { identity, digest: hash(JSON.stringify(rest)), start };
}

const bytesOf = (record: OutputRecord): string =>
  [record.topic, record.key, record.value === null ? '' : hash(record.value)].join('\u001f');

const hash = (content: Buffer | string): string =>
  createHash('sha256').update(content).digest('base64url').slice(0, 16);
