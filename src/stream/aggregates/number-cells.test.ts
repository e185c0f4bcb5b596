import fc from 'fast-check';
import { expect, it } from 'vitest';
import { batchOf } from './aggregate.suite.ts';
import { numberCells } from './number-cells.ts';

const cells = (rows: readonly unknown[]) => {
  const batch = batchOf(rows.map((n) => ({ n })));
  const cell = numberCells(batch, 'n');
  return rows.map((_, i) => cell(i));
};

it('reads finite numbers, and numbers written as text; everything else is none', () => {
  const given = [1.5, -2e3, '7', '-0.5', '', ' 8', 'hot', '0x10', true, null, [1], { a: 1 }];
  const none = Number.NaN;
  expect(cells(given)).toEqual([1.5, -2e3, 7, -0.5, ...new Array(8).fill(none)]);
});

it('reads no infinity, which JSON can write as 1e999', () => {
  const batch = batchOf([{ n: 1 }]);
  const column = Float64Array.of(Number.POSITIVE_INFINITY);
  expect(numberCells({ ...batch, columns: { n: column } }, 'n')(0)).toBeNaN();
  expect(cells(['1e999'])).toEqual([Number.NaN]);
});

it('reads a cell alike whatever else is in its batch', () => {
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
    fc.string(),
    fc.double({ noNaN: true }).map(String),
    fc.boolean(),
  );
  fc.assert(
    fc.property(fc.array(value, { minLength: 1 }), (values) => {
      const alone = values.map((one) => cells([one])[0]);
      expect(cells(values)).toEqual(alone);
    }),
  );
});

it('names the fields there are when a schema has no such field', () => {
  const { absent: _, ...batch } = batchOf([{ celsius: 1 }]);
  expect(() => numberCells(batch, 'celcius')).toThrow(/no field "celcius".*celsius/);
});
