import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codePoint } from '../../../test/support/code-point.ts';
import { batchOf, type Cell, CellBatch, CellRow } from './cell-batch.ts';
import { unitsOfCells } from './cell-batches.ts';
import { encodeColumn } from './column.ts';
import { INSERTS_MAX } from './inserts.ts';
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

const nameOf = (key: Buffer, column: Buffer) => `${key.toString('hex')} ${column.toString('hex')}`;

/** Looks at what goes in requests, of which `check` sees each, as keys and bytes of values. */
function expectAllSent(
  given: readonly Cell[],
  mayJoin: boolean,
  check: (sent: readonly { readonly key: string; readonly bytes: number }[]) => void,
): void {
  const expected = new Map(
    given.map(({ key, column, value, ttlSeconds }) => [
      nameOf(key, column),
      [value.toString('hex'), ttlSeconds],
    ]),
  );
  const sent = new Map<string, unknown>();
  for (const { statements, indexes, routingKey } of unitsOfCells(batchOf(given), mayJoin)) {
    expect(statements.length).toBeGreaterThan(0);
    expect(statements.length).toBeLessThanOrEqual(INSERTS_MAX);
    expect(indexes).toHaveLength(statements.length);
    const of = statements.map(({ params }, i) => {
      const [key, column, value, ttl] = params as [Buffer, Buffer, Buffer, number];
      expect(given[indexes[i] as number]).toMatchObject({ key, column, value });
      const name = nameOf(key, column);
      expect(sent.has(name)).toBe(false);
      sent.set(name, [value.toString('hex'), ttl]);
      return { key: key.toString('hex'), bytes: value.length };
    });
    expect(routingKey?.toString('hex')).toBe(of[0]?.key);
    check(of);
  }
  expect(sent).toEqual(expected);
}

const countOf = (sent: readonly { readonly key: string }[]) =>
  new Set(sent.map(({ key }) => key)).size;

test('requests carry each cell’s last value once, cells of one row each, in bounds', () => {
  fc.assert(
    fc.property(cells, (given) =>
      expectAllSent(given, false, (sent) => expect(countOf(sent)).toBe(1)),
    ),
  );
});

test('short rows share requests that Cassandra takes without a warning, where one node has all', () => {
  const given = fc
    .tuple(cells, fc.array(fc.tuple(fc.nat({ max: 60 }), values), { maxLength: 300 }))
    .map(([few, many]) => [
      ...few,
      ...many.map(([row, value]) => ({
        key: Buffer.from(`row ${row}`),
        column: encodeColumn(row % 7),
        value: encodeValue(value),
        ttlSeconds: 0,
      })),
    ]);
  fc.assert(
    fc.property(given, (all) =>
      expectAllSent(all, true, (sent) => {
        const count = countOf(sent);
        if (count === 1) return;
        expect(count).toBeLessThanOrEqual(10);
        const bytes = sent.reduce((sum, each) => sum + 48 + each.bytes, count * 40);
        expect(bytes).toBeLessThanOrEqual(5_120);
      }),
    ),
  );
});

test.each([
  [1, 10],
  [8, 10],
  [20, 4],
  [50, 1],
])('of rows with %d numbers each, %d share a request', (count, together) => {
  const given = Array.from({ length: 40 }, (_, row) =>
    Array.from({ length: count }, (_, i) => ({
      key: Buffer.from(`row ${row}`),
      column: encodeColumn(i),
      value: encodeValue(0.1),
      ttlSeconds: 0,
    })),
  ).flat();
  const sizes = [...unitsOfCells(batchOf(given), true)].map(({ indexes }) => indexes.length);
  expect(sizes).toEqual(Array(40 / together).fill(together * count));
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
