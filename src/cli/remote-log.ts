/** An engine's log over its HTTP service, byte for byte and read only: for topologies that run in a command. */
import type { RecordBatch } from '../broker/index.ts';
import type { ReplayLog } from '../jobs/index.ts';
import { recordBatchOf } from '../stream/index.ts';
import type { Client } from './client.ts';
import { offsetAt } from './replay-plan.ts';

interface Page {
  readonly records: readonly {
    readonly offset: number;
    readonly key: string | null;
    readonly timestamp: number;
    readonly value: string | null;
  }[];
  readonly next: number;
}

type Topics = Awaited<ReturnType<ReplayLog['describeTopics']>>;

const PAGE_RECORDS_MAX = 10_000;
/** A page is asked in records, a read in bytes. */
const BYTES_OF_A_RECORD = 256;

export function remoteLog(client: Client): ReplayLog {
  return {
    async describeTopics(names) {
      const { topics } = await client.get<{ topics: Topics }>('/v1/topics?internal=true');
      return topics.filter(({ name }) => names === undefined || names.includes(name));
    },
    async read({ topic, partition, from, maxBytes = 1024 * 1024 }): Promise<RecordBatch | null> {
      const records = Math.ceil(maxBytes / BYTES_OF_A_RECORD);
      const query = new URLSearchParams({
        partition: String(partition),
        from: String(from),
        limit: String(Math.min(records, PAGE_RECORDS_MAX)),
        encoding: 'base64',
      });
      const path = `/v1/topics/${encodeURIComponent(topic)}/records?${query}`;
      const page = await client.get<Page>(path);
      if (page.records.length === 0 && page.next <= from) return null;
      const loose = page.records.map(({ key, value, offset, timestamp }) => ({
        key: bytesOf(key),
        value: bytesOf(value),
        offset,
        timestamp,
      }));
      const batch = recordBatchOf(topic, partition, loose, page.next);
      return { ...batch, nextOffset: page.next };
    },
    offsetAt: ({ topic, partition }, timeMs) => offsetAt(client, topic, partition, timeMs),
  };
}

const bytesOf = (text: string | null): Buffer | null =>
  text === null ? null : Buffer.from(text, 'base64');
