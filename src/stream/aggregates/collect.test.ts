import { expect, it } from 'vitest';
import { expectMergeable, expectRestorable, fold } from './aggregate.suite.ts';
import { collect } from './collect.ts';

it('keeps the first rows in order and counts those it had no room for', () => {
  expect(fold(collect({ limit: 2 }), [{ a: 1 }, { a: 2 }], [{ a: 3 }])).toEqual({
    rows: [{ a: 1 }, { a: 2 }],
    omitted: 1,
  });
});

it('merges and restores exactly, omissions included', () => {
  for (const limit of [1, 2, 3, 4, 9]) {
    expectMergeable(collect({ limit }), [1, 2, 3], [4, 5]);
    expectRestorable(collect({ limit }), [{ a: 'x' }], [{ a: 'y' }]);
  }
});

it('refuses a limit that is none', () => {
  for (const limit of [0, -1, 1.5, Number.NaN]) {
    expect(() => collect({ limit })).toThrow(/limit is .*whole number/);
  }
});
