import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CellPacker, cellsOf, eachCell } from './packed-cells.ts';
import { installPackedResults, PACKED_COLUMN, PACKED_VALUE, packedPage } from './packed-results.ts';
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

test('the driver in use hands over our rows as bytes, and all others as ever', () => {
  installPackedResults();
  const require = createRequire(import.meta.url);
  const { Parser } = require('cassandra-driver/lib/streams.js');
  const { FrameReader } = require('cassandra-driver/lib/readers.js');
  const parser = new Parser({ objectMode: true }, { decode: (bytes: Buffer) => bytes });
  const body = Buffer.from('00000001 00000004 00000007 00000002 beef'.replaceAll(' ', ''), 'hex');
  const parse = (names: readonly string[]) => {
    const pushed: Record<string, unknown>[] = [];
    parser.push = (item: Record<string, unknown>) => pushed.push(item);
    const columns = names.map((name) => ({ name, type: { code: 3 } }));
    const header = { streamId: 1 };
    parser.parseRows({ header, meta: { columns } }, new FrameReader(header, body, 0));
    return pushed;
  };
  const [ours] = parse([PACKED_COLUMN, PACKED_VALUE]);
  const { rows } = (ours as { result: { rows: never[] } }).result;
  const expected = [{ column: Buffer.from('00000007', 'hex'), value: Buffer.from('beef', 'hex') }];
  const page = packedPage(rows);
  expect(cellsOf(page)).toEqual(expected);
  page.release?.();
  expect(page.bytes).toHaveLength(0);
  const [other] = parse(['column1', 'value']);
  expect(other).toMatchObject({ row: { column1: expected[0]?.column, value: expected[0]?.value } });
  // As a driver that knows nothing of it would give them.
  const plain = { [PACKED_COLUMN]: expected[0]?.column, [PACKED_VALUE]: expected[0]?.value };
  expect(cellsOf(packedPage([plain as never]))).toEqual(expected);
});
