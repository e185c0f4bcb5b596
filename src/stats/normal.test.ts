import fc from 'fast-check';
import { expect, test } from 'vitest';
import { logNormalTail, normalQuantile, normalTail } from './normal.ts';

/** R 4.2: pnorm(z, lower.tail = FALSE). */
const tails: [number, number][] = [
  [-8, 0.9999999999999993],
  [-1, 0.8413447460685429],
  [0, 0.5],
  [1, 0.15865525393145705],
  [1.96, 0.024997895148220435],
  [2, 0.022750131948179212],
  [3, 0.0013498980316300946],
  [5, 2.866515718791939e-7],
  [10, 7.619853024160525e-24],
  [37, 5.725571222524577e-300],
];

test.each(tails)('the tail beyond %d is %d', (z, tail) => {
  expect(Math.abs(normalTail(z) / tail - 1)).toBeLessThan(1e-12);
});

test('the two ways to reckon the tail meet at 3', () => {
  const [below, above] = [normalTail(3 - 1e-12), normalTail(3)];
  expect(below).toBeGreaterThan(above);
  expect(below / above - 1).toBeLessThan(1e-11);
});

test('the logarithm of the tail goes on where the tail itself underflows', () => {
  expect(logNormalTail(100) / -5005.524208694205 - 1).toBeCloseTo(0, 13);
  expect(logNormalTail(1e6)).toBeGreaterThan(logNormalTail(1.1e6));
});

test('the quantile undoes the tail', () => {
  expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 14);
  expect(normalQuantile(0.5)).toBe(0);
  fc.assert(
    fc.property(fc.double({ min: 1e-300, max: 0.9999, noNaN: true }), (p) => {
      expect(Math.abs(normalTail(-normalQuantile(p)) / p - 1)).toBeLessThan(1e-11);
    }),
  );
});
