import { expect, test } from 'vitest';
import { RecordLevel } from './record.ts';

const DAY = 86_400_000;

/** `count` values that swing from 0 to 10 and back, all at one time. */
const swung = (record: RecordLevel, count: number, timestampMs = 0) => {
  for (let i = 0; i < count; i++) {
    expect(record.push(timestampMs, i % 2 === 0 ? 0 : 10)).toBe(0);
  }
};

test('a record is as surprising as it is late and far out, on either side', () => {
  const level = (count: number, x: number, rows = 1) => {
    const record = new RecordLevel(rows);
    swung(record, count);
    return record.push(0, x);
  };
  const margin = (share: number) => 2 * Math.log10(1 + share / 0.003);
  expect(level(1_000, 11)).toBeCloseTo(3 + margin(0.1), 9);
  expect(level(10_000, 11)).toBeCloseTo(4 + margin(0.1), 9);
  expect(level(1_000, -1)).toBeCloseTo(3 + margin(0.1), 9);
  expect(level(1_000, 20)).toBeCloseTo(3 + margin(1), 9);
  expect(level(1_000, 11) - level(1_000, 11, 25)).toBeCloseTo(Math.log10(5), 9);
});

test('what lies within what was seen, and the first 200 values, are no news', () => {
  const record = new RecordLevel(1);
  for (let i = 0; i < 200; i++) expect(record.push(0, i)).toBe(0);
  expect(record.push(0, 150)).toBe(0);
  expect(record.push(0, 300)).toBeGreaterThan(5.2);
  expect(record.push(0, 300)).toBe(0);
});

test('a record by a hair never alarms, however long one waited', () => {
  const record = new RecordLevel(1);
  swung(record, 300_000);
  expect(record.push(0, 10.001)).toBeLessThan(5.2);
  expect(record.push(0, 10.001 * (1 + 1e-13))).toBe(0);
});

test('the first change of what was constant is a surprise', () => {
  const record = new RecordLevel(1);
  for (let i = 0; i < 1_000; i++) expect(record.push(0, 7)).toBe(0);
  expect(record.push(0, 7.1)).toBeGreaterThan(7);
});

test('a giant is forgotten within half a year, and what comes back daily is not', () => {
  const record = new RecordLevel(1);
  swung(record, 300, 90 * DAY);
  record.push(90 * DAY, 1_000);
  for (let day = 91; day < 182; day++) swung(record, 4, day * DAY);
  expect(record.push(181 * DAY, 50)).toBe(0);
  for (let day = 182; day < 500; day++) swung(record, 4, day * DAY);
  expect(record.push(500 * DAY, 50)).toBeGreaterThan(5.2);
});

test('after half a year of silence it begins anew', () => {
  const record = new RecordLevel(1);
  swung(record, 1_000);
  expect(record.push(300 * DAY, 99)).toBe(0);
});
