import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FieldValue, Point } from '../../model/index.ts';
import { encodeLine } from './codec.ts';
import { LineEncoder } from './line-encoder.ts';
import { endOf } from './msgpack.ts';
import { Rows } from './query-reply.ts';

const FIELDS = ['a', 'b c', 'd,e'];
const TAGS = ['host', 'the place'];

/** Integers as InfluxDB writes them (the shortest signed form), or unsigned as another library might. */
function packed(value: FieldValue | undefined, isUnsigned = false): Buffer {
  if (value === undefined) return Buffer.of(0xc0);
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9, 0xcb);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (typeof value === 'bigint') return packedInteger(value, isUnsigned);
  const text = Buffer.from(value);
  const { length } = text;
  if (length < 32) return Buffer.concat([Buffer.of(0xa0 | length), text]);
  if (length < 256) return Buffer.concat([Buffer.of(0xd9, length), text]);
  return Buffer.concat([
    Buffer.of(0xdb, 0, length >> 16, (length >> 8) & 0xff, length & 0xff),
    text,
  ]);
}

function packedInteger(value: bigint, isUnsigned: boolean): Buffer {
  if (value >= -32n && value < 128n) return Buffer.of(Number(value) & 0xff);
  for (const [i, bits] of ([8, 16, 32] as const).entries()) {
    const fits = isUnsigned ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value);
    if (fits !== value) continue;
    const bytes = Buffer.alloc(1 + bits / 8, (isUnsigned ? 0xcc : 0xd0) + i);
    if (isUnsigned) bytes.writeUIntBE(Number(value), 1, bits / 8);
    else bytes.writeIntBE(Number(value), 1, bits / 8);
    return bytes;
  }
  const bytes = Buffer.alloc(9, isUnsigned ? 0xcf : 0xd3);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value), 1);
  return bytes;
}

function rowsOf(points: readonly Point[], isUnsigned = false): Rows {
  const parts: Buffer[] = [];
  const bounds: number[] = [];
  let at = 0;
  for (const { timestampNs, fields, tags } of points) {
    const cells = [timestampNs, ...FIELDS.map((name) => fields[name])].map((value) =>
      packed(value, isUnsigned && (typeof value !== 'bigint' || value >= 0n)),
    );
    const front = Buffer.concat(cells);
    const back = Buffer.concat(TAGS.map((name) => packed(tags[name])));
    bounds.push(at, at + front.length, at + front.length + back.length);
    at += front.length + back.length;
    parts.push(front, back);
  }
  return new Rows(Buffer.concat(parts), Int32Array.from(bounds));
}

const encoder = (measurement = 'm') => new LineEncoder(measurement, FIELDS, TAGS);
const textOf = (bodies: readonly Uint8Array[] | undefined) =>
  bodies && Buffer.concat(bodies).toString();
/** Series in the order in which they first come, each by time as it came. */
const bySeries = (points: readonly Point[]): readonly Point[] =>
  [
    ...Map.groupBy(points, ({ tags }) => JSON.stringify(TAGS.map((tag) => tags[tag]))).values(),
  ].flat();
const point = (changes: Partial<Point>): Point => ({
  measurement: 'm',
  tags: { host: 'h' },
  fields: { a: 1n },
  timestampNs: 1_700_000_000_000_000_001n,
  ...changes,
});

