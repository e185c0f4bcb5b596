/** One page of a partition's records as JSON text, bounded in records and bytes. */
import type { Broker } from '../../broker/index.ts';
import { recordJson } from '../record-json.ts';
import { requirePartition, requireTopic, startOffset } from './position.ts';

export const PAGE_LIMIT_MAX = 10_000;
/** A page ends early past this, so that large values can't fill memory; `next` says where to go on. */
const PAGE_BYTES_MAX = 16 * 1_024 * 1_024;
const READ_BYTES = 1_024 * 1_024;

export interface PageRequest {
  readonly topic: string;
  readonly partition: number;
  readonly from: string;
  readonly limit: number;
  /** Keys and values as base64, byte for byte. */
  readonly raw?: boolean;
}

/** `{"records":[…],"next":offset}`; `next` is where the following page starts, also when this one is empty. */
export async function readPage(broker: Broker, request: PageRequest): Promise<string> {
  const { topic, partition, limit } = request;
  const described = requirePartition(await requireTopic(broker, topic), partition);
  let next = await startOffset(broker, topic, described, request.from);
  const records: string[] = [];
  let bytes = 0;
  while (records.length < limit && bytes < PAGE_BYTES_MAX) {
    const batch = await broker.read({ topic, partition, from: next, maxBytes: READ_BYTES });
    if (batch === null) break;
    next = batch.nextOffset;
    for (let i = 0; i < batch.count; i++) {
      if (records.length === limit || bytes >= PAGE_BYTES_MAX) {
        next = batch.offsets[i]!;
        break;
      }
      const json = recordJson(batch, i, request.raw);
      records.push(json);
      bytes += json.length;
    }
  }
  return `{"records":[${records.join(',')}],"next":${next}}`;
}
