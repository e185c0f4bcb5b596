import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Point } from '../../model/index.ts';
import { encodeLine } from './codec.ts';

const point = (changes: Partial<Point> = {}): Point => ({
  measurement: 'm',
  tags: {},
  fields: { v: 1n },
  timestampNs: 1n,
  ...changes,
});

describe('golden lines', () => {
  interface Golden {
    readonly what: string;
    readonly point: Omit<Point, 'fields' | 'timestampNs'> & {
      readonly fields: Readonly<Record<string, { readonly type: string; readonly text: string }>>;
      readonly timestampNs: string;
    };
    readonly line: string;
  }
  const golden = JSON.parse(
    readFileSync(new URL('../../../test/golden/influx/lines.json', import.meta.url), 'utf8'),
  ) as { readonly lines: readonly Golden[] };

  test.each(golden.lines.map((entry) => [entry.what, entry] as const))('%s', (_, entry) => {
    const fields = Object.fromEntries(
      Object.entries(entry.point.fields).map(([key, { type, text }]) => [
        key,
        type === 'int'
          ? BigInt(text)
          : type === 'float'
            ? Number(text)
            : type === 'bool'
              ? text === 'true'
              : text,
      ]),
    );
    const timestampNs = BigInt(entry.point.timestampNs);
    expect(encodeLine({ ...entry.point, fields, timestampNs })).toBe(entry.line);
  });
});

describe('what the server would refuse is refused for that point alone', () => {
  const big = 'x'.repeat(65_535);
  test.each<[string, Partial<Point>]>([
    ['no measurement', { measurement: '' }],
    ['no field', { fields: {} }],
    ['NaN', { fields: { v: Number.NaN } }],
    ['infinity', { fields: { v: Number.POSITIVE_INFINITY } }],
    ['minus infinity', { fields: { v: Number.NEGATIVE_INFINITY } }],
    ['an int above 64 bits', { fields: { v: 2n ** 63n } }],
    ['an int below 64 bits', { fields: { v: -(2n ** 63n) - 1n } }],
    ['a value that is none', { fields: { v: null as never } }],
    ['a field without a name', { fields: { '': 1 } }],
    ['a field named time', { fields: { time: 1, v: 1 } }],
    ['a tag without a name', { tags: { '': 'a' } }],
    ['a tag named time', { tags: { time: 'a' } }],
    ['a tag named _field', { tags: { _field: 'a' } }],
    ['a tag named _measurement', { tags: { _measurement: 'a' } }],
    ['two tags that become one', { tags: { 'a\\': '1', 'a/': '2' } }],
    ['two fields that become one', { fields: { 'a\\=b': 1, 'a/=b': 2 } }],
    ['a field name with a NUL', { fields: { '\0a': 1, a: 2n } }],
    ['a tag that is only a NUL', { tags: { '\0': 'a' } }],
    ['a timestamp too early', { timestampNs: -(2n ** 63n) + 1n }],
    ['a timestamp too late', { timestampNs: 2n ** 63n - 1n }],
    ['a series key of 65,536 bytes', { tags: { t: big.slice(0, 65_527) } }],
    ['a series key too long only in UTF-8', { tags: { t: 'é'.repeat(32_764) } }],
    [
      'a series key too long by its field',
      { tags: { t: big.slice(0, 65_400) }, fields: { [big.slice(0, 200)]: 1 } },
    ],
    ['a string of 1 MiB and a byte', { fields: { s: 'x'.repeat(1_048_577) } }],
    ['a string too long only in UTF-8', { fields: { s: 'é'.repeat(524_289) } }],
  ])('%s', (_, changes) => {
    expect(() => encodeLine(point(changes))).toThrow(
      expect.objectContaining({ family: 'poison', code: 'POINT_INVALID' }),
    );
  });

  test('what just fits is taken', () => {
    // As the server counts, 'm,t=' + value + '#!~#' + 'v' = 65,535 bytes; the line adds ' v=1i 1'.
    expect(encodeLine(point({ tags: { t: big.slice(0, 65_526) } }))).toHaveLength(65_537);
    expect(encodeLine(point({ fields: { s: 'é'.repeat(524_288) } }))).toContain('éé');
    encodeLine(point({ fields: { v: 2n ** 63n - 1n }, timestampNs: 2n ** 63n - 2n }));
    encodeLine(point({ fields: { v: -(2n ** 63n) }, timestampNs: -(2n ** 63n) + 2n }));
  });
});

