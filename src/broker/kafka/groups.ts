/** What consumer groups have committed. */
import type { TopicPartition } from '../contract.ts';
import type { Cluster } from './cluster.ts';
import { errorFromCode } from './library.ts';

interface Decoded {
  readonly responses: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly offset: string;
      readonly errorCode: number;
    }[];
  }[];
}

/** The group's committed offsets of these partitions, or of all that it has; absent ones are left out. */
export async function committedOffsets(
  cluster: Cluster,
  group: string,
  partitions?: readonly TopicPartition[],
): Promise<(TopicPartition & { offset: number })[]> {
  const topics = new Map<string, { partition: number }[]>();
  for (const { topic, partition } of partitions ?? []) {
    const list = topics.get(topic) ?? [];
    list.push({ partition });
    topics.set(topic, list);
  }
  const answer = (await cluster.requestCoordinator('group', group, 'OffsetFetch', {
    groupId: group,
    // kafkajs writes an empty list as null, which means all.
    topics: [...topics].map(([topic, list]) => ({ topic, partitions: list })),
  })) as Decoded;
  return answer.responses.flatMap(({ topic, partitions: found }) =>
    found.flatMap(({ partition, offset, errorCode }) => {
      if (errorCode !== 0) throw errorFromCode(errorCode);
      return Number(offset) < 0 ? [] : [{ topic, partition, offset: Number(offset) }];
    }),
  );
}
