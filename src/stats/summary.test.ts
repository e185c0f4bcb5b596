import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Moments } from './moments.ts';
import { Summary } from './summary.ts';
import { TDigest } from './t-digest.ts';

function summaryOf(values: Iterable<number>): Summary {
  const summary = new Summary();
  for (const x of values) summary.add(x);
  return summary;
}

const values = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 512 }), { maxLength: 900 }),
  fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 500 }),
);

/** A digest does not tell a zero's sign. */
const unsigned = (numbers: readonly number[]) => numbers.map((x) => (x === 0 ? 0 : x));

test('a summary says what moments and digest say apart', () => {
  fc.assert(
    fc.property(values, (all) => {
      const summary = summaryOf(all);
      const moments = new Moments();
      const digest = new TDigest();
      for (const x of all) {
        moments.add(x);
        digest.add(x);
      }
      const { count, sum, min, max, mean, stddev } = summary;
      expect(unsigned([count, sum, min, max, mean, stddev])).toEqual(
        unsigned([
          moments.count,
          moments.sum,
          moments.min,
          moments.max,
          moments.mean,
          moments.stddev,
        ]),
      );
      expect(summary.digest.toBytes()).toEqual(digest.toBytes());
      expect(summary.quantile(0.95)).toBe(digest.quantile(0.95));
      expect(summary.quantiles([0.5, 0.99])).toEqual(digest.quantiles([0.5, 0.99]));
    }),
    // Found by a run of its own.
    { examples: [[[-0]]] },
  );
});

test('merged parts are the whole', () => {
  const part = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 200 });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      const merged = new Summary();
      for (const all of parts) merged.merge(summaryOf(all));
      const whole = summaryOf(parts.flat());
      expect(merged.sum).toBe(whole.sum);
      expect(merged.digest.toBytes()).toEqual(whole.digest.toBytes());
      if (whole.count > 0) expect(merged.stddev).toBeCloseTo(whole.stddev, 9);
      else expect(merged.stddev).toBeNaN();
    }),
  );
});

test('many merged at once say the same as merged one after the other', () => {
  // Few enough distinct values that nothing is blended, and then the order of merges has no say.
  const value = fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 90 }) },
    fc.constantFrom(-3, 0.5, 1_023, 1_024, 1e12, -0),
  );
  fc.assert(
    fc.property(fc.array(fc.array(value, { maxLength: 300 }), { maxLength: 20 }), (parts) => {
      const summaries = parts.map(summaryOf);
      const one = new Summary();
      for (const summary of summaries) one.merge(summary);
      for (const merged of [Summary.merged(summaries), Summary.merged(summaries)])
        expect(merged.toBytes()).toEqual(one.toBytes());
      expect(summaries.map((summary) => summary.toBytes())).toEqual(
        parts.map((part) => summaryOf(part).toBytes()),
      );
    }),
  );
});

test('many merged at once err no more than 0.01 where values are blended', () => {
  const all = Array.from({ length: 40_000 }, (_, i) => ((i * 7_919) % 40_000) / 3);
  const parts = Array.from({ length: 80 }, (_, part) =>
    summaryOf(all.slice(part * 500, part * 500 + 500)),
  );
  const merged = Summary.merged(parts);
  expect(merged.count).toBe(40_000);
  for (const q of [0.5, 0.95, 0.99])
    expect(Math.abs((merged.quantile(q) * 3) / 40_000 - q)).toBeLessThan(0.01);
});

test('stored and restored anywhere, a summary goes on as if it had never stopped', () => {
  fc.assert(
    fc.property(values, fc.nat(), (all, at) => {
      const stop = at % (all.length + 1);
      let summary = summaryOf(all.slice(0, stop));
      summary = Summary.fromBytes(summary.toBytes());
      for (const x of all.slice(stop)) summary.add(x);
      expect(summary.toBytes()).toEqual(summaryOf(all).toBytes());
    }),
  );
});

test('a clone and its original go separate ways', () => {
  const summary = summaryOf([1, 2]);
  const before = summary.toBytes();
  summary.clone().add(9);
  expect(summary.toBytes()).toEqual(before);
});

test('1 1 1 2 71 is written as the drawing says', () => {
  const hex = '01 0000000000005340 9a9999999969ae40 010064 03 0c02 0402 048a01 00'.replaceAll(
    ' ',
    '',
  );
  expect(summaryOf([1, 1, 1, 2, 71]).toBytes().toString('hex')).toBe(hex);
  expect(Summary.fromBytes(Buffer.from(hex, 'hex')).sum).toBe(76);
});

test('a value that is no finite number is refused and changes nothing', () => {
  const summary = summaryOf([1, 2]);
  const before = summary.toBytes();
  expect(() => summary.add(Number.NaN)).toThrow(
    expect.objectContaining({ code: 'DIGEST_VALUE_INVALID' }),
  );
  expect(summary.toBytes()).toEqual(before);
});

test.each(['', '02', `01${'00'.repeat(16)}`, `01${'00'.repeat(15)}c0${'0100640000'}`])(
  'bytes %s are DIGEST_CORRUPT',
  (hex) => {
    expect(() => Summary.fromBytes(Buffer.from(hex, 'hex'))).toThrow(
      expect.objectContaining({ code: 'DIGEST_CORRUPT' }),
    );
  },
);
