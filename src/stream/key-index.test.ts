import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Batch } from './batch.ts';
import { ByteDictionary } from './dictionary.ts';
import { columnNamed, KeyIndex, numbersNamed, textAt } from './key-index.ts';
import { rowsBatch } from './rows.ts';

interface Row {
  readonly a?: string;
  readonly b?: string;
  readonly n?: number;
}

const batchOf = (rows: readonly Row[]): Batch<Row> => {
  const zeros = new Float64Array(rows.length);
  const frame = { topic: 'in', partition: 0, watermark: 0 };
  return rowsBatch({ ...frame, rows, offsets: zeros, timestamps: zeros, watermarks: zeros });
};

/** Rows over one dictionary that grows from batch to batch, as a decoder's. */
const sharing = (dictionary: ByteDictionary) => (rows: readonly Row[]) => {
  const codes = (field: 'a' | 'b') =>
    Int32Array.from(rows, (row) => {
      const text = row[field];
      return text === undefined ? -1 : dictionary.intern(text);
    });
  const columns = { a: { codes: codes('a'), dictionary }, b: { codes: codes('b'), dictionary } };
  return { ...batchOf(rows), columns };
};

const texts = fc.option(fc.constantFrom('x', 'y', 'z', '', 'long text', 'ü'), { nil: undefined });
const rows = fc.array(
  fc
    .record({
      a: texts,
      b: texts,
      n: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    })
    .map(
      (row) => Object.fromEntries(Object.entries(row).filter(([, v]) => v !== undefined)) as Row,
    ),
  { maxLength: 40 },
);

describe('a key index', () => {
  for (const fields of [['a'], ['a', 'b'], ['b', 'a'], ['n'], ['a', 'n'], ['a', 'b', 'n'], []]) {
    it(`numbers the values of [${fields}] alike in every batch, whichever dictionary they come with`, () => {
      fc.assert(
        fc.property(fc.array(rows, { maxLength: 6 }), fc.boolean(), (batches, shared) => {
          const index = new KeyIndex(fields);
          const make = shared && !fields.includes('n') ? sharing(new ByteDictionary()) : batchOf;
          const known = new Map<string, number>();
          for (const drawn of batches) {
            const keyOf = index.reader(make(drawn));
            drawn.forEach((row, i) => {
              const values = fields.map((field) => row[field as keyof Row]);
              const key = keyOf(i);
              if (values.includes(undefined)) {
                expect(key).toBe(-1);
                return;
              }
              const id = JSON.stringify(values);
              if (!known.has(id)) known.set(id, known.size);
              expect(key).toBe(known.get(id));
              expect(index.values[key]).toEqual(values.map(String));
            });
          }
          expect(index.size).toBe(known.size);
        }),
      );
    });
  }

  it('knows a key that was given as texts, as from restored state', () => {
    const index = new KeyIndex(['a', 'b']);
    expect(index.find(['x', 'y'])).toBeUndefined();
    expect(index.numberOf(['x', 'y'])).toBe(0);
    expect(index.find(['x', 'y'])).toBe(0);
    const keyOf = index.reader(
      batchOf([
        { a: 'y', b: 'x' },
        { a: 'x', b: 'y' },
      ]),
    );
    expect([keyOf(0), keyOf(1)]).toEqual([1, 0]);
  });
});

describe('a column by name', () => {
  const batch = batchOf([{ a: 'x', n: 1 }, { a: 'y' }]);

  it('reads its cells as text, absent ones as undefined', () => {
    const cells = (field: string) => [0, 1].map((i) => textAt(columnNamed(batch, field), i));
    expect([cells('a'), cells('n'), cells('none')]).toEqual([
      ['x', 'y'],
      ['1', undefined],
      [undefined, undefined],
    ]);
  });

  it('is refused with the names that there are, when the schema has none like it or it is text', () => {
    const { absent: _, ...fixed } = batch;
    expect(() => columnNamed(fixed, 'none')).toThrow(
      'no field "none" in the rows of in; there are: a, n',
    );
    expect(() => numbersNamed(batch, 'a')).toThrow('field "a" of in is text');
    expect([...numbersNamed(batch, 'n')]).toEqual([1, Number.NaN]);
  });
});
