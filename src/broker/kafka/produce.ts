/** The produce request, version 7, around batches that are already encoded; and its answer. */
import { apiKeys, Encoder, produceResponse, type WireExchange } from './library.ts';

export interface EncodedBatch {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: Buffer;
}

export interface ProduceResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly baseOffset: number;
}

/** All in-sync replicas must have it. */
const ACKS_ALL = -1;

/** At most one batch per partition. */
export function produceExchange(
  batches: readonly EncodedBatch[],
  transactionalId: string | null,
  timeoutMs: number,
): WireExchange {
  const topics = new Map<string, EncodedBatch[]>();
  let size = 64 + (transactionalId?.length ?? 0);
  for (const batch of batches) {
    const list = topics.get(batch.topic);
    if (list) list.push(batch);
    else topics.set(batch.topic, [batch]);
    size += batch.bytes.length + batch.topic.length * 3 + 16;
  }
  return {
    request: {
      apiKey: apiKeys.Produce!,
      apiVersion: 7,
      apiName: 'Produce',
      encode: async () => {
        const encoder = new Encoder(size)
          .writeString(transactionalId)
          .writeInt16(ACKS_ALL)
          .writeInt32(timeoutMs)
          .writeInt32(topics.size);
        for (const [topic, list] of topics) {
          encoder.writeString(topic).writeInt32(list.length);
          for (const { partition, bytes } of list) {
            encoder.writeInt32(partition).writeInt32(bytes.length).writeBuffer(bytes);
          }
        }
        return encoder;
      },
    },
    response: {
      decode: produceResponse.decode,
      parse: async (decoded) => resultsOf(decoded as DecodedProduce),
    },
  };
}

interface DecodedProduce {
  readonly topics: readonly {
    readonly topicName: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly errorCode: number;
      readonly baseOffset: string;
    }[];
  }[];
}

const resultsOf = (decoded: DecodedProduce): ProduceResult[] =>
  decoded.topics.flatMap(({ topicName, partitions }) =>
    partitions.map(({ partition, errorCode, baseOffset }) => ({
      topic: topicName,
      partition,
      errorCode,
      baseOffset: Number(baseOffset),
    })),
  );

/** Sequence numbers wrap from 2^31-1 to 0. */
export const sequenceAfter = (sequence: number, count: number): number =>
  (sequence + count) % 0x8000_0000;
