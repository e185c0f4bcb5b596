import fc from 'fast-check';
import { expect, test } from 'vitest';
import { forecastCapacity, studentQuantile } from './capacity.ts';

const options = { horizon: 24 * 30, capacity: 100, confidence: 0.95 };
const hours = (count: number, at: (hour: number) => number) =>
  Array.from({ length: count }, (_, i) => at(i));

test('a disk that grows by 1 % each hour from 50 is full in 50 hours, by a line, within its interval', () => {
  const found = forecastCapacity(
    hours(24, (h) => 50 + h + (h % 2) / 10),
    options,
  );
  expect(found.model).toBe('trend');
  const { expected, earliest, latest } = found.fullIn;
  expect(expected).toBeGreaterThan(25);
  expect(expected).toBeLessThan(29);
  expect(earliest).toBeLessThanOrEqual(expected as number);
  expect(latest).toBeGreaterThanOrEqual(expected as number);
});

test('a daily season is told from growth', () => {
  const at = (h: number) => 40 + h / 24 + 5 * Math.sin((2 * Math.PI * h) / 24);
  const found = forecastCapacity(hours(14 * 24, at), options);
  expect(found.model).toBe('holt-winters');
  for (let h = 0; h < 48; h++) expect(found.mean[h]).toBeCloseTo(at(14 * 24 + h), 0);
  // At 1 % a day from 54 % it is 41 days at its daily peak, beyond the horizon.
  expect(found.fullIn.expected).toBeNull();
  const longer = forecastCapacity(hours(14 * 24, at), { ...options, horizon: 24 * 60 });
  expect((longer.fullIn.expected as number) / 24).toBeGreaterThan(38);
  expect((longer.fullIn.expected as number) / 24).toBeLessThan(44);
});

test('too little says why, what is full is full now, what stands still is never full', () => {
  expect(forecastCapacity([1, 2, 3], options)).toMatchObject({
    model: null,
    reason: '6 hours without a gap are needed; 3 are stored',
    fullIn: { expected: null },
  });
  expect(
    forecastCapacity(
      hours(10, () => 100),
      options,
    ).fullIn.expected,
  ).toBe(0);
  for (const count of [10, 200]) {
    const still = forecastCapacity(
      hours(count, () => 42),
      options,
    );
    expect(still.fullIn).toEqual({ expected: null, earliest: null, latest: null });
    expect(still.upper.at(-1)).toBeCloseTo(42, 6);
  }
});

test('no history of finite numbers gives anything that is not finite, nor bounds the wrong way round', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 80 }),
      (values) => {
        const { mean, lower, upper } = forecastCapacity(values, { ...options, horizon: 48 });
        for (let i = 0; i < mean.length; i++) {
          expect([lower[i], mean[i], upper[i]].every(Number.isFinite)).toBe(true);
          expect(lower[i] as number).toBeLessThanOrEqual(upper[i] as number);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('Student’s t is that of the tables within one percent', () => {
  // Two-sided 95 %: 4, 10 and 22 degrees of freedom.
  for (const [degrees, t] of [
    [4, 2.776],
    [10, 2.228],
    [22, 2.074],
  ] as const)
    expect(Math.abs(studentQuantile(0.975, degrees) / t - 1)).toBeLessThan(0.01);
});
