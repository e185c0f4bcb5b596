import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addMonths,
  addYears,
  dateOf,
  dayOfWeek,
  daysInMonth,
  monthsBetween,
  startOfDate,
  yearsBetween,
} from './calendar.ts';

const at = (text: string) => Date.parse(`${text}Z`);
const anyTime = fc.integer({ min: -8.6e15, max: 8.6e15 });

test('dates are those of JavaScript, as far as it knows them', () => {
  fc.assert(
    fc.property(anyTime, (ms) => {
      const date = new Date(ms);
      expect(dateOf(ms)).toEqual({
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
      });
      expect(dayOfWeek(ms)).toBe(date.getUTCDay() || 7);
      const { year, month, day } = dateOf(ms);
      expect(startOfDate(year, month, day)).toBe(Math.floor(ms / 86_400_000) * 86_400_000);
      expect(day).toBeLessThanOrEqual(daysInMonth(year, month));
    }),
  );
});

describe('months and years', () => {
  test('a day that a month does not have becomes its last', () => {
    expect(addMonths(at('2024-01-31T12:00'), 1)).toBe(at('2024-02-29T12:00'));
    expect(addMonths(at('2024-03-31T12:00'), -13)).toBe(at('2023-02-28T12:00'));
    expect(addYears(at('2024-02-29T01:00'), 1)).toBe(at('2025-02-28T01:00'));
  });

  test('a last day that comes too early completes a month', () => {
    expect(monthsBetween(at('2024-01-31T12:00'), at('2024-02-29T12:00'))).toBe(1);
    expect(monthsBetween(at('2024-01-31T12:00'), at('2024-02-29T11:59'))).toBe(0);
    expect(monthsBetween(at('2024-01-30T12:00'), at('2024-02-28T12:00'))).toBe(0);
    expect(yearsBetween(at('2024-02-29T00:00'), at('2025-02-28T00:00'))).toBe(1);
    expect(yearsBetween(at('2023-03-01T00:00'), at('2024-02-29T23:59'))).toBe(0);
    expect(yearsBetween(at('2025-01-01T00:00'), at('2024-12-31T23:59'))).toBe(0);
  });

  test('counting gives what adding reaches, and never passes the end', () => {
    const near = fc.integer({ min: -3e12, max: 5e12 });
    fc.assert(
      fc.property(near, near, (a, b) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const months = monthsBetween(from, to);
        expect(addMonths(from, months)).toBeLessThanOrEqual(to);
        expect(addMonths(from, months + 1)).toBeGreaterThan(to);
        expect(monthsBetween(to, from)).toBe(0 - months);
      }),
    );
  });
});
