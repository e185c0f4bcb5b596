import { expect, test } from 'vitest';
import { RecordLevel } from './record.ts';

const DAY = 86_400_000;

/** `count` values that swing from 0 to 10 and back: the first at 0, all others at one time. */
const swung = (record: RecordLevel, count: number, timestampMs = 2 * DAY) => {
  let news = 0;
  for (let i = 0; i < count; i++) if (record.push(timestampMs, i % 2 === 0 ? 0 : 10) !== 0) news++;
  expect(news).toBe(0);
};

test('a record is as surprising as it is late and far out, on either side', () => {
  const level = (count: number, x: number, rows = 1) => {
    const record = new RecordLevel(rows);
    record.push(0, 0);
    swung(record, count - 1);
    return record.push(2 * DAY, x);
  };
  const margin = (share: number) => 2 * Math.log10(1 + share / 0.003);
  expect(level(1_000, 11)).toBeCloseTo(3 + margin(0.1), 9);
  expect(level(10_000, 11)).toBeCloseTo(4 + margin(0.1), 9);
  expect(level(1_000, -1)).toBeCloseTo(3 + margin(0.1), 9);
  expect(level(1_000, 20)).toBeCloseTo(3 + margin(1), 9);
  expect(level(1_000, 11) - level(1_000, 11, 25)).toBeCloseTo(Math.log10(5), 9);
});

test('what lies within what was seen is no news', () => {
  const record = new RecordLevel(1);
  record.push(0, 0);
  swung(record, 1_000);
  expect(record.push(2 * DAY, 7)).toBe(0);
  expect(record.push(2 * DAY, 30)).toBeGreaterThan(5.4);
  expect(record.push(2 * DAY, 30)).toBe(0);
});

test('nothing is news within the first day, nor among the first 100 values', () => {
  const crowded = new RecordLevel(1);
  swung(crowded, 1_000, DAY);
  expect(crowded.push(2 * DAY - 1, 30)).toBe(0);
  expect(crowded.push(2 * DAY, 60)).toBeGreaterThan(5.4);
  const sparse = new RecordLevel(1);
  for (let day = 0; day < 100; day++) expect(sparse.push(day * DAY, day)).toBe(0);
  expect(sparse.push(100 * DAY, 200)).toBeGreaterThan(5.4);
});

test('a record by a hair never alarms, however long one waited', { tags: 'heavy' }, () => {
  const record = new RecordLevel(1);
  record.push(0, 0);
  swung(record, 300_000);
  expect(record.push(2 * DAY, 10.001)).toBeLessThan(5.4);
  expect(record.push(2 * DAY, 10.001 * (1 + 1e-13))).toBe(0);
});

test('the first change of what was constant is a surprise', () => {
  const record = new RecordLevel(1);
  for (let i = 0; i < 1_000; i++) expect(record.push(i * 300_000, 7)).toBe(0);
  expect(record.push(2_000 * 300_000, 7.1)).toBeGreaterThan(7);
});

test('a giant is forgotten within half a year, and what comes back daily is not', () => {
  const record = new RecordLevel(1);
  swung(record, 300, 90 * DAY);
  record.push(90 * DAY, 1_000);
  for (let day = 91; day < 182; day++) swung(record, 4, day * DAY);
  expect(record.push(181 * DAY, 50)).toBe(0);
  for (let day = 182; day < 500; day++) swung(record, 4, day * DAY);
  expect(record.push(500 * DAY, 50)).toBeGreaterThan(5.4);
});

test('after half a year of silence it begins anew', () => {
  const record = new RecordLevel(1);
  swung(record, 1_000);
  expect(record.push(300 * DAY, 99)).toBe(0);
});
