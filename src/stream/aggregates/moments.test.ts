import { expect, it } from 'vitest';
import { expectRestorable, fold } from './aggregate.suite.ts';
import { moments } from './moments.ts';

const rows = (...numbers: unknown[]) => numbers.map((n) => ({ n }));

it('gives count, sum, extremes, mean and population spread; passes over what is no number', () => {
  const { count, sum, min, max, mean, stddev } = fold(moments('n'), rows(2, 4, 'x', 6), [{}]);
  expect({ count, sum, min, max, mean, stddev }).toEqual({
    count: 3,
    sum: 12,
    min: 2,
    max: 6,
    mean: 4,
    stddev: Math.sqrt(8 / 3),
  });
});

it('merges and restores exactly', () => {
  const aggregate = moments('n');
  const whole = fold(aggregate, rows(1, 2));
  aggregate.merge(whole, fold(aggregate, rows(6)));
  expect([whole.count, whole.sum, whole.min, whole.max]).toEqual([3, 9, 1, 6]);
  expectRestorable(aggregate, rows(0.1, 0.7), rows(0.3, 9));
});
