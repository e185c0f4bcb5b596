import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeRowKey } from './row-key.ts';
import { type Series, SeriesCache } from './series.ts';
import { formatTags, tagListOf } from './tag-string.ts';
import { DOUBLE_TYPE, LONG_TYPE } from './value.ts';

const texts = fc.constantFrom('a', 'b', 'é', ':', '=', '10', '9', '', '__proto__', 'constructor');
const named = fc.record({
  metric: fc.constantFrom('m', 'é', 'm:a=b'),
  type: fc.constantFrom(LONG_TYPE, DOUBLE_TYPE),
  tags: fc.array(fc.tuple(texts, texts), { maxLength: 4 }),
});

/** A fresh object, with names in the order given. */
const tagsOf = (tags: readonly (readonly [string, string])[]) => Object.fromEntries(tags);

test('a series is known by its metric, type and tags, whatever objects and order they come in', () => {
  fc.assert(
    fc.property(fc.array(named, { maxLength: 50 }), (given) => {
      const cache = new SeriesCache(undefined);
      const seen = new Map<string, Series>();
      for (const { metric, type, tags } of given) {
        const record = tagsOf(tags);
        const series = cache.of(metric, record, type) as Series;
        const list = tagListOf(record);
        expect(series).toMatchObject({ metric, type, tags: list, tagString: formatTags(list) });
        const turned = tagsOf(Object.entries(record).reverse());
        expect(cache.of(metric, turned, type)).toBe(series);
        const name = JSON.stringify([metric, type, list]);
        expect(seen.get(name) ?? series).toBe(series);
        seen.set(name, series);
      }
      expect(new Set(seen.values()).size).toBe(seen.size);
    }),
  );
});

test('a series from the log is the one that points have', () => {
  const cache = new SeriesCache(undefined);
  const record = Buffer.from('metricé host=a:');
  const [metric, tags] = [Buffer.from('metricé'), Buffer.from('host=a:')];
  const packed = Buffer.concat([record, metric, tags]);
  const at = record.length;
  const series = cache.packed(packed, at, at + metric.length, packed.length, LONG_TYPE);
  expect(cache.of('metricé', { host: 'a' }, LONG_TYPE)).toBe(series);
  expect(cache.of('metricé', { host: 'a' }, DOUBLE_TYPE)).not.toBe(series);
});

test('rows of a series are made once each, with the keys that they have', () => {
  const cache = new SeriesCache(undefined);
  const series = cache.of('m', { host: 'a' }, LONG_TYPE) as Series;
  const times = [0, 5, 0, 7, 5, 0, 7];
  const rows = times.map((rowTimeMs) => cache.rowOf(series, rowTimeMs));
  for (const [i, row] of rows.entries()) {
    expect(row).toBe(rows[times.indexOf(times[i] as number)]);
    expect(row.key).toEqual(encodeRowKey(row.row));
    expect(row.row.rowTimeMs).toBe(times[i]);
  }
});

test('what can’t be stored is told each time and not remembered', () => {
  const cache = new SeriesCache(undefined);
  for (let i = 0; i < 2; i++) {
    expect(cache.of('', {}, LONG_TYPE)).toBe('the metric has no name');
    expect(cache.of('m', { host: 1 as never }, LONG_TYPE)).toMatch(/host.* no text/);
  }
});

test('past its bound all is made anew, and what came meanwhile is still what it was', () => {
  const cache = new SeriesCache(undefined, 20_000);
  const of = (n: number) => cache.of('m', { host: `${n}` }, LONG_TYPE) as Series;
  const first = of(0);
  const row = cache.rowOf(first, 0);
  for (let n = 1; n < 1_000; n++) of(n);
  expect(of(0)).toBe(first);
  cache.keepWithinBound();
  const again = of(0);
  expect(again).not.toBe(first);
  expect(again).toMatchObject({ tagString: 'host=0:' });
  expect(cache.rowOf(again, 0).key).toEqual(row.key);
  cache.keepWithinBound();
  expect(of(0)).toBe(again);
});
