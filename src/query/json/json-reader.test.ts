import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codePoint } from '../../../test/support/code-point.ts';
import { QueryRefused } from '../errors.ts';
import { JsonFault, JsonReader } from './json-reader.ts';
import { quote } from './json-text.ts';
import { isArray, isObject, JsonNumber, type JsonValue } from './json-value.ts';

const plain = (json: JsonValue): unknown => {
  if (json instanceof JsonNumber) return Number(json.text);
  if (json !== null && isArray(json)) return json.map(plain);
  if (json !== null && isObject(json)) {
    return Object.fromEntries([...json].map(([key, value]) => [key, plain(value)]));
  }
  return json;
};
const read = (text: string) => plain(new JsonReader(text).readDocument());

test('whatever JSON.stringify writes is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(undefined, 2), (text, space) => {
      const spaced = JSON.stringify(JSON.parse(text), null, space);
      expect(read(spaced)).toEqual(
        JSON.parse(spaced, (_key, value) => (Object.is(value, -0) ? 0 : value)),
      );
    }),
  );
});

test('bare words, single quotes, comments, = and ; are let through', () => {
  const text = '# start\n{a=1; \'b\'=>"\\u0041\\n" /* c */, "d": [TRUE, nUll, x // y\n]}';
  expect(read(text)).toEqual({ a: 1, b: 'A\n', d: [true, null, 'x'] });
  expect(read('[,]')).toEqual([null, null]);
  expect(read('[01, -0, NaN]')).toEqual(['01', 0, 'NaN']);
});

test.each([
  ['{"start_absolute":', 'java.io.EOFException: End of input at line 1 column 19'],
  [
    '{"a":1,\n "b" 5}',
    "com.google.gson.stream.MalformedJsonException: Expected ':' at line 2 column 7",
  ],
  ['{"a":}', 'com.google.gson.stream.MalformedJsonException: Expected value at line 1 column 6'],
  ['{,}', 'com.google.gson.stream.MalformedJsonException: Expected name at line 1 column 2'],
  ['["\\uzzzz"]', 'java.lang.NumberFormatException: \\uzzzz'],
])('%j is refused with the place that Gson names', (text, message) => {
  try {
    read(text);
    expect.unreachable();
  } catch (error) {
    expect((error as JsonFault).wrapped).toBe(message);
  }
});

test('any text is read, or refused as JSON or as too deep', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...`{}[]",:;='#/*\\u0a1e-.\n t`) }), (text) => {
      try {
        read(text);
      } catch (error) {
        expect(error instanceof JsonFault || error instanceof QueryRefused).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
  expect(() => read('['.repeat(100_000))).toThrow(QueryRefused);
});

test('text is written with the escapes of org.json', () => {
  expect(quote('a"\\\n\u0001é</x>/\u2028\u0085')).toBe(
    '"a\\"\\\\\\n\\u0001é<\\/x>/\\u2028\\u0085"',
  );
  fc.assert(
    fc.property(fc.string({ unit: codePoint }), (text) => {
      expect(JSON.parse(quote(text))).toBe(text);
    }),
  );
});
