import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  javaDoubleOf,
  javaDoubleText,
  javaLongOf,
  jsonDoubleText,
  truncatedLongOf,
} from './java-number.ts';

test.each([
  [1, '1'],
  [100, '100'],
  [-0, '-0'],
  [0.001, '0.001'],
  [1e-4, '1.0E-4'],
  [1e7, '1.0E7'],
  [12_345_678.9, '1.23456789E7'],
  [1.5e10, '1.5E10'],
  [5e-324, '4.9E-324'],
  [9_999_999.5, '9999999.5'],
  [-0.25, '-0.25'],
])('%d is printed as KairosDB prints it: %s', (value, text) => {
  expect(jsonDoubleText(value)).toBe(text);
});

test('every printed double reads back as itself', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(Number(jsonDoubleText(value))).toBe(value);
      expect(javaDoubleOf(javaDoubleText(value))).toBe(value);
    }),
  );
});

test('longs are decimal digits of any script within 64 bits', () => {
  expect(javaLongOf('+5')).toBe(5n);
  expect(javaLongOf('-9223372036854775808')).toBe(-(2n ** 63n));
  expect(javaLongOf('٣४')).toBe(34n);
  for (const text of ['', '+', '1.0', ' 1', '0x1', '9223372036854775808']) {
    expect(() => javaLongOf(text)).toThrow(`For input string: "${text}"`);
  }
});

test('doubles may have white space, a suffix, hexadecimal digits, and be no number', () => {
  expect(javaDoubleOf(' 1.5e3 ')).toBe(1_500);
  expect(javaDoubleOf('.5f')).toBe(0.5);
  expect(javaDoubleOf('5.D')).toBe(5);
  expect(javaDoubleOf('0x1.8p1')).toBe(3);
  expect(javaDoubleOf('-Infinity')).toBe(Number.NEGATIVE_INFINITY);
  expect(javaDoubleOf('NaN')).toBeNaN();
  expect(() => javaDoubleOf('')).toThrow('empty String');
  for (const text of ['.', '1e', 'inf', '1,5', '0x1']) {
    expect(() => javaDoubleOf(text)).toThrow(`For input string: "${text}"`);
  }
});

test('a JSON number as a long loses its fraction and what is beyond 64 bits', () => {
  expect(truncatedLongOf('1.9')).toBe(1n);
  expect(truncatedLongOf('-1.9e1')).toBe(-19n);
  expect(truncatedLongOf('1e5')).toBe(100_000n);
  expect(truncatedLongOf('1e-7')).toBe(0n);
  expect(truncatedLongOf('9223372036854775808')).toBe(-(2n ** 63n));
  expect(truncatedLongOf('1e999999999')).toBe(0n);
  expect(truncatedLongOf('123e-2')).toBe(1n);
});
