import { expect, it } from 'vitest';
import { expectMergeable, expectRestorable, fold } from './aggregate.suite.ts';
import { collect } from './collect.ts';
import { combine } from './combine.ts';
import { count } from './count.ts';
import { sum } from './sum.ts';

const both = combine({ records: count(), total: sum('n'), first: collect<object>({ limit: 1 }) });
const rows = (...numbers: unknown[]) => numbers.map((n) => ({ n }));

it('keeps each part under its name', () => {
  const state = fold(both, rows(1, 'x', 2));
  expect(state.records.count).toBe(3);
  expect(state.total.sum).toBe(3);
  expect(state.first.rows).toEqual([{ n: 1 }]);
});

it('is named by its parts, so that changing one changes the topology’s hash', () => {
  expect(both.name).toBe('combine(records=count, total=sum(n), first=collect(1))');
});

it('merges and restores exactly', () => {
  expectMergeable(both, rows(1, 2), rows(4));
  expectRestorable(both, rows(1, 2), rows(4));
});
