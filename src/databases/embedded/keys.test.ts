import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codePoint } from '../../../test/support/code-point.ts';
import { behind, prefixKey, textKey, timeKey } from './keys.ts';

const name = fc.string({ unit: codePoint, maxLength: 60 });

test('keys of texts order as their UTF-8 bytes do', () => {
  fc.assert(
    fc.property(name, name, (a, b) => {
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
      expect(Buffer.compare(textKey(a), textKey(b))).toBe(expected);
    }),
  );
});

test('keys of one text never begin keys of another, so parts can follow one another', () => {
  const part = fc.oneof(name, fc.stringMatching(/^[\0a]{0,6}$/), fc.constant('x'.repeat(2_000)));
  fc.assert(
    fc.property(part, part, part, part, (a, b, c, d) => {
      const same = a === c && b === d;
      const left = Buffer.concat([textKey(a), textKey(b)]);
      const right = Buffer.concat([textKey(c), textKey(d)]);
      expect(left.equals(right)).toBe(same);
    }),
  );
});

test('a text of any length gives a key of at most 427 bytes, and differing texts differing keys', () => {
  const long = 'x'.repeat(60_000);
  expect(textKey(long).length).toBeLessThanOrEqual(427);
  expect(textKey('\0'.repeat(60_000)).length).toBeLessThanOrEqual(427);
  expect(textKey(`${long}a`).equals(textKey(`${long}b`))).toBe(false);
});

test('a key of a text begins with the key of its prefix', () => {
  fc.assert(
    fc.property(name, name, fc.nat(500), (a, b, fill) => {
      const prefix = 'p'.repeat(fill) + a;
      const key = textKey(prefix + b);
      const stem = prefixKey(prefix);
      expect(key.subarray(0, stem.length).equals(stem)).toBe(true);
    }),
  );
});

test('keys of times order as the times do', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.maxSafeInteger(), (a, b) => {
      expect(Buffer.compare(timeKey(a), timeKey(b))).toBe(Math.sign(a - b));
    }),
  );
});

test.each([
  ['6100', '6101'],
  ['61ff', '62'],
  ['ffff', undefined],
])('behind all keys that begin with %s comes %s', (stem, next) => {
  expect(behind(Buffer.from(stem, 'hex'))?.toString('hex')).toBe(next);
});
