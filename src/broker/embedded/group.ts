/**
 * One consumer group inside this process. A partition is granted only once nobody has it: on every join and leave
 * those that move are released by their owner first (bounded by its revoke timeout), then granted to the next.
 */
import { assignRanges } from './assignment.ts';
import type { Partition, Topics } from './topics.ts';

export interface Member {
  readonly topics: readonly string[];
  /** These are coming: restore and start. Returns at once. */
  grant(partitions: readonly Partition[]): void;
  /** Let go of these; resolves when that is done, or when patience ended. Never rejects. */
  release(partitions: readonly Partition[]): Promise<void>;
}

export class Group {
  readonly #topics: Topics;
  readonly #members: Member[] = [];
  readonly #owners = new Map<Partition, Member>();
  #changed = false;
  #rebalancing: Promise<void> | undefined;

  constructor(topics: Topics) {
    this.#topics = topics;
  }

  get empty(): boolean {
    return this.#members.length === 0 && this.#owners.size === 0;
  }

  join(member: Member): void {
    this.#members.push(member);
    this.#rebalance();
  }

  /** Resolves once the member has let go of all it had. */
  async leave(member: Member): Promise<void> {
    const at = this.#members.indexOf(member);
    if (at < 0) return;
    this.#members.splice(at, 1);
    await this.#take(member, this.#ownedBy(member));
    this.#rebalance();
  }

  #ownedBy(member: Member): Partition[] {
    return [...this.#owners].flatMap(([partition, owner]) => (owner === member ? partition : []));
  }

  async #take(member: Member, partitions: readonly Partition[]): Promise<void> {
    if (partitions.length === 0) return;
    await member.release(partitions);
    for (const partition of partitions)
      if (this.#owners.get(partition) === member) this.#owners.delete(partition);
  }

  #rebalance(): void {
    this.#changed = true;
    this.#rebalancing ??= this.#settle().finally(() => {
      this.#rebalancing = undefined;
    });
  }

  async #settle(): Promise<void> {
    while (this.#changed) {
      this.#changed = false;
      const wanted = this.#wanted();
      await Promise.all(
        this.#members.map((member) =>
          this.#take(
            member,
            this.#ownedBy(member).filter((partition) => wanted.get(partition) !== member),
          ),
        ),
      );
      // Somebody came or went meanwhile: think again before granting.
      if (this.#changed) continue;
      const grants = new Map<Member, Partition[]>();
      for (const [partition, member] of wanted) {
        if (this.#owners.has(partition)) continue;
        this.#owners.set(partition, member);
        const granted = grants.get(member);
        if (granted) granted.push(partition);
        else grants.set(member, [partition]);
      }
      for (const [member, partitions] of grants) member.grant(partitions);
    }
  }

  /** Who should have each partition; deleted topics have none. */
  #wanted(): Map<Partition, Member> {
    const wanted = new Map<Partition, Member>();
    const width = (topic: string) =>
      this.#topics.has(topic) ? this.#topics.get(topic).spec.partitions : 0;
    const ranges = assignRanges(this.#members, width);
    for (const [i, member] of this.#members.entries())
      for (const [topic, numbers] of ranges[i] ?? [])
        for (const number of numbers) wanted.set(this.#topics.partition(topic, number), member);
    return wanted;
  }
}
