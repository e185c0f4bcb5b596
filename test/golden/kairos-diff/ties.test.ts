/** Ties pass, in each place where they may stand; whatever else differs does not. */
import { expect, it } from 'vitest';
import { type Answer, printedDifferences, verdictOf } from './ties.ts';

const answer = (values: readonly (readonly unknown[])[], more: object = {}): Answer => ({
  status: 200,
  body: { queries: [{ sample_size: values.length, results: [{ name: 'm', values, ...more }] }] },
});

it('texts of one millisecond may come in any order', () => {
  const ours = answer([
    [1, 's1'],
    [2, 's22'],
    [2, 's165'],
    [2, 's7'],
    [3, 's1'],
  ]);
  const theirs = answer([
    [1, 's1'],
    [2, 's165'],
    [2, 's7'],
    [2, 's22'],
    [3, 's1'],
  ]);
  expect(verdictOf(ours, [theirs, theirs])).toBe('tie');
  expect(verdictOf(ours, [theirs, ours])).toBe('tie that wavers');
});

it.each([
  ['texts of two milliseconds', [[1, 'a'], [2, 'b']], [[1, 'b'], [2, 'a']]], // biome-ignore format: a table
  ['numbers of one millisecond', [[1, 3], [1, 4]], [[1, 4], [1, 3]]], // biome-ignore format: a table
  ['another text', [[1, 'a'], [1, 'b']], [[1, 'a'], [1, 'c']]], // biome-ignore format: a table
  ['a text fewer', [[1, 'a'], [1, 'a']], [[1, 'a']]], // biome-ignore format: a table
  ['a text for a number', [[1, '4']], [[1, 4]]], // biome-ignore format: a table
])('%s is a difference', (_what, ours, theirs) => {
  expect(verdictOf(answer(ours), [answer(theirs), answer(theirs)])).toBe('difference');
});

it('another status or another tag is a difference, however the texts lie', () => {
  const values = [[1, 'a']];
  const ours = answer(values, { tags: { h: ['x', 'y'] } });
  expect(verdictOf(ours, [{ ...ours, status: 500 }])).toBe('difference');
  expect(verdictOf(ours, [answer(values, { tags: { h: ['y', 'x'] } })])).toBe('difference');
});

it('an aggregate that hangs on the order must be one that the reference gives too', () => {
  const [a, b] = [answer([[1, 'a']]), answer([[1, 'b']])];
  expect(verdictOf(a, [b, b, a, b])).toBe('tie that wavers');
  expect(verdictOf(a, [b, b, b])).toBe('difference');
});

it('tags behind a grouping by value are in no order', () => {
  const grouped = (h: string[]) => answer([[1, 2]], { group_by: [{ name: 'value' }], tags: { h } });
  expect(verdictOf(grouped(['x', 'y']), [grouped(['y', 'x'])])).toBe('tie');
});

it('what kairos-diff prints is read again, but for a request that it cut off', () => {
  const output = [
    'DIFFERS fuzz seed=9104 #203',
    `  request POST /api/v1/datapoints/query {"metrics":[{"name":"\${run}.text"}]}`,
    '  $.queries.0.results.3.values.5.1: reference "s22" candidate "s165"',
    'DIFFERS fuzz seed=9104 #204',
    '  request POST /api/v1/datapoints/query {"metrics":[{"na',
    '  status: reference 200 candidate 500',
    '498 same, 2 differ of 500',
  ].join('\n');
  const path = '/api/v1/datapoints/query';
  expect(printedDifferences(output)).toEqual([
    { label: 'fuzz seed=9104 #203', path, body: `{"metrics":[{"name":"\${run}.text"}]}` },
    { label: 'fuzz seed=9104 #204', path, body: undefined },
  ]);
});