describe('rows as lines', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'é', '😀', ',', '=', ' ', '"', '\\', '\n') });
  const value: fc.Arbitrary<FieldValue> = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.integer().map(BigInt),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    text,
  );
  const points = fc.array(
    fc.record({
      measurement: fc.constant('m'),
      tags: fc.dictionary(
        fc.constantFrom(...TAGS),
        fc.constantFrom('x', 'y z', 'é,=', 'q'.repeat(300)),
        {
          noNullPrototype: true,
        },
      ),
      fields: fc.dictionary(fc.constantFrom(...FIELDS), value, {
        minKeys: 1,
        noNullPrototype: true,
      }),
      timestampNs: fc.bigInt({ min: -(2n ** 63n) + 2n, max: 2n ** 63n - 2n }),
    }),
    { minLength: 1, maxLength: 20 },
  );

  it('are what encodeLine writes of the same points', { tags: 'heavy' }, () => {
    fc.assert(
      fc.property(points, fc.boolean(), fc.nat(20), (all, isUnsigned, at) => {
        const inOrder = all.map(({ tags, fields, ...rest }) => ({
          ...rest,
          tags: Object.fromEntries(TAGS.flatMap((t) => (tags[t] ? [[t, tags[t]]] : []))),
          fields: Object.fromEntries(
            FIELDS.flatMap((f) => (fields[f] === undefined ? [] : [[f, fields[f]]])),
          ) as Record<string, FieldValue>,
        }));
        const cut = at % (inOrder.length + 1);
        const blocks = [inOrder.slice(0, cut), inOrder.slice(cut)].map((part) =>
          rowsOf(part, isUnsigned),
        );
        const used = encoder();
        for (const encoded of [used.encode(blocks), used.encode(blocks)]) {
          expect(textOf(encoded.bodies)).toBe(
            bySeries(inOrder)
              .map((each) => `${encodeLine(each)}\n`)
              .join(''),
          );
          // Whole lines in each.
          for (const body of encoded.bodies ?? []) expect(body.at(-1)).toBe(0x0a);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('hold integers of every length', () => {
    const integers = [0n, 9n, 10n, 127n, 128n, 999_999_999n, 1_000_000_000n, 4_294_967_295n];
    for (let power = 0n; power < 63n; power++)
      integers.push(2n ** power, 10n ** (power % 19n) - 1n);
    integers.push(2n ** 63n - 1n, 999_999_999_999_999_999n, 1_000_000_000_000_000_000n);
    const signed = [...integers, ...integers.map((i) => -i), -(2n ** 63n)];
    const { bodies } = encoder().encode([rowsOf(signed.map((a) => point({ fields: { a } })))]);
    const values = textOf(bodies)?.match(/(?<=a=)-?\d+(?=i )/g);
    expect(values).toEqual(signed.map(String));
  });

  it('come of several blocks at once, and of a long string', () => {
    const long = '"'.repeat(100_000);
    const blocks = [rowsOf([point({ fields: { a: long } })]), rowsOf([point({})])];
    const { bodies } = encoder().encode(blocks);
    expect(textOf(bodies)?.length).toBe(
      2 * long.length + 2 * 'm,host=h a= 1700000000000000001\n'.length + 4,
    );
  });

  it.each<[string, Partial<Point>, string?]>([
    ['a tag’s value that is altered', { tags: { host: 'a\tb' } }],
    ['a tag’s value with a NUL', { tags: { host: '\0' } }],
    ['a measurement that is altered', {}, '#m'],
    ['a measurement with a NUL', {}, 'a\0'],
    ['infinity', { fields: { a: Number.POSITIVE_INFINITY } }],
    ['NaN', { fields: { a: Number.NaN } }],
    ['a string above 1 MiB', { fields: { a: 'x'.repeat(1_048_577) } }],
    ['no field', { fields: {} }],
    ['the last instant', { timestampNs: 2n ** 63n - 1n }],
    ['the first instant', { timestampNs: -(2n ** 63n) }],
    ['a series key that may be too long', { tags: { host: 'x'.repeat(30_000) } }],
  ])('are left to encodeLine for %s, and have their checksum', (_, changes, measurement) => {
    const rows = rowsOf([point(changes), point({})]);
    const { bodies, sum } = encoder(measurement).encode([rows]);
    expect(bodies).toBeUndefined();
    const [first, second] = [0, 1].map((row) => rows.checksum(row));
    expect(sum).toBe((first as number) + (second as number));
  });

  it('are right after rows that were left to encodeLine', () => {
    const used = encoder();
    const other = point({ tags: { host: 'other' } });
    expect(used.encode([rowsOf([point({ fields: {} }), other, point({})])]).bodies).toBeUndefined();
    const { bodies } = used.encode([rowsOf([other, point({})])]);
    expect(textOf(bodies)).toBe([other, point({})].map((each) => `${encodeLine(each)}\n`).join(''));
  });

  it('have a tag that is named __proto__', () => {
    const { bodies } = new LineEncoder('m', FIELDS, ['__proto__', 'the place']).encode([
      rowsOf([point({ tags: { host: 'h' } })]),
    ]);
    expect(textOf(bodies)).toBe('m,__proto__=h a=1i 1700000000000000001\n');
  });

  it('are left to encodeLine where a field’s name is altered or refused', () => {
    for (const name of ['a\\', 'time', '']) {
      const rows = rowsOf([point({})]);
      expect(new LineEncoder('m', [name, 'b', 'c'], TAGS).encode([rows]).bodies).toBeUndefined();
    }
  });
});

it('a value’s end is found without reading it', () => {
  const nested = Buffer.from('9301a2686982a16190a162c3ff', 'hex');
  expect(endOf(nested, 0)).toBe(nested.length - 1);
});
