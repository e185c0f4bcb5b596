import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codePoint } from '../../../test/support/code-point.ts';
import {
  columnOf,
  decodeColumn,
  encodeColumn,
  isLegacyFloat,
  rowTimeOf,
  TIMESTAMP_MS_MAX,
  timestampOf,
} from './column.ts';
import { decodeModifiedUtf8, encodeModifiedUtf8 } from './modified-utf8.ts';
import { decodeRowKey, encodeRowKey, legacyIndexSlice, type RowKey } from './row-key.ts';
import { parseRowSpec } from './row-spec.ts';
import { murmur3, tagCollectionHash } from './tag-hash.ts';
import { formatTags, parseTags, sortTags, tagListOf, tagRecordOf } from './tag-string.ts';
import { decodeLong, decodeValue, encodeLong, encodeValue, typeOfValue } from './value.ts';

const legacy = parseRowSpec('LEGACY', '1814400000');
const milliseconds = parseRowSpec('MILLISECONDS', '1814400000');
const inSeconds = parseRowSpec('SECONDS', '1814400');

const T1 = 1609459200123;
const hex = (bytes: Buffer) => bytes.toString('hex');
const bytes = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const row = (metric: string, rowTimeMs: number, type: string, tags: Record<string, string>) => ({
  metric,
  rowTimeMs,
  type,
  tags: tagListOf(tags),
});

/** The worked vectors of the KairosDB 1.3.0 storage description, by their numbers. */
describe('row keys', () => {
  test.each<[string, RowKey, string]>([
    [
      '1 tags are sorted',
      row('cpu.load', 1609372800000, 'kairos_double', { host: 'web1', dc: 'eu' }),
      '6370752e6c6f6164 00 00000176b6181400 00 0d 6b6169726f735f646f75626c65 64633d65753a686f73743d776562313a',
    ],
    [
      '2 the epoch',
      row('m', 0, 'kairos_long', { h: 'a' }),
      '6d 00 0000000000000000 00 0b 6b6169726f735f6c6f6e67 683d613a',
    ],
    [
      '3 before the epoch',
      row('m', -1814400000, 'kairos_string', { h: 'a' }),
      '6d 00 ffffffff93da7400 00 0d 6b6169726f735f737472696e67 683d613a',
    ],
    [
      '4 the legacy type is left out',
      row('temp', 1609372800000, 'kairos_legacy', { h: 'a' }),
      '74656d70 00 00000176b6181400 683d613a',
    ],
    [
      '5 colons and equals signs are escaped',
      row('esc', 0, 'kairos_long', { 'k:1=x': 'v=1:y' }),
      '657363 00 0000000000000000 00 0b 6b6169726f735f6c6f6e67 6b3a3a313a3d783d763d3d313d3a793a',
    ],
    [
      '6 beyond ASCII',
      row('été', 0, 'kairos_long', { h: 'ü' }),
      'c3a974c3a9 00 0000000000000000 00 0b 6b6169726f735f6c6f6e67 683dc3bc3a',
    ],
  ])('a row key is byte for byte KairosDB’s: %s', (_, key, expected) => {
    expect(hex(encodeRowKey(key))).toBe(expected.replaceAll(' ', ''));
    expect(decodeRowKey(bytes(expected))).toEqual(key);
  });

  test('decoding a row key undoes encoding it', { tags: 'heavy' }, () => {
    const name = fc.string({ unit: codePoint });
    fc.assert(
      fc.property(
        fc.string({ unit: codePoint, minLength: 1 }).filter((text) => !text.includes('\0')),
        fc.integer({ min: -TIMESTAMP_MS_MAX, max: TIMESTAMP_MS_MAX }),
        fc.constantFrom('kairos_long', 'kairos_double', 'kairos_string', 'kairos_legacy', 'mine'),
        fc.dictionary(name, name),
        (metric, rowTimeMs, type, tags) => {
          // Without a type the tags follow the time at once, and a first tag that begins with NUL looks like one.
          const list = tagListOf(tags);
          fc.pre(type !== 'kairos_legacy' || !list[0]?.[0].startsWith('\0'));
          const key = { metric, rowTimeMs, type, tags: list };
          expect(decodeRowKey(encodeRowKey(key))).toEqual(key);
        },
      ),
    );
  });

  test('keys that are remembered stand as they were made, and hold little more than their own bytes', () => {
    const keysOf = () =>
      Array.from({ length: 1_000 }, (_, n) => {
        const metric = n % 100 === 0 ? `m${n}`.padEnd(9_000, '-') : `m${n}`;
        const key = row(metric, n, 'kairos_double', { host: `host-${n}` });
        // What else is made meanwhile comes from Node's pool.
        Buffer.from(`something else ${n}`.repeat(20));
        return { key, bytes: encodeRowKey(key) };
      });
    const made = keysOf();
    for (const { key, bytes } of made) expect(decodeRowKey(bytes)).toEqual(key);
    const held = [...new Set(made.map(({ bytes }) => bytes.buffer))];
    const heldBytes = held.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const ownBytes = made.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(heldBytes).toBeLessThan(ownBytes + 64 * 1_024);
  });

  test('a cut row key is refused, not misread', () => {
    const whole = encodeRowKey(row('m', 0, 'kairos_long', {}));
    for (let length = 0; length < whole.length; length++) {
      if (length === 10) continue; // Exactly a legacy key without tags.
      expect(() => decodeRowKey(whole.subarray(0, length)), `${length} bytes`).toThrow(/row key/);
    }
  });

  test('a legacy index slice begins at its first row time and ends behind every key of its last', () => {
    const { first, end } = legacyIndexSlice('m', 0, 1814400000);
    expect(hex(first)).toBe('6d000000000000000000');
    expect(hex(end)).toBe('6d00000000006c258c00ff00');
  });
});

