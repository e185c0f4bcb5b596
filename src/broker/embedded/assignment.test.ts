import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assignRanges } from './assignment.ts';

const show = (assigned: ReturnType<typeof assignRanges>) =>
  assigned.map((topics) => Object.fromEntries(topics));

test('one member has all, two have halves, a third makes ranges smaller', () => {
  const member = { topics: ['a'] };
  const four = () => 4;
  expect(show(assignRanges([member], four))).toEqual([{ a: [0, 1, 2, 3] }]);
  expect(show(assignRanges([member, member], four))).toEqual([{ a: [0, 1] }, { a: [2, 3] }]);
  expect(show(assignRanges([member, member, member], four))).toEqual([
    { a: [0, 1] },
    { a: [2] },
    { a: [3] },
  ]);
});

test('members beyond the partitions have none', () => {
  const member = { topics: ['a'] };
  const assigned = assignRanges([member, member, member], () => 2);
  expect(assigned.flatMap((topics) => topics.get('a') ?? []).sort()).toEqual([0, 1]);
});

test('a topic goes only to those that subscribe to it', () => {
  expect(show(assignRanges([{ topics: ['a', 'b'] }, { topics: ['b'] }], () => 2))).toEqual([
    { a: [0, 1], b: [0] },
    { b: [1] },
  ]);
});

test('every partition has exactly one owner; members alike share numbers over all topics, evenly', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 20 }),
      (members, left, right) => {
        const topics = ['left', 'right'];
        const width = (topic: string) => (topic === 'left' ? left : right);
        const assigned = assignRanges(
          Array.from({ length: members }, () => ({ topics })),
          width,
        );
        for (const topic of topics) {
          const all = assigned.flatMap((one) => one.get(topic) ?? []);
          expect(all).toEqual(Array.from({ length: width(topic) }, (_, i) => i));
        }
        const ownerOf = (topic: string, partition: number) =>
          assigned.findIndex((one) => one.get(topic)?.includes(partition));
        for (let partition = 0; partition < Math.min(left, right); partition++)
          expect(ownerOf('left', partition)).toBe(ownerOf('right', partition));
        const widest = left >= right ? 'left' : 'right';
        const sizes = assigned.map((one) => one.get(widest)?.length ?? 0);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      },
    ),
  );
});
