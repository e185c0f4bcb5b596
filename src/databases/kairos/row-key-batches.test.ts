import { expect, test } from 'vitest';
import { unitsOfRowKeys } from './row-key-batches.ts';
import { statements } from './statements.ts';
import type { TagList } from './tag-string.ts';

const entryOf = (metric: string, rowTimeMs: number, tags: TagList, indexedTags: TagList = []) => ({
  row: { metric, rowTimeMs, type: 'kairos_long', tags },
  indexedTags,
  ttlSeconds: 0,
});

test('row keys of one metric and row time go together, at most 128 of them', () => {
  const entries = Array.from({ length: 600 }, (_, i) =>
    entryOf(`m${i % 2}`, 1_000 * (i % 4 < 2 ? 1 : 2), [['host', `h${i}`]]),
  );
  const units = [...unitsOfRowKeys(entries)];
  expect(units.map(({ indexes }) => indexes.length).sort()).toEqual(
    [...Array(4)].flatMap(() => [128, 22]).sort(),
  );
  expect(units.flatMap(({ indexes }) => indexes).sort((a, b) => a - b)).toEqual([
    ...entries.keys(),
  ]);
  for (const { indexes } of units) {
    const partitions = indexes.map((index) => {
      const { metric, rowTimeMs } = (entries[index] as (typeof entries)[0]).row;
      return `${metric} ${rowTimeMs}`;
    });
    expect(new Set(partitions).size).toBe(1);
  }
});

test('long tags go in fewer at a time', () => {
  const entries = Array.from({ length: 10 }, (_, i) =>
    entryOf('m', 0, [[`${i}`, 'x'.repeat(30_000)]]),
  );
  const sizes = [...unitsOfRowKeys(entries)].map(({ indexes }) => indexes.length);
  expect(sizes).toEqual([3, 3, 3, 1]);
});

test('entries of the tag index go together by tag, and stand for the entry that they are of', () => {
  const [eu, us] = [
    ['dc', 'eu'],
    ['dc', 'us'],
  ] as const;
  const web = ['app', 'web'] as const;
  const entries = [
    entryOf('m', 0, [web, eu], [web, eu]),
    entryOf('m', 0, [web, us], [web, us]),
    entryOf('m', 0, [eu]),
    entryOf('n', 0, [eu], [eu]),
  ];
  const tagged = [...unitsOfRowKeys(entries)]
    .map((unit) => ({ ...unit, indexes: unit.indexes, statements: unit.statements }))
    .filter(({ statements: [first] }) => first?.query === statements.writeTaggedRowKey);
  expect(tagged.map(({ indexes }) => indexes)).toEqual([[0, 1], [0], [1], [3]]);
  expect(tagged.map(({ statements: [first] }) => first?.params[3])).toEqual([
    'app=web',
    'dc=eu',
    'dc=us',
    'dc=eu',
  ]);
});