describe('tags', () => {
  test('tag names come in UTF-16 order, where an emoji precedes a fullwidth tilde', () => {
    expect(tagListOf({ '～': 'b', '😀': 'a' }).map(([name]) => name)).toEqual(['😀', '～']);
  });

  test('names that JavaScript treats specially are names like any other', () => {
    const tags = JSON.parse('{"__proto__":"p","10":"ten","9":"nine"}') as Record<string, string>;
    expect(formatTags(tagListOf(tags))).toBe('10=ten:9=nine:__proto__=p:');
    expect(Object.entries(tagRecordOf(tagListOf(tags)))).toContainEqual(['__proto__', 'p']);
  });

  test('parsing a tag string undoes writing it', () => {
    const awkward = fc.string({ unit: fc.constantFrom(':', '=', 'a', 'é', '😀', '\0') });
    fc.assert(
      fc.property(fc.dictionary(awkward, awkward), (tags) => {
        expect(parseTags(formatTags(tagListOf(tags)))).toEqual(tagListOf(tags));
      }),
    );
  });

  test.each<[Record<string, string>, number]>([
    [{ dc: 'eu', host: 'web1' }, -1240890544],
    [{ host: 'web1' }, -1751799854],
    [{ h: 'a' }, 1844041627],
    [{}, 0],
    [{ a: 'ü' }, 540409238],
  ])('12 the hash of tags %j is %d', (tags, expected) => {
    expect(tagCollectionHash(tagListOf(tags))).toBe(expected);
  });

  test('12 the hash is taken over UTF-8 bytes', () => {
    expect(murmur3(Buffer.from('😀'))).toBe(-1095487750);
  });

  test('sorting leaves the given tags as they were', () => {
    const given: [string, string][] = [
      ['b', '1'],
      ['a', '2'],
    ];
    expect(sortTags(given)[0]).toEqual(['a', '2']);
    expect(given[0]).toEqual(['b', '1']);
  });
});

describe('row times and columns', () => {
  test.each<[number, number, string, string]>([
    [T1, 1609372800000, '0a4cb8f6', '05265c7b'],
    [1814399999, 0, 'd84b17fe', '6c258bff'],
    [1814400000, 1814400000, '00000000', '00000000'],
    [1700000000000, 1698278400000, 'cd3b1000', '669d8800'],
    [-5, -10, '0000000a', '00000005'],
  ])(
    '7 time %d lies in row %d, column %s (LEGACY), %s (MILLISECONDS)',
    (time, rowTime, old, now) => {
      for (const [spec, expected] of [
        [legacy, old],
        [milliseconds, now],
      ] as const) {
        expect(rowTimeOf(spec, time)).toBe(rowTime);
        const column = encodeColumn(columnOf(spec, rowTime, time));
        expect(hex(column)).toBe(expected);
        expect(timestampOf(spec, rowTime, decodeColumn(column))).toBe(time);
      }
    },
  );

  test.each([
    [-1, -2],
    [-5, -10],
    [-1814400000, -1814400000],
  ])('below zero the row of %d starts at %d', (time, rowTime) => {
    expect(rowTimeOf(milliseconds, time)).toBe(rowTime);
  });

  test('SECONDS keeps the 1.3.0 defect: rows of 1,814.4 s, whole seconds counted from the row', () => {
    expect(rowTimeOf(inSeconds, T1)).toBe(1609458076800);
    expect(columnOf(inSeconds, 1609458076800, T1)).toBe(1123);
    expect(timestampOf(inSeconds, 1609458076800, 1123)).toBe(1609459199800);
    expect(inSeconds.rowSpanMs).toBe(1_814_400_000);
  });

  test('only the low bit of a LEGACY column marks a float', () => {
    expect(isLegacyFloat(legacy, 0x17)).toBe(true);
    expect(isLegacyFloat(legacy, 0x16)).toBe(false);
    expect(isLegacyFloat(milliseconds, 0x17)).toBe(false);
  });

  test('any time comes back from its row and column, and column bytes sort as times', () => {
    const time = fc.integer({ min: -TIMESTAMP_MS_MAX, max: TIMESTAMP_MS_MAX });
    fc.assert(
      fc.property(fc.constantFrom(legacy, milliseconds), time, time, (spec, a, b) => {
        const rowTime = rowTimeOf(spec, a);
        const column = columnOf(spec, rowTime, a);
        expect(timestampOf(spec, rowTime, column)).toBe(a);
        if (rowTimeOf(spec, b) !== rowTime) return;
        const order = Buffer.compare(
          encodeColumn(column),
          encodeColumn(columnOf(spec, rowTime, b)),
        );
        expect(order).toBe(Math.sign(a - b));
      }),
    );
  });

  test.each([
    ['HOURS', '1814400000'],
    ['MILLISECONDS', 'wide'],
    ['MILLISECONDS', '0'],
    ['LEGACY', '4294967296'],
  ])('a spec of %s and %s is refused', (unit, width) => {
    expect(() => parseRowSpec(unit, width)).toThrow(/table spec/);
  });
});

