import { expect, it } from 'vitest';
import { expectMergeable, expectRestorable, fold } from './aggregate.suite.ts';
import { sum } from './sum.ts';

const rows = (...numbers: unknown[]) => numbers.map((n) => ({ n }));

it('sums a field and counts its numbers; a record without one changes nothing', () => {
  expect(fold(sum('n'), rows(1, 2, null), [{}, { n: 'much' }], rows(3))).toEqual({
    sum: 6,
    count: 3,
  });
});

it('adds in the order of the log, so the bits are the same whatever the batches', () => {
  const numbers = [0.1, 0.2, 1e16, -1e16, 0.3];
  const inOne = fold(sum('n'), rows(...numbers));
  expect(fold(sum('n'), ...numbers.map((n) => rows(n)))).toEqual(inOne);
  expect(inOne.sum).toBe(0.1 + 0.2 + 1e16 - 1e16 + 0.3);
});

it('merges and restores exactly', () => {
  expectMergeable(sum('n'), rows(1, 2), rows(4));
  expectRestorable(sum('n'), rows(0.1, 0.2), rows(0.3));
});
