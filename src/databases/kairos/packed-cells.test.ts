import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CellPacker, cellsOf, eachCell } from './packed-cells.ts';
import {
  installPackedResults,
  PACKED_COLUMN,
  PACKED_KEY,
  PACKED_VALUE,
  packedByRow,
  packedPage,
} from './packed-results.ts';
import { decodeLong, encodeLong, smallLongAt } from './value.ts';

const cells = fc.array(
  fc.record({
    column: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
    value: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  }),
  { maxLength: 50 },
);

test('unpacking undoes packing, whatever stands behind the last cell', () => {
  fc.assert(
    fc.property(cells, fc.uint8Array({ maxLength: 9 }), (given, behind) => {
      const packer = new CellPacker(1);
      for (const { column, value } of given) {
        packer.add(column.readUInt32BE(0), value, 0, value.length);
      }
      const { bytes, count } = packer.page;
      expect(cellsOf({ bytes: Buffer.concat([bytes, behind]), count })).toEqual(given);
    }),
  );
});

test('a value without bytes, as a null is sent, counts as empty', () => {
  const bytes = Buffer.from(
    '00000004 00000007 ffffffff 00000004 00000008 00000001 2a'.replaceAll(' ', ''),
    'hex',
  );
  const seen: number[][] = [];
  eachCell({ bytes, count: 2 }, (i, column, _bytes, from, to) => seen.push([i, column, from, to]));
  expect(seen).toEqual([
    [0, 7, 12, 12],
    [1, 8, 24, 25],
  ]);
});

test('a long that a double holds is read as one, and no other', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (long) => {
      const bytes = Buffer.concat([Buffer.from([9]), encodeLong(long), Buffer.from([0x80])]);
      const small = smallLongAt(bytes, 1, bytes.length - 1);
      expect(small).toBe(bytes.length - 2 <= 7 ? Number(long) : undefined);
      if (small !== undefined) expect(BigInt(small)).toBe(decodeLong(encodeLong(long)));
    }),
  );
});

/** What the driver in use makes of a result with columns of these names. */
function parsed(body: Buffer, names: readonly string[]): Record<string, unknown>[] {
  installPackedResults();
  const require = createRequire(import.meta.url);
  const { Parser } = require('cassandra-driver/lib/streams.js');
  const { FrameReader } = require('cassandra-driver/lib/readers.js');
  const parser = new Parser({ objectMode: true }, { decode: (bytes: Buffer) => bytes });
  const pushed: Record<string, unknown>[] = [];
  parser.push = (item: Record<string, unknown>) => pushed.push(item);
  const columns = names.map((name) => ({ name, type: { code: 3 } }));
  const header = { streamId: 1 };
  parser.parseRows({ header, meta: { columns } }, new FrameReader(header, body, 0));
  return pushed;
}

const rowsOf = ([pushed]: readonly Record<string, unknown>[]) =>
  (pushed as { result: { rows: never[] } }).result.rows;

test('the driver in use hands over our rows as bytes, and all others as ever', () => {
  const body = Buffer.from('00000001 00000004 00000007 00000002 beef'.replaceAll(' ', ''), 'hex');
  const rows = rowsOf(parsed(body, [PACKED_COLUMN, PACKED_VALUE]));
  const expected = [{ column: Buffer.from('00000007', 'hex'), value: Buffer.from('beef', 'hex') }];
  const page = packedPage(rows);
  expect(cellsOf(page)).toEqual(expected);
  page.release?.();
  expect(page.bytes).toHaveLength(0);
  const [other] = parsed(body, ['column1', 'value']);
  expect(other).toMatchObject({ row: { column1: expected[0]?.column, value: expected[0]?.value } });
  // As a driver that knows nothing of it would give them.
  const plain = { [PACKED_COLUMN]: expected[0]?.column, [PACKED_VALUE]: expected[0]?.value };
  expect(cellsOf(packedPage([plain as never]))).toEqual(expected);
});

test('cells of several rows are cut at their keys, as bytes and as the driver itself gives them', () => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes));
  const rows = fc.uniqueArray(fc.tuple(key, cells), {
    selector: ([each]) => each.toString('latin1'),
    maxLength: 6,
  });
  const field = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(bytes.length);
    return [length, bytes];
  };
  fc.assert(
    fc.property(rows, (given) => {
      const flat = given.flatMap(([each, cellsOfRow]) =>
        cellsOfRow.map(({ column, value }) => [each, column, value] as const),
      );
      const count = Buffer.alloc(4);
      count.writeInt32BE(flat.length);
      const body = Buffer.concat([count, ...flat.flat().flatMap(field)]);
      const plain = flat.map(([each, column, value]) => ({
        [PACKED_KEY]: each,
        [PACKED_COLUMN]: column,
        [PACKED_VALUE]: value,
      }));
      const expected = given
        .filter(([, cellsOfRow]) => cellsOfRow.length > 0)
        .map(([each, cellsOfRow]) => [each.toString('latin1'), cellsOfRow]);
      const names = [PACKED_KEY, PACKED_COLUMN, PACKED_VALUE];
      for (const result of [rowsOf(parsed(body, names)), plain as never[]]) {
        const pages = [...packedByRow(result)].map(([each, page]) => [each, cellsOf(page)]);
        expect(pages).toEqual(expected);
      }
    }),
  );
});
