import fc from 'fast-check';
import { expect, test } from 'vitest';
import { leastFrom, placeNth } from './nth.ts';

const numbers = fc.oneof(
  fc.array(fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN)), { minLength: 1 }),
  fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 300 }),
  fc.array(fc.double({ noNaN: true }), { minLength: 50, maxLength: 500 }),
);
/** What a pivot in the middle is worst for. */
const slopes = fc
  .integer({ min: 40, max: 2_000 })
  .map((length) => [
    ...Array.from({ length }, (_, i) => i),
    ...Array.from({ length }, (_, i) => length - i),
  ]);

test('it is the number that sorting puts there, and the next one is the least behind it', () => {
  fc.assert(
    fc.property(fc.oneof(numbers, slopes), fc.nat(), (given, place) => {
      const n = place % given.length;
      const values = Float64Array.from(given);
      const sorted = values.toSorted();
      placeNth(values, n);
      expect(values[n]).toBe(sorted[n]);
      if (n + 1 < given.length) expect(leastFrom(values, n + 1)).toBe(sorted[n + 1]);
      expect(values.toSorted()).toEqual(sorted);
    }),
    { numRuns: 500 },
  );
});
