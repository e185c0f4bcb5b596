import { expect, test } from 'vitest';
import { retryAfterMs } from './retry-after.ts';

const now = Date.UTC(2026, 10, 21, 12, 0, 0);

test.each([
  ['2', 2_000],
  ['0', 0],
  [' 120 ', 120_000],
  ['0.5', 500],
  ['Sat, 21 Nov 2026 12:00:30 GMT', 30_000],
  ['Saturday, 21-Nov-26 12:00:30 GMT', 30_000],
  ['Sat, 21 Nov 2026 11:59:00 GMT', 0],
])('"%s" means %d ms: a number counts seconds, a date is a moment', (header, ms) => {
  expect(retryAfterMs(header, now)).toBe(ms);
});

test.each([null, '', ' ', '-5', 'soon', '1e3', 'Infinity'])('%j says nothing', (header) => {
  expect(retryAfterMs(header, now)).toBeUndefined();
});
