/** Cells as decimals: byte for byte what went in, whole or in part, and small where measurements are. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeValue, smallLongAt } from '../value.ts';
import { packDecimals } from './decimal-packer.ts';
import type { DecimalRun } from './decimal-run.ts';
import { type Cell, rawRunOf, unpacked } from './kept-cells.suite.ts';
import { countBelow, type KeptRun, keptDoubles, keptLongs, partOf } from './kept-cells.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Whatever it takes, unless `bytesMax` says otherwise. */
function decimals(runs: readonly KeptRun[], bytesMax = 1e9): DecimalRun | undefined {
  const bytes = packDecimals(runs, bytesMax);
  const count = runs.reduce((sum, run) => sum + run.count, 0);
  return bytes === undefined ? undefined : { bytes, skip: 0, count };
}

/** A test of decimals would be none if few were made. */
let made = 0;

const double = (arbitrary: fc.Arbitrary<number>) => arbitrary.map((each) => hex(encodeValue(each)));
const long = (arbitrary: fc.Arbitrary<bigint>) => arbitrary.map((each) => hex(encodeValue(each)));

const decimal = double(
  fc
    .tuple(fc.integer({ min: -1e6, max: 1e6 }), fc.nat(9))
    .map(([whole, digits]) => whole / 10 ** digits),
);
const oddDouble = fc.oneof(
  double(fc.double()),
  double(fc.constantFrom(0, -0, 5e-324, -5e-324, 1e-310, Infinity, -Infinity, 0.1 + 0.2, 1e22)),
  double(fc.integer({ min: -3, max: 3 }).map((each) => 2 ** 53 + each)),
  double(fc.integer({ min: -3, max: 3 }).map((each) => 2 ** 47 + each)),
  // Any bits at all, NaN with what it carries among them.
  fc.uint8Array({ minLength: 8, maxLength: 8 }).map(hex),
  fc.constantFrom('7ff8000000000000', '7ff8000000000001', 'fff0000000000001', '7ff0dead0000beef'),
);
const smallLong = long(fc.bigInt({ min: -70_000n, max: 70_000n }));
const oddLong = fc.oneof(
  long(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  long(fc.bigInt({ min: -3n, max: 3n }).map((each) => 2n ** 47n + each)),
  // Longer than they need be, cut off, and with something behind.
  fc.constantFrom('8000', '80808000', '80', '0000', '', 'ffffffffffffffffff01'),
);
const anything = fc.uint8Array({ maxLength: 300 }).map(hex);

const values = fc.oneof(
  fc.array(decimal, { maxLength: 60 }),
  fc.array(smallLong, { maxLength: 60 }),
  fc.array(fc.oneof({ weight: 20, arbitrary: decimal }, oddDouble), { maxLength: 60 }),
  fc.array(fc.oneof({ weight: 20, arbitrary: smallLong }, oddLong), { maxLength: 60 }),
  fc.array(fc.oneof({ weight: 30, arbitrary: decimal }, smallLong, anything), { maxLength: 60 }),
  fc.array(fc.oneof({ weight: 30, arbitrary: smallLong }, decimal, anything), { maxLength: 60 }),
  fc.array(fc.oneof(decimal, oddDouble, smallLong, oddLong, anything), { maxLength: 60 }),
);
const distances = fc.oneof(
  fc.constant(300_000),
  fc.constant(1),
  fc.integer({ min: 9_990, max: 10_010 }),
  fc.oneof({ weight: 20, arbitrary: fc.constant(10_000) }, fc.integer({ min: 1, max: 2 ** 26 })),
  fc.integer({ min: 1, max: 2 ** 26 }),
);
/** Distances of one kind mostly, so that some rows are steady. */
const cells = fc
  .tuple(
    values,
    fc.nat(1_000),
    fc.oneof(
      distances.map((each) => [each]),
      fc.array(distances, { minLength: 1 }),
    ),
  )
  .map(([given, first, steps]) => {
    let column = first;
    return given.map((value, i): Cell => {
      if (i > 0) column += steps[i % steps.length] as number;
      return [column, value];
    });
  });

test('what is packed comes out byte for byte, any part of it and of several runs', () => {
  fc.assert(
    fc.property(cells, fc.nat(), fc.nat(), (given, a, b) => {
      const run = decimals([rawRunOf(given)]);
      if (run === undefined) return;
      made++;
      expect(unpacked(run)).toEqual(given);
      const skip = a % (given.length + 1);
      const count = b % (given.length - skip + 1);
      const part = partOf(run, skip, count);
      expect(unpacked(part)).toEqual(given.slice(skip, skip + count));
      const rest = partOf(run, skip, given.length - skip);
      expect(unpacked(partOf(run, 0, skip), rest)).toEqual(given);
      expect(unpacked(partOf(rest, 0, count))).toEqual(given.slice(skip, skip + count));
      for (const column of [given[skip]?.[0] ?? 0xffff_ffff, (given[skip]?.[0] ?? 0) + 1]) {
        expect(countBelow(run, column)).toBe(given.filter(([each]) => each < column).length);
        const within = given.slice(skip, skip + count).filter(([each]) => each < column);
        expect(countBelow(part, column)).toBe(within.length);
      }
    }),
    { numRuns: 1_000 },
  );
  expect(made).toBeGreaterThan(300);
});

test('decimals with raw cells behind them are packed anew', () => {
  fc.assert(
    fc.property(cells, fc.nat(), (given, a) => {
      const cut = a % (given.length + 1);
      const head = decimals([rawRunOf(given.slice(0, cut))]);
      if (head === undefined) return;
      const whole = decimals([head, rawRunOf(given.slice(cut))]);
      if (whole !== undefined) expect(unpacked(whole)).toEqual(given);
    }),
    { numRuns: 500 },
  );
});

test('doubles and longs go into columns as they would cell by cell', () => {
  fc.assert(
    fc.property(cells, fc.nat(), fc.nat(), fc.boolean(), (given, a, b, isTailRaw) => {
      const cut = a % (given.length + 1);
      const head = decimals([rawRunOf(given.slice(0, cut))]);
      const rest = rawRunOf(given.slice(cut));
      const tail = isTailRaw ? rest : (decimals([rest]) ?? rest);
      const skip = b % (tail.count + 1);
      const end = partOf(tail, skip, tail.count - skip);
      const page = { runs: head === undefined ? [end] : [head, end], count: 0 };
      const shown = page.runs.flatMap((run) => unpacked(run));
      const [times, numbers] = [new Float64Array(60), new Float64Array(60)];
      keptDoubles(page, times, numbers, () => 0.5);
      for (const [i, [column, text]] of shown.entries()) {
        const bytes = Buffer.from(text, 'hex');
        expect(times[i]).toBe(column);
        expect(numbers[i]).toBe(bytes.length >= 8 ? bytes.readDoubleBE(0) : 0.5);
      }
      const longs = shown.map(([, text]) => Buffer.from(text, 'hex'));
      const wanted = longs.map((each) => smallLongAt(each, 0, each.length));
      if (!keptLongs(page, times, numbers)) return;
      expect([...times.subarray(0, shown.length)]).toEqual(shown.map(([column]) => column));
      expect([...numbers.subarray(0, shown.length)]).toEqual(wanted);
    }),
    { numRuns: 500 },
  );
});

const row = (count: number, valueAt: (i: number) => number | bigint, step = 300_000): Cell[] =>
  Array.from({ length: count }, (_, i) => [7 + i * step, hex(encodeValue(valueAt(i)))]);
const bytesOf = (given: readonly Cell[], bytesMax?: number): number | undefined =>
  decimals([rawRunOf(given)], bytesMax)?.bytes.length;
/** Of 1,000 cells, what stands around them and rounding to whole bytes. */
const AROUND = 30;

test('measurements of three digits take the bits that their span needs, and their times none', () => {
  const wave = (i: number) => Math.round((50 + 40 * Math.sin(i / 12)) * 1_000) / 1_000;
  expect(bytesOf(row(1_000, wave))).toBeLessThan(1_000 * (17 / 8) + AROUND);
  expect(bytesOf(row(1_000, (i) => BigInt(i % 100)))).toBeLessThan(1_000 * (7 / 8) + AROUND);
  expect(bytesOf(row(1_000, () => 21.5))).toBeLessThan(AROUND);
});

test('a few that are none, and a few times out of step, cost but themselves', () => {
  const given = row(1_000, (i) => (i % 100 === 50 ? Math.PI * i : 20 + (i % 10) / 10)).map(
    ([column, value], i): Cell => [
      column + (i < 500 ? 0 : 86_400_000) + (i === 700 ? 1 : 0),
      value,
    ],
  );
  expect(bytesOf(given)).toBeLessThan(1_000 * (4 / 8) + 10 * 11 + 3 * 6 + AROUND);
  expect(unpacked(decimals([rawRunOf(given)]) as DecimalRun)).toEqual(given);
});

test('what is none, or takes no less, is not packed', () => {
  expect(bytesOf(row(1_000, (i) => Math.sqrt(i + 0.5)))).toBeUndefined();
  expect(bytesOf(row(1_000, () => -0))).toBeUndefined();
  expect(
    bytesOf(
      row(100, (i) => i / 10),
      80,
    ),
  ).toBeUndefined();
  expect(bytesOf([])).toBeUndefined();
});
