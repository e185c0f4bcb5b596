import { expect, it } from 'vitest';
import { expectRestorable, fold } from './aggregate.suite.ts';
import { summary } from './summary.ts';

const rows = (...numbers: unknown[]) => numbers.map((n) => ({ n }));

it('gives moments and quantiles; passes over what is no number', () => {
  const state = fold(summary('n'), rows(1, 2, 3, 4, 'warm', 100), [{}]);
  expect([state.count, state.min, state.max, state.mean]).toEqual([5, 1, 100, 22]);
  expect(state.quantile(0.5)).toBe(3);
});

it('merges: the percentile of the whole, not the mean of percentiles', () => {
  const aggregate = summary('n');
  const whole = fold(aggregate, rows(...new Array(99).fill(1)));
  aggregate.merge(whole, fold(aggregate, rows(1000)));
  expect(whole.quantile(0.5)).toBe(1);
  expect(whole.max).toBe(1000);
});

it('restores exactly', () => {
  expectRestorable(summary('n'), rows(0.1, 0.7, 3), rows(0.3, 9));
});
