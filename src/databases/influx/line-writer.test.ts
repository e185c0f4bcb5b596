/** What it writes of a row is what the plain encoder writes of the same point, wherever in a buffer; the rest it refuses. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FieldValue } from '../../model/index.ts';
import { encodeLine } from './codec.ts';
import { writeLine } from './line-writer.ts';

const NAMES = ['a', 'b', 'c'];
const names = NAMES.map((name) => Buffer.from(`,${name}=`));
const prefix = Buffer.from('m,host=h');
const EVERYTHING = 4_096;

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const UINT64_MAX = 2n ** 64n - 1n;

/** Every form that a whole number may have in MessagePack, by its first byte; the fixed ones have none behind it. */
const forms: readonly (readonly [number, bits: number, isSigned: boolean])[] = [
  [0xcc, 8, false],
  [0xcd, 16, false],
  [0xce, 32, false],
  [0xcf, 64, false],
  [0xd0, 8, true],
  [0xd1, 16, true],
  [0xd2, 32, true],
  [0xd3, 64, true],
];

function integerBytes(value: bigint, form: number): Buffer {
  const fitting = forms.filter(([, bits, isSigned]) =>
    isSigned ? BigInt.asIntN(bits, value) === value : BigInt.asUintN(bits, value) === value,
  );
  const all = [
    ...(value >= -32n && value < 128n ? [Buffer.of(Number(BigInt.asUintN(8, value)))] : []),
    ...fitting.map(([type, bits]) => {
      const hex = BigInt.asUintN(bits, value)
        .toString(16)
        .padStart(bits / 4, '0');
      return Buffer.concat([Buffer.of(type), Buffer.from(hex, 'hex')]);
    }),
  ];
  return all[form % all.length] as Buffer;
}

function bytesOf(value: FieldValue | undefined, form: number): Buffer {
  if (value === undefined) return Buffer.of(0xc0);
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === 'bigint') return integerBytes(value, form);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9, 0xcb);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  const text = Buffer.from(value);
  const { length } = text;
  const heads = [
    ...(length < 32 ? [Buffer.of(0xa0 | length)] : []),
    ...(length < 256 ? [Buffer.of(0xd9, length)] : []),
    Buffer.of(0xda, length >> 8, length & 0xff),
    Buffer.of(0xdb, 0, length >> 16, (length >> 8) & 0xff, length & 0xff),
  ];
  return Buffer.concat([heads[form % heads.length] as Buffer, text]);
}

interface Row {
  readonly timestampNs: bigint;
  readonly values: readonly (FieldValue | undefined)[];
  readonly forms: readonly number[];
}

/** The row's line; undefined: refused. Around it nothing is touched. */
function written({ timestampNs, values, forms: of }: Row, offset = 0): string | undefined {
  const before = Buffer.alloc(offset, 0xff);
  const cells = [timestampNs, ...values].map((value, i) => bytesOf(value, of[i] ?? 0));
  const bytes = Buffer.concat([before, ...cells]);
  const out = Buffer.alloc(EVERYTHING, 0xee);
  const end = writeLine(out, offset, { prefix, names, bytes, begin: offset });
  expect(out.subarray(0, offset).every((byte) => byte === 0xee)).toBe(true);
  if (end < 0) return undefined;
  expect(out.subarray(end).every((byte) => byte === 0xee)).toBe(true);
  return out.toString('utf8', offset, end);
}

const text = fc.string({
  unit: fc.constantFrom('a', 'é', '😀', ',', '=', ' ', '"', '\\', '\n'),
  maxLength: 300,
});
const value = fc.oneof(
  fc.bigInt(INT64),
  // Around what changes the number of digits, or of bytes.
  fc
    .tuple(fc.nat(63), fc.nat(18), fc.integer({ min: -1, max: 1 }), fc.boolean())
    .map(([two, ten, by, negative]) => {
      const near = (two % 2 === 0 ? 2n ** BigInt(two) : 10n ** BigInt(ten)) + BigInt(by);
      return BigInt.asIntN(64, negative ? -near : near);
    }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(-0, 0, 5e-324, 1e21, 1e-7, Number.MAX_VALUE),
  fc.boolean(),
  text,
);
const row = fc.record({
  timestampNs: fc.bigInt({ min: INT64.min + 2n, max: INT64.max - 1n }),
  values: fc.tuple(...NAMES.map(() => fc.option(value, { nil: undefined }))),
  forms: fc.array(fc.nat(9), { minLength: 4, maxLength: 4 }),
});

test('a row of any values, in any of their forms, is written as the plain encoder writes its point', {
  tags: 'heavy',
}, () => {
  fc.assert(
    fc.property(row, fc.nat(50), (each, offset) => {
      const fields = Object.fromEntries(
        NAMES.flatMap((name, i) => (each.values[i] === undefined ? [] : [[name, each.values[i]]])),
      ) as Record<string, FieldValue>;
      const point = { measurement: 'm', tags: { host: 'h' }, fields };
      const expected =
        Object.keys(fields).length === 0
          ? undefined
          : `${encodeLine({ ...point, timestampNs: each.timestampNs })}\n`;
      expect(written(each, offset)).toBe(expected);
    }),
    { numRuns: 500 },
  );
});

test.each<[string, Partial<Row>]>([
  ['NaN', { values: [Number.NaN, undefined, undefined] }],
  ['infinity', { values: [1n, Number.NEGATIVE_INFINITY, undefined] }],
  ['a whole number beyond 64 bits with a sign', { values: [UINT64_MAX, undefined, undefined] }],
  ['no field', { values: [undefined, undefined, undefined] }],
  ['the first instant', { timestampNs: INT64.min }],
  ['the second, which the server keeps too', { timestampNs: INT64.min + 1n }],
  ['the last instant', { timestampNs: INT64.max }],
  ['a time beyond 64 bits with a sign', { timestampNs: 2n ** 63n }],
])('%s is left to the plain encoder', (_, changes) => {
  const usual: Row = { timestampNs: 1n, values: [1n, undefined, undefined], forms: [] };
  expect(written(usual)).toBeDefined();
  for (const form of forms.keys())
    expect(written({ ...usual, forms: [form], ...changes })).toBeUndefined();
});
