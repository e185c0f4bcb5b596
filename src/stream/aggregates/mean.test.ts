import { expect, it } from 'vitest';
import { expectMergeable, expectRestorable, fold } from './aggregate.suite.ts';
import { mean } from './mean.ts';

const rows = (...numbers: number[]) => numbers.map((n) => ({ n }));

it('gives the mean of all numbers, not of the parts’ means', () => {
  const aggregate = mean('n');
  const one = fold(aggregate, rows(1, 2, 3));
  aggregate.merge(one, fold(aggregate, rows(10)));
  expect(one).toMatchObject({ mean: 4, sum: 16, count: 4 });
});

it('is NaN where there was no number', () => {
  expect(fold(mean('n'), [{ n: 'none' }]).mean).toBeNaN();
});

it('merges and restores exactly', () => {
  expectMergeable(mean('n'), rows(1, 2), rows(4));
  expectRestorable(mean('n'), rows(0.1, 0.2), rows(0.3));
});
