import { expect, test } from 'vitest';
import { parseReadCluster, tagIndexOf } from './kairos-store.ts';

test('a tag index names metrics, or tags of them', () => {
  expect(tagIndexOf(['disk', 'cpu|host', 'cpu|dc', 'a|b|c', '*'])).toEqual(
    new Map([
      ['disk', ['*']],
      ['cpu', ['host', 'dc']],
      ['a|b', ['c']],
      ['*', ['*']],
    ]),
  );
});

test('an older cluster has hosts, a keyspace and perhaps a span of time', () => {
  expect(parseReadCluster('h/k')).toEqual({
    hosts: ['h'],
    keyspace: 'k',
    datacenter: undefined,
    fromMs: Number.NEGATIVE_INFINITY,
    toMs: Number.POSITIVE_INFINITY,
  });
  expect(
    parseReadCluster('a;b:9043/k?datacenter=dc1&from=2020-01-01T00:00Z&to=2020-01-01T02:00+0100'),
  ).toEqual({
    hosts: ['a', 'b:9043'],
    keyspace: 'k',
    datacenter: 'dc1',
    fromMs: Date.UTC(2020, 0, 1),
    toMs: Date.UTC(2020, 0, 1, 1),
  });
});

test.each([
  ['h', 'expected host'],
  ['/k', 'expected host'],
  ['h/k?form=2020-01-01T00:00Z', 'form is none of datacenter, from, to'],
  ['h/k?from=2020-01-01', 'from is no time'],
  ['h/k?from=x', 'from is no time'],
  ['h/k?from=2020-01-01T00:00Z&to=2020-01-01T00:00Z', 'from must be before to'],
])('the older cluster %s is refused: %s', (text, why) => {
  expect(() => parseReadCluster(text)).toThrow(why);
});
