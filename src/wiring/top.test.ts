import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Top } from './top.ts';

it('the first of many are those that sorting all of them would put first', () => {
  const compare = (a: number, b: number) => a - b;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ max: 50 })),
      fc.integer({ min: 0, max: 20 }),
      (all, limit) => {
        const top = new Top<number>(limit, compare);
        for (const item of all) top.add(item);
        expect(top.sorted()).toEqual([...all].sort(compare).slice(0, limit));
      },
    ),
  );
});

it('what comes after all that is kept is not taken once the limit is reached', () => {
  const top = new Top<number>(2, (a, b) => a - b);
  expect(top.takes(9)).toBe(true);
  top.add(3);
  top.add(5);
  expect([2, 4, 5, 6].map((item) => top.takes(item))).toEqual([true, true, false, false]);
});
