import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codePoint } from '../../../test/support/code-point.ts';
import { batchOf, CellBatch, CellRow } from './cell-batch.ts';
import { unitsOfCells } from './cell-batches.ts';
import { encodeColumn } from './column.ts';
import { encodeValue } from './value.ts';

const values = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -200n, max: 200n }),
  fc.double(),
  fc.string({ unit: codePoint, maxLength: 60 }),
);
const cells = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'ab', 'é').map((text) => Buffer.from(text)),
    column: fc.integer({ min: 0, max: 5 }).map(encodeColumn),
    value: values.map(encodeValue),
    ttlSeconds: fc.constantFrom(0, 60, -1),
  }),
  { maxLength: 700 },
);

const valueAt = (batch: CellBatch, cell: number) =>
  batch.bytes.subarray(batch.startOf(cell), batch.ends[cell]);

test('values stand in a batch as they are encoded one by one, also when it is used again', () => {
  const batch = new CellBatch();
  fc.assert(
    fc.property(fc.array(values, { maxLength: 200 }), (given) => {
      batch.clear();
      const row = batch.addRow(new CellRow(Buffer.from('row')));
      for (const [i, value] of given.entries()) batch.addValue(row, i, 0, value);
      expect(batch.count).toBe(given.length);
      for (const [i, value] of given.entries())
        expect(valueAt(batch, i).equals(encodeValue(value))).toBe(true);
    }),
  );
});

test('requests carry each cell’s last value once, cells of one row each, in bounds', () => {
  fc.assert(
    fc.property(cells, (given) => {
      const expected = new Map(
        given.map(({ key, column, value, ttlSeconds }) => [
          `${key.toString('hex')} ${column.toString('hex')}`,
          [value.toString('hex'), ttlSeconds],
        ]),
      );
      const sent = new Map<string, unknown>();
      for (const { statements, indexes, routingKey } of unitsOfCells(batchOf(given))) {
        expect(statements.length).toBeGreaterThan(0);
        expect(statements.length).toBeLessThanOrEqual(250);
        expect(indexes).toHaveLength(statements.length);
        for (const [i, { params }] of statements.entries()) {
          const [key, column, value, ttl] = params as [Buffer, Buffer, Buffer, number];
          expect(key).toBe(routingKey);
          expect(given[indexes[i] as number]?.value).toEqual(value);
          const name = `${key.toString('hex')} ${column.toString('hex')}`;
          expect(sent.has(name)).toBe(false);
          sent.set(name, [value.toString('hex'), ttl]);
        }
      }
      expect(sent).toEqual(expected);
    }),
  );
});

test('a row of large values goes in several requests', () => {
  const key = Buffer.from('row');
  const value = Buffer.alloc(60_000);
  const given = [1, 2, 3, 4, 5].map((n) => ({
    key,
    column: encodeColumn(n),
    value,
    ttlSeconds: 0,
  }));
  const sizes = [...unitsOfCells(batchOf(given))].map(({ statements }) => statements.length);
  expect(sizes).toEqual([2, 2, 1]);
});

test('a part of a batch is a batch of those cells alone', () => {
  fc.assert(
    fc.property(
      cells,
      fc.array(fc.boolean(), { minLength: 700, maxLength: 700 }),
      (given, keep) => {
        const part = batchOf(given).filter((cell) => keep[cell] as boolean);
        const left = given.filter((_, cell) => keep[cell]);
        expect(part.count).toBe(left.length);
        for (const [i, { key, column, value, ttlSeconds }] of left.entries()) {
          expect(part.rows[part.rowAt[i] as number]?.key.equals(key)).toBe(true);
          expect(part.columns[i]).toBe(column.readUInt32BE(0));
          expect(valueAt(part, i).equals(value)).toBe(true);
          expect(part.lives[i]).toBe(ttlSeconds);
        }
      },
    ),
  );
});
