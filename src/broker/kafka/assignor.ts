/**
 * Who gets which partitions. Partition number p of every topic goes to the same member, so that joins are
 * co-partitioned; members keep what they have as far as the shares allow; and a partition that someone still
 * claims is given to nobody else until its owner has let go of it (KIP-429's cooperative rule).
 */
import type { TopicPartition } from '../contract.ts';

export interface Member {
  readonly id: string;
  readonly topics: readonly string[];
  /** What it still holds. */
  readonly owned: readonly TopicPartition[];
  /** The generation it got them in: of two claims on a partition the younger holds. */
  readonly generation: number;
}

const keyOf = ({ topic, partition }: TopicPartition): string => `${partition}:${topic}`;

/** Who validly claims each partition. */
function claims(members: readonly Member[]): Map<string, Member> {
  const owner = new Map<string, Member>();
  for (const member of members) {
    for (const owned of member.owned) {
      const key = keyOf(owned);
      const other = owner.get(key);
      if (other === undefined || other.generation < member.generation) owner.set(key, member);
    }
  }
  return owner;
}

/**
 * The assignment of every member, by id. `partitionCounts` gives each topic's number of partitions; unknown
 * topics are left out. Deterministic.
 */
export function assign(
  members: readonly Member[],
  partitionCounts: ReadonlyMap<string, number>,
): Map<string, TopicPartition[]> {
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const assignment = new Map<string, TopicPartition[]>(sorted.map(({ id }) => [id, []]));
  const owner = claims(sorted);
  for (const { topics, subscribers } of topicGroups(sorted, partitionCounts)) {
    const units = Math.max(...topics.map((topic) => partitionCounts.get(topic)!));
    const target = shareUnits(units, topics, subscribers, owner);
    for (let unit = 0; unit < units; unit++) {
      const member = target[unit]!;
      const partitions = topics
        .filter((topic) => unit < partitionCounts.get(topic)!)
        .map((topic) => ({ topic, partition: unit }));
      const stillClaimed = partitions.some((partition) => {
        const claimant = owner.get(keyOf(partition));
        return claimant !== undefined && claimant.id !== member.id;
      });
      if (!stillClaimed) assignment.get(member.id)!.push(...partitions);
    }
  }
  return assignment;
}

/** Topics that the same members subscribe to are shared out together. */
function topicGroups(
  members: readonly Member[],
  partitionCounts: ReadonlyMap<string, number>,
): { topics: string[]; subscribers: Member[] }[] {
  const groups = new Map<string, { topics: string[]; subscribers: Member[] }>();
  for (const topic of [...new Set(members.flatMap((member) => member.topics))].sort()) {
    if (!partitionCounts.get(topic)) continue;
    const subscribers = members.filter((member) => member.topics.includes(topic));
    const key = subscribers.map(({ id }) => id).join('\n');
    const group = groups.get(key);
    if (group) group.topics.push(topic);
    else groups.set(key, { topics: [topic], subscribers });
  }
  return [...groups.values()];
}

/** Each unit's member: shares differ by at most one, and as few units as possible move. */
function shareUnits(
  units: number,
  topics: readonly string[],
  members: readonly Member[],
  owner: ReadonlyMap<string, Member>,
): Member[] {
  const target = new Array<Member | undefined>(units);
  const counts = new Map<Member, number>(members.map((member) => [member, 0]));
  const least = Math.floor(units / members.length);
  let larger = units % members.length;
  const held = new Map<Member, number[]>(members.map((member) => [member, []]));
  for (let unit = 0; unit < units; unit++) {
    for (const topic of topics) {
      const current = owner.get(keyOf({ topic, partition: unit }));
      if (current !== undefined && held.has(current)) {
        held.get(current)!.push(unit);
        break;
      }
    }
  }
  // The larger shares go to those who hold most, so that they give least away.
  const byHeld = [...members].sort((a, b) => held.get(b)!.length - held.get(a)!.length);
  for (const member of byHeld) {
    const mine = held.get(member)!;
    const share = mine.length > least && larger > 0 ? least + 1 : least;
    if (share > least) larger--;
    for (const unit of mine.slice(0, share)) {
      target[unit] = member;
      counts.set(member, counts.get(member)! + 1);
    }
  }
  for (let unit = 0; unit < units; unit++) {
    if (target[unit] !== undefined) continue;
    let lightest = members[0]!;
    for (const member of members) {
      if (counts.get(member)! < counts.get(lightest)!) lightest = member;
    }
    target[unit] = lightest;
    counts.set(lightest, counts.get(lightest)! + 1);
  }
  return target as Member[];
}
