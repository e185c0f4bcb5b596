import { expect, test } from 'vitest';
import { quantileOfSorted } from './quantile.ts';

test.each([
  { q: 0, hazen: 1, linear: 1 },
  { q: 0.25, hazen: 1.5, linear: 1.75 },
  { q: 0.5, hazen: 2.5, linear: 2.5 },
  { q: 0.9, hazen: 10, linear: 7.9 },
  { q: 1, hazen: 10, linear: 10 },
])('the $q-quantile of 1 2 3 10 is $hazen (Hazen) or $linear (linear)', ({ q, hazen, linear }) => {
  expect(quantileOfSorted([1, 2, 3, 10], q)).toBe(hazen);
  expect(quantileOfSorted([1, 2, 3, 10], q, 'linear')).toBeCloseTo(linear, 12);
});

test('one value is each of its quantiles; none have none', () => {
  for (const q of [0, 0.5, 1]) {
    expect(quantileOfSorted([7], q)).toBe(7);
    expect(quantileOfSorted([], q)).toBeNaN();
  }
});

test('between the most distant numbers there is a number', () => {
  const far = [-Number.MAX_VALUE, Number.MAX_VALUE];
  expect(quantileOfSorted(far, 0.5)).toBe(0);
});

test.each([-0.01, 1.01, Number.NaN])('share %s is refused', (q) => {
  expect(() => quantileOfSorted([1], q)).toThrow(
    expect.objectContaining({ code: 'QUANTILE_INVALID' }),
  );
});
