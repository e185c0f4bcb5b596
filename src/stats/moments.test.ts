import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Moments } from './moments.ts';

function momentsOf(values: readonly number[]): Moments {
  const moments = new Moments();
  for (const x of values) moments.add(x);
  return moments;
}

/** Two passes: what the one pass is held against. */
function stddev(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((a, x) => a + (x - mean) ** 2, 0) / values.length);
}

const latencies = fc.array(fc.integer({ min: 0, max: 512 }), { minLength: 1, maxLength: 300 });

test('no values have sum 0 and no extremes, mean or spread', () => {
  const none = new Moments();
  expect([none.count, none.sum]).toEqual([0, 0]);
  for (const x of [none.min, none.max, none.mean, none.stddev]) expect(x).toBeNaN();
});

test('2 4 4 4 5 5 7 9 have mean 5 and population deviation 2', () => {
  const moments = momentsOf([2, 4, 4, 4, 5, 5, 7, 9]);
  expect([moments.count, moments.sum, moments.min, moments.max]).toEqual([8, 40, 2, 9]);
  expect([moments.mean, moments.stddev]).toEqual([5, 2]);
});

test('sum and extremes of whole numbers are exact, and the deviation is that of two passes', () => {
  fc.assert(
    fc.property(latencies, (values) => {
      const moments = momentsOf(values);
      expect(moments.sum).toBe(values.reduce((a, b) => a + b, 0));
      expect([moments.min, moments.max]).toEqual([Math.min(...values), Math.max(...values)]);
      expect(moments.mean).toBe(moments.sum / values.length);
      expect(moments.stddev).toBeCloseTo(stddev(values), 9);
    }),
  );
});

test('large numbers close together keep their deviation', () => {
  const values = Array.from({ length: 1_000 }, (_, i) => 1e12 + (i % 2));
  expect(momentsOf(values).stddev).toBe(0.5);
});

test('equal values deviate by exactly 0 from a mean that is exactly theirs', () => {
  const moments = momentsOf(new Array(1_000).fill(0.1));
  expect([moments.mean, moments.stddev]).toEqual([0.1, 0]);
});

test('merged parts are the whole', () => {
  fc.assert(
    fc.property(fc.array(latencies, { minLength: 1, maxLength: 6 }), (parts) => {
      const merged = new Moments();
      for (const part of parts) merged.merge(momentsOf(part));
      const whole = momentsOf(parts.flat());
      expect([merged.count, merged.sum, merged.min, merged.max]).toEqual([
        whole.count,
        whole.sum,
        whole.min,
        whole.max,
      ]);
      expect(merged.stddev).toBeCloseTo(whole.stddev, 9);
    }),
  );
});

test('moments merged into themselves count twice', () => {
  const moments = momentsOf([1, 3]);
  moments.merge(moments);
  expect([moments.count, moments.sum, moments.stddev]).toEqual([4, 8, 1]);
});

test('decoding undoes encoding', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })), (values) => {
      const bytes = momentsOf(values).toBytes();
      expect(Moments.fromBytes(bytes).toBytes()).toEqual(bytes);
    }),
  );
  expect(momentsOf([1, 2]).toBytes().toString('hex')).toBe(
    `0102${'0000000000000840'}${'000000000000f03f'}${'0000000000000040'}${'000000000000e03f'}`,
  );
});

test.each(['', '02', '0101', '0100ff', `0101${'00'.repeat(8)}${'ff'.repeat(24)}`])(
  'bytes %s are DIGEST_CORRUPT',
  (hex) => {
    expect(() => Moments.fromBytes(Buffer.from(hex, 'hex'))).toThrow(
      expect.objectContaining({ code: 'DIGEST_CORRUPT' }),
    );
  },
);

test('what is no finite number is refused', () => {
  for (const x of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => new Moments().add(x)).toThrow(
      expect.objectContaining({ code: 'MOMENTS_VALUE_INVALID' }),
    );
  }
});
