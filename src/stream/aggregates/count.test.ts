import { expect, it } from 'vitest';
import { expectMergeable, expectRestorable, fold } from './aggregate.suite.ts';
import { count } from './count.ts';

it('counts records, whatever is in them', () => {
  expect(fold(count(), [{ a: 1 }, {}, 'text'], [null])).toEqual({ count: 4 });
});

it('merges and restores exactly', () => {
  expectMergeable(count(), [1, 2], [3]);
  expectRestorable(count(), [1, 2], [3]);
});
