/** Cells as the cache keeps them: what is packed comes out again, whole or in part. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Cell, rawRunOf, unpacked } from './kept-cells.suite.ts';
import { countBelow, partOf } from './kept-cells.ts';
import { RawPacker } from './raw-run.ts';

const cells = fc
  .uniqueArray(
    fc.tuple(
      fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 0xffff_ffff })),
      fc.oneof(fc.uint8Array({ maxLength: 9 }), fc.uint8Array({ minLength: 120, maxLength: 300 })),
    ),
    { selector: ([column]) => column, maxLength: 60 },
  )
  .map((each) =>
    each
      .sort(([a], [b]) => a - b)
      .map(([column, value]): Cell => [column, Buffer.from(value).toString('hex')]),
  );

test('unpacking undoes packing, of any part and of several runs', () => {
  fc.assert(
    fc.property(cells, fc.nat(), fc.nat(), (given, a, b) => {
      const start = given[0]?.[0] ?? 0;
      const run = rawRunOf(given, start);
      expect(unpacked(run)).toEqual(given);
      const skip = a % (given.length + 1);
      const count = b % (given.length - skip + 1);
      expect(unpacked(partOf(run, skip, count))).toEqual(given.slice(skip, skip + count));
      expect(unpacked(partOf(run, 0, skip), partOf(run, skip, given.length - skip))).toEqual(given);
      const [column] = given[skip] ?? [0xffff_ffff];
      const below = given.filter(([each]) => each < column).length;
      expect(countBelow(run, column)).toBe(below);
    }),
  );
});

test('packing goes on where it ended', () => {
  fc.assert(
    fc.property(cells, fc.nat(), (given, a) => {
      const cut = a % (given.length + 1);
      const start = given[0]?.[0] ?? 0;
      const first = new RawPacker({ column: start, distance: 0, length: 0 });
      const add = (packer: RawPacker, [column, hex]: Cell) => {
        const value = Buffer.from(hex, 'hex');
        packer.add(column, value, 0, value.length);
      };
      for (const each of given.slice(0, cut)) add(first, each);
      const bytes = Buffer.alloc(first.bytes);
      first.copyInto(bytes, 0);
      const second = new RawPacker(first.end);
      for (const each of given.slice(cut)) add(second, each);
      const rest = Buffer.alloc(second.bytes);
      second.copyInto(rest, 0);
      expect(Buffer.concat([bytes, rest])).toEqual(rawRunOf(given, start).bytes);
    }),
  );
});

test('a double at a steady pace takes nine bytes', () => {
  const given = Array.from(
    { length: 1_000 },
    (_, i): Cell => [7 + i * 300_000, (0x1234567890 + i).toString(16).padStart(16, '0')],
  );
  expect(rawRunOf(given, 7).bytes.length).toBeLessThan(9 * 1_000 + 10);
});
