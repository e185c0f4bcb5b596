import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseRange, parseTime } from './time-range.ts';

test.each([
  ['0', 0],
  ['1700000000000', 1_700_000_000_000],
  [1_700_000_000_000, 1_700_000_000_000],
  ['2026-01-31', Date.UTC(2026, 0, 31)],
  ['2026-01', Date.UTC(2026, 0, 1)],
  ['2026-01-31T12:00', Date.UTC(2026, 0, 31, 12)],
  ['2026-01-31T12:00:00Z', Date.UTC(2026, 0, 31, 12)],
  ['2026-01-31T12:00:00.5Z', Date.UTC(2026, 0, 31, 12, 0, 0, 500)],
  ['2026-01-31T14:00:00+02:00', Date.UTC(2026, 0, 31, 12)],
  ['2026-01-31T14:00:00 02:00', Date.UTC(2026, 0, 31, 12)],
])('%j is a time', (text, expected) => {
  expect(parseTime(text)).toBe(expected);
});

test.each([
  '',
  'now',
  '12:00',
  '2026-13-01',
  '2026-01-31T25:00',
  '1e3',
  '1.5',
  1.5,
  Number.NaN,
  1e17,
])('%j is no time', (text) => {
  expect(parseTime(text)).toBeUndefined();
});

test('every time survives being written as ISO 8601 and as ms', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (time) => {
      expect(parseTime(String(time))).toBe(time);
      expect(parseTime(new Date(time).toISOString())).toBe(time);
    }),
  );
});

test('a range ends now and has its usual length unless said otherwise; an empty one is refused', () => {
  const defaults = { nowMs: 1_000_000, lengthMs: 600_000 };
  expect(parseRange({}, defaults)).toEqual({ from: 400_000, to: 1_000_000 });
  expect(parseRange({ from: '5', to: '6' }, defaults)).toEqual({ from: 5, to: 6 });
  for (const [from, to] of [
    ['5', '5'],
    ['6', '5'],
    ['1000000', undefined],
  ]) {
    expect(() => parseRange({ from, to }, defaults)).toThrow('must lie before');
  }
});
