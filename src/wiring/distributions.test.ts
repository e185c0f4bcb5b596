/** Histograms out of digests hold every value once, in the bin it belongs to. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TDigest } from '../stats/index.ts';
import { distributionOf } from './distributions.ts';

test('bins of whole slots count exactly what was added, without gaps, up to the highest', () => {
  const slots = fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1, maxLength: 400 });
  fc.assert(
    fc.property(slots, (values) => {
      const digest = new TDigest();
      for (const value of values) digest.add(value);
      const { count, bins } = distributionOf(digest)!;
      expect(count).toBe(values.length);
      for (const [i, bin] of bins.entries()) {
        const within = values.filter((value) => value >= bin.from && value < bin.to);
        expect(bin.count).toBe(within.length);
        if (i > 0) expect(bin.from).toBe(bins[i - 1]!.to);
      }
      expect(bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(count);
    }),
  );
});

test('a digest without values has no distribution', () => {
  expect(distributionOf(new TDigest())).toBeUndefined();
});
