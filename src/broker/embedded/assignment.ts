/**
 * Who has which partition of a group: ranges of partition numbers in order of joining, the same number of every
 * topic at the same member, so that a join of two topics finds both sides in one place.
 */

export interface AssignableMember {
  readonly topics: readonly string[];
}

/**
 * Partition numbers by topic, for each member in order. Members that subscribe to the same topics share ranges of
 * the widest of all topics; a topic goes only to those that subscribe to it.
 */
export function assignRanges(
  members: readonly AssignableMember[],
  partitionsOf: (topic: string) => number,
): readonly ReadonlyMap<string, readonly number[]>[] {
  const assigned = members.map(() => new Map<string, number[]>());
  const topics = [...new Set(members.flatMap((member) => member.topics))].sort();
  const widest = Math.max(0, ...topics.map(partitionsOf));
  for (const topic of topics) {
    const subscribers = assigned.filter((_, i) => members[i]?.topics.includes(topic));
    for (let partition = 0; partition < partitionsOf(topic); partition++) {
      const owner = subscribers[Math.floor((partition * subscribers.length) / widest)];
      const numbers = owner?.get(topic);
      if (numbers) numbers.push(partition);
      else owner?.set(topic, [partition]);
    }
  }
  return assigned;
}