describe('values', () => {
  test.each<[bigint, string]>([
    [0n, '00'],
    [1n, '02'],
    [-1n, '01'],
    [63n, '7e'],
    [64n, '8001'],
    [-64n, '7f'],
    [-65n, '8101'],
    [150n, 'ac02'],
    [300n, 'd804'],
    [1234567890123n, '9693d89fee47'],
    [2n ** 63n - 1n, 'feffffffffffffffff01'],
    [-(2n ** 63n), 'ffffffffffffffffff01'],
  ])('8 the long %d is %s', (value, expected) => {
    expect(hex(encodeLong(value))).toBe(expected);
    expect(decodeLong(bytes(expected))).toBe(value);
  });

  test.each([
    [0, '0000000000000000'],
    [-0, '8000000000000000'],
    [1, '3ff0000000000000'],
    [-1.5, 'bff8000000000000'],
    [3.14, '40091eb851eb851f'],
  ])('9 the double %d is %s', (value, expected) => {
    expect(hex(encodeValue(value))).toBe(expected);
    expect(decodeValue('kairos_double', bytes(expected))).toBe(value);
  });

  test.each([
    ['hello', '0005 68656c6c6f'],
    ['', '0000'],
    ['é€\u0000😀', '000d c3a9 e282ac c080 eda0bd edb880'],
  ])('10 the string %j is %s', (value, expected) => {
    expect(hex(encodeModifiedUtf8(value))).toBe(expected.replaceAll(' ', ''));
    expect(decodeModifiedUtf8(bytes(expected))).toBe(value);
  });

  test.each<[string, boolean, bigint | number]>([
    ['', false, 0n],
    ['01', false, 1n],
    ['96', false, 150n],
    ['ff', false, 255n],
    ['0100', false, 256n],
    ['ffffffffffffffff', false, -1n],
    ['011f71fb04cb', false, 1234567890123n],
    ['014048f5c3', true, Math.fround(3.14)],
    ['0240091eb851eb851f', true, 3.14],
  ])('11 the legacy bytes %j (float: %s) mean %d', (text, float, value) => {
    expect(decodeValue('kairos_legacy', bytes(text), float)).toBe(value);
  });

  test('decoding a value undoes encoding it', () => {
    const value = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.bigInt({ min: -300n, max: 300n }),
      fc.maxSafeInteger().map(BigInt),
      fc.double(),
      // Any sequence of UTF-16 units, lone surrogates included.
      fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)),
    );
    fc.assert(
      fc.property(value, (given) => {
        expect(decodeValue(typeOfValue(given), encodeValue(given))).toBe(given);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ['kairos_long', ''],
    ['kairos_long', '80'],
    ['kairos_long', 'ffffffffffffffffffff01'],
    ['kairos_double', '40091eb851eb85'],
    ['kairos_string', '0005 68'],
    ['kairos_string', '0001 c3'],
    ['kairos_string', '0002 c341'],
    ['kairos_string', '0001 ff'],
  ])('a damaged %s (%s) is refused with a code', (type, text) => {
    expect(() => decodeValue(type, bytes(text))).toThrow(
      expect.objectContaining({ family: 'poison', code: 'KAIROS_VALUE_INVALID' }),
    );
  });

  test('an unknown type is refused by name', () => {
    expect(() => decodeValue('kairos_complex', Buffer.alloc(16))).toThrow(/kairos_complex/);
  });

  test('a long beyond 64 bits is refused', () => {
    expect(() => encodeLong(2n ** 63n)).toThrow(RangeError);
  });
});
