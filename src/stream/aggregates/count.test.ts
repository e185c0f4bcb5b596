import { expect, it } from 'vitest';
import { count } from './count.ts';
import { expectMergeable, expectRestorable, fold } from './testing.ts';

it('counts records, whatever is in them', () => {
  expect(fold(count(), [{ a: 1 }, {}, 'text'], [null])).toEqual({ count: 4 });
});

it('merges and restores exactly', () => {
  expectMergeable(count(), [1, 2], [3]);
  expectRestorable(count(), [1, 2], [3]);
});
