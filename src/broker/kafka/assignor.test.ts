import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TopicPartition } from '../contract.ts';
import { assign, type Member } from './assignor.ts';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './subscription.ts';

const member = (
  id: string,
  topics: string[],
  owned: TopicPartition[] = [],
  generation = 1,
): Member => ({
  id,
  topics,
  owned,
  generation,
});
const nameOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`;
const plain = (assignment: Map<string, TopicPartition[]>) =>
  Object.fromEntries([...assignment].map(([id, list]) => [id, list.map(nameOf).sort()]));

/** Rounds as the group would go through them, until nobody has to let go of anything. */
function settle(members: readonly Member[], counts: ReadonlyMap<string, number>) {
  let current = [...members];
  for (let round = 1; ; round++) {
    const assignment = assign(current, counts);
    let gaveUp = false;
    current = current.map((one) => {
      const mine = assignment.get(one.id)!;
      const keep = new Set(mine.map(nameOf));
      if (one.owned.some((owned) => !keep.has(nameOf(owned)))) gaveUp = true;
      return { ...one, owned: mine, generation: round + 1 };
    });
    if (!gaveUp) return { assignment, rounds: round, members: current };
    if (round > 10) throw new Error('does not settle');
  }
}

describe('who gets which partitions', () => {
  test('the same number of every topic goes to the same member', () => {
    const counts = new Map([
      ['a', 4],
      ['b', 4],
      ['c', 2],
    ]);
    const { assignment } = settle(
      [member('x', ['a', 'b', 'c']), member('y', ['a', 'b', 'c'])],
      counts,
    );
    expect(plain(assignment)).toEqual({
      x: ['a/0', 'a/2', 'b/0', 'b/2', 'c/0'],
      y: ['a/1', 'a/3', 'b/1', 'b/3', 'c/1'],
    });
  });

  test('a newcomer gets nothing that is still held, and its share in the round after', () => {
    const counts = new Map([['a', 4]]);
    const held = [0, 1, 2, 3].map((partition) => ({ topic: 'a', partition }));
    const first = assign([member('x', ['a'], held), member('y', ['a'])], counts);
    expect(plain(first)).toEqual({ x: ['a/0', 'a/1'], y: [] });
    const second = assign([member('x', ['a'], first.get('x')!), member('y', ['a'])], counts);
    expect(plain(second)).toEqual({ x: ['a/0', 'a/1'], y: ['a/2', 'a/3'] });
  });

  test('of two who claim a partition the one with the younger generation holds it', () => {
    const claim = [{ topic: 'a', partition: 0 }];
    const found = assign(
      [member('x', ['a'], claim, 3), member('y', ['a'], claim, 7)],
      new Map([['a', 1]]),
    );
    expect(plain(found)).toEqual({ x: [], y: ['a/0'] });
  });

  test('topics that only some subscribe to go to those only; unknown topics to nobody', () => {
    const found = assign(
      [member('x', ['a', 'gone']), member('y', ['a', 'b'])],
      new Map([
        ['a', 2],
        ['b', 2],
      ]),
    );
    expect(plain(found)).toEqual({ x: ['a/0'], y: ['a/1', 'b/0', 'b/1'] });
  });

  test('members who come, go and join anew settle on fair shares, each partition once, moving little', {
    tags: 'heavy',
  }, () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 }),
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 6 }),
        (partitionCounts, sizes) => {
          const counts = new Map(partitionCounts.map((count, i) => [`t${i}`, count]));
          const topics = [...counts.keys()];
          const units = Math.max(...partitionCounts);
          let members: Member[] = [];
          let next = 0;
          for (const size of sizes) {
            const before = members.length;
            members = members.slice(Math.max(0, members.length - size));
            while (members.length < size) members.push(member(`m${next++}`, topics));
            const held = new Map(members.map((one) => [one.id, one.owned.length]));
            const settled = settle(members, counts);
            // One round to let go, one to take over.
            expect(settled.rounds).toBeLessThanOrEqual(3);
            members = settled.members;
            const all = members.flatMap(({ owned }) => owned.map(nameOf));
            expect(all).toHaveLength(partitionCounts.reduce((a, b) => a + b));
            expect(new Set(all).size).toBe(all.length);
            for (const { id, owned } of members) {
              const numbers = new Set(owned.map(({ partition }) => partition));
              expect(numbers.size).toBeGreaterThanOrEqual(Math.floor(units / size));
              expect(numbers.size).toBeLessThanOrEqual(Math.ceil(units / size));
              // The group only shrank: nobody loses anything.
              if (size < before && held.get(id)! > 0) {
                expect(owned.length).toBeGreaterThanOrEqual(Math.min(held.get(id)!, owned.length));
              }
            }
          }
        },
      ),
    );
  });

  test('one member leaving moves only what it had', () => {
    const counts = new Map([['a', 12]]);
    const three = settle(
      ['x', 'y', 'z'].map((id) => member(id, ['a'])),
      counts,
    ).members;
    const two = assign(
      three.filter(({ id }) => id !== 'y'),
      counts,
    );
    for (const { id, owned } of three.filter((one) => one.id !== 'y')) {
      expect(two.get(id)!.map(nameOf)).toEqual(expect.arrayContaining(owned.map(nameOf)));
    }
  });
});

describe('what members tell each other', () => {
  const partition = fc.record({
    topic: fc.constantFrom('a', 'votes', 'ünïcode'),
    partition: fc.integer({ min: 0, max: 1000 }),
  });
  const partitions = fc.uniqueArray(partition, { selector: nameOf });

  test('reading a subscription undoes writing it', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string()),
        partitions,
        fc.integer({ min: -1, max: 2 ** 31 - 1 }),
        (topics, owned, generation) => {
          const found = decodeSubscription('me', encodeSubscription({ topics, owned, generation }));
          expect({ ...found, owned: found.owned.map(nameOf).sort() }).toEqual({
            id: 'me',
            topics,
            owned: owned.map(nameOf).sort(),
            generation,
          });
        },
      ),
    );
  });

  test('reading an assignment undoes writing it; none at all is none', () => {
    fc.assert(
      fc.property(partitions, (list) => {
        expect(decodeAssignment(encodeAssignment(list)).map(nameOf).sort()).toEqual(
          list.map(nameOf).sort(),
        );
      }),
    );
    expect(decodeAssignment(Buffer.alloc(0))).toEqual([]);
  });

  test('a subscription of another client, version 0 without claims, is understood', () => {
    const bytes = Buffer.from('00000000000100016100000000', 'hex');
    expect(decodeSubscription('other', bytes)).toEqual({
      id: 'other',
      topics: ['a'],
      owned: [],
      generation: -1,
    });
  });
});
