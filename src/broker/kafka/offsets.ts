/** Offsets by position or time, as a read-committed reader sees them. */
import type { TopicPartition } from '../contract.ts';
import type { Cluster } from './cluster.ts';
import { errorFromCode, listOffsetsRequest, listOffsetsResponse } from './library.ts';

/** Instead of a time: the ends of the log. */
export const Offset = { first: -2, end: -1 } as const;

const READ_COMMITTED = 1;

export interface OffsetQuery extends TopicPartition {
  /** ms, or one of `Offset`. */
  readonly timestamp: number;
}

interface Decoded {
  readonly responses: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly errorCode: number;
      readonly offset: string;
    }[];
  }[];
}

/**
 * The answers in the order of the queries; -1 = no record at or after that time. `Offset.end` is the last
 * stable offset. Partition errors are thrown as kafkajs would, and forget the topic's leaders.
 */
export async function listOffsets(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
): Promise<readonly (TopicPartition & { readonly offset: number })[]> {
  const byNode = new Map<number, OffsetQuery[]>();
  for (const query of queries) {
    const leader = (await cluster.leadersOf(query.topic))[query.partition] ?? -1;
    if (leader < 0) {
      cluster.forgetLeaders(query.topic);
      throw errorFromCode(5);
    }
    const list = byNode.get(leader);
    if (list) list.push(query);
    else byNode.set(leader, [query]);
  }
  const found = new Map<string, number>();
  await Promise.all(
    [...byNode].map(async ([node, list]) => {
      const answer = (await cluster.send(node, {
        request: listOffsetsRequest({
          replicaId: -1,
          isolationLevel: READ_COMMITTED,
          topics: list.map(({ topic, partition, timestamp }) => ({
            topic,
            partitions: [{ partition, timestamp }],
          })),
        }),
        response: { decode: listOffsetsResponse.decode, parse: async (decoded) => decoded },
      })) as Decoded;
      for (const { topic, partitions } of answer.responses) {
        for (const { partition, errorCode, offset } of partitions) {
          if (errorCode !== 0) {
            cluster.forgetLeaders(topic);
            throw errorFromCode(errorCode);
          }
          found.set(`${partition}:${topic}`, Number(offset));
        }
      }
    }),
  );
  return queries.map(({ topic, partition }) => ({
    topic,
    partition,
    offset: found.get(`${partition}:${topic}`) ?? -1,
  }));
}