/** Reads a line as the server does: a separator counts unless a backslash stands before it. */
function parse(line: string) {
  let at = 0;
  const until = (stops: string, escapes: string): string => {
    let text = '';
    for (; at < line.length && !stops.includes(line[at]!); at++) {
      if (line[at] === '\\' && escapes.includes(line[at + 1] ?? '\0')) at++;
      text += line[at];
    }
    return text;
  };
  const measurement = until(', ', ', ');
  const tags: Record<string, string> = {};
  while (line[at] === ',') {
    at++;
    const key = until('=', ',= ');
    at++;
    tags[key] = until(', ', ',= ');
  }
  const fields: Record<string, string> = {};
  do {
    at++;
    const key = until('=', ',= ');
    at++;
    if (line[at] === '"') {
      at++;
      fields[key] = `"${until('"', '"\\')}`;
      at++;
    } else fields[key] = until(', ', '');
  } while (line[at] === ',');
  return { measurement, tags, fields, timestamp: line.slice(at + 1) };
}

test('whatever the text, the line reads back as the point it was', { tags: 'heavy' }, () => {
  // Backslashes that would be altered have their own test below.
  const text = fc
    .string({
      unit: fc.constantFrom('a', 'é', '😀', ',', '=', ' ', '"', '\\', '#', "'", '/'),
      minLength: 1,
      maxLength: 8,
    })
    .filter((s) => !/\\([,= "]|$)/.test(s) && s !== 'time');
  fc.assert(
    fc.property(
      text.filter((s) => !s.startsWith('#')),
      fc.dictionary(text, text, { maxKeys: 4 }),
      fc.dictionary(text, fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', ',', ' ') }), {
        minKeys: 1,
        maxKeys: 4,
      }),
      fc.bigInt({ min: -(2n ** 63n) + 2n, max: 2n ** 63n - 2n }),
      (measurement, tags, fields, timestampNs) => {
        const line = encodeLine({ measurement, tags, fields, timestampNs });
        expect(parse(line)).toEqual({
          measurement,
          tags: { ...tags },
          fields: Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, `"${v}`])),
          timestamp: `${timestampNs}`,
        });
      },
    ),
    { numRuns: 1_000 },
  );
});

test('every finite float is written so that it reads back as the same 64 bits', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = parse(encodeLine(point({ fields: { v: value } }))).fields.v!;
      expect(Object.is(Number(text), value)).toBe(true);
      // The forms the server's number scanner knows.
      expect(text).toMatch(/^-?\d+(\.\d+)?(e[+-]?\d+)?$/);
    }),
  );
});

test('a name that ends in backslashes, breaks lines or leads with # still gives one valid line', () => {
  const awkward = fc.string({
    unit: fc.constantFrom('a', '\\', '\n', '\r', '\t', '#', ' '),
    minLength: 1,
  });
  fc.assert(
    fc.property(awkward, awkward, awkward, awkward, (measurement, key, value, field) => {
      fc.pre(key !== 'time' && field !== 'time');
      const line = encodeLine(
        point({ measurement, tags: { [key]: value }, fields: { [field]: 1 } }),
      );
      expect(line).not.toMatch(/[\n\r\t]/);
      expect(line[0]).not.toBe('#');
      expect(Object.keys(parse(line).tags)).toHaveLength(1);
      expect(parse(line).timestamp).toBe('1');
    }),
  );
});
