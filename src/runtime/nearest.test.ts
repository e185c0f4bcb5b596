import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editDistance, nearest } from './nearest.ts';

test('edit distance counts inserts, deletes, replacements and swaps', () => {
  expect(editDistance('', '')).toBe(0);
  expect(editDistance('port', 'port')).toBe(0);
  expect(editDistance('port', 'ports')).toBe(1);
  expect(editDistance('prot', 'port')).toBe(1);
  expect(editDistance('kitten', 'sitting')).toBe(3);
  expect(editDistance('abc', '')).toBe(3);
});

test('edit distance is symmetric and no longer than the longer word', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(distance === 0).toBe(a === b);
    }),
  );
});

test('the nearest word is found whatever the letter case', () => {
  expect(nearest('subscrbe', ['publish', 'subscribe', 'setup'])).toBe('subscribe');
  expect(nearest('TOPICS', ['topics', 'lag'])).toBe('topics');
  expect(nearest('x', [])).toBeUndefined();
});
