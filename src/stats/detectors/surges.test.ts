import { expect, test } from 'vitest';
import { createDetector } from './index.ts';
import { SurgesDetector } from './surges.ts';

const ROW_MS = 300_000;
const DAY_ROWS = 288;
/** 10 ± 4 over the day. */
const usual = (i: number) => 10 + 4 * Math.cos((2 * Math.PI * i) / DAY_ROWS) + (i % 3) / 10;

test('an event that comes again is told again, where records alone is silent', () => {
  const events = [3, 5].map((day) => day * DAY_ROWS);
  const value = (i: number) =>
    events.some((at) => i >= at && i < at + 6) ? 25 * usual(0) : usual(i);
  const told = (push: (at: number, value: number) => number) =>
    events.map((at, n) => {
      for (let i = n === 0 ? 0 : (events[n - 1] as number) + 6; i < at; i++)
        push(i * ROW_MS, value(i));
      return Math.max(
        ...Array.from({ length: 6 }, (_, k) => push((at + k) * ROW_MS, value(at + k))),
      );
    });
  const surges = new SurgesDetector();
  const records = createDetector('records');
  const both = createDetector('records-and-surges');
  const [first, second] = told((at, x) => records.push(at, x));
  expect(first).toBeGreaterThan(0.55);
  expect(second).toBeLessThan(0.5);
  for (const score of told((at, x) => surges.push(at, x))) expect(score).toBeGreaterThan(0.6);
  for (const score of told((at, x) => both.push(at, x))) expect(score).toBeGreaterThan(0.6);
});

test('the day’s rhythm, a constant and a first half day are nothing unusual', () => {
  const scores = (value: (i: number) => number, rows: number) => {
    const detector = new SurgesDetector();
    return Math.max(...Array.from({ length: rows }, (_, i) => detector.push(i * ROW_MS, value(i))));
  };
  expect(scores(usual, 10 * DAY_ROWS)).toBeLessThan(0.5);
  expect(scores(() => 7, 2 * DAY_ROWS)).toBe(0);
  expect(scores((i) => (i === 100 ? 1e6 : 1), 144)).toBe(0);
});

test('what comes each night becomes usual', () => {
  const detector = new SurgesDetector();
  const nightly = (day: number) =>
    Math.max(
      ...Array.from({ length: DAY_ROWS }, (_, i) =>
        detector.push((day * DAY_ROWS + i) * ROW_MS, i < 6 ? 1_000 : usual(i)),
      ),
    );
  const nights = Array.from({ length: 40 }, (_, day) => nightly(day));
  expect(nights[2]).toBeGreaterThan(0.6);
  expect(nights.at(-1)).toBeLessThan(0.6);
});
