import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Buckets } from './buckets.ts';
import { samplingLengthMs, timeBefore } from './relative-time.ts';
import { timeUnits } from './time-unit.ts';
import { UTC, type Zone, zoneOf } from './zone.ts';

const at = (text: string) => Date.parse(`${text}Z`);
const berlin = zoneOf('Europe/Berlin') as Zone;

test('an aligned base is the start of the day, week, month or year, as local time has it', () => {
  const base = (unit: (typeof timeUnits)[number], zone = UTC) =>
    new Buckets({
      sampling: { value: 1, unit },
      zone,
      startMs: at('2024-05-16T13:14:15.678'),
      align: true,
    }).baseMs;
  expect(base('MILLISECONDS')).toBe(at('2024-05-16T13:14:15'));
  for (const unit of ['SECONDS', 'MINUTES', 'HOURS', 'DAYS'] as const) {
    expect(base(unit)).toBe(at('2024-05-16T00:00'));
  }
  expect(base('WEEKS')).toBe(at('2024-05-13T00:00'));
  expect(base('MONTHS')).toBe(at('2024-05-01T00:00'));
  expect(base('YEARS')).toBe(at('2024-01-01T00:00'));
  expect(base('YEARS', berlin)).toBe(at('2023-12-31T23:00'));
  expect(base('DAYS', berlin)).toBe(at('2024-05-15T22:00'));
});

test('months are counted from the base, not from one another', () => {
  const startMs = at('2024-01-31T12:00');
  const buckets = new Buckets({
    sampling: { value: 1, unit: 'MONTHS' },
    zone: UTC,
    startMs,
    align: false,
  });
  expect(buckets.startOf(at('2024-03-01T00:00'))).toBe(at('2024-02-29T12:00'));
  expect(buckets.endOf(at('2024-03-01T00:00'))).toBe(at('2024-03-31T12:00'));
});

test('a local day has 23 hours when the clock goes forward', () => {
  const startMs = at('2024-03-30T23:00');
  const buckets = new Buckets({
    sampling: { value: 1, unit: 'DAYS' },
    zone: berlin,
    startMs,
    align: true,
  });
  expect(buckets.endOf(startMs) - buckets.startOf(startMs)).toBe(23 * 3_600_000);
});

test('every time from the base on lies in its bucket, but where a clock goes back', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...timeUnits),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: -1e12, max: 3e12 }),
      fc.integer({ min: 0, max: 1e12 }),
      (unit, value, startMs, later) => {
        const buckets = new Buckets({ sampling: { value, unit }, zone: UTC, startMs, align: true });
        const ms = startMs + later;
        expect(buckets.startOf(ms)).toBeLessThanOrEqual(ms);
        expect(buckets.endOf(ms)).toBeGreaterThan(ms);
        expect(buckets.startOf(buckets.endOf(ms))).toBe(buckets.endOf(ms));
      },
    ),
  );
});

test('a sampling of 0 fails when points come', () => {
  const sampling = { value: 0, unit: 'DAYS' } as const;
  const buckets = new Buckets({ sampling, zone: UTC, startMs: 0, align: true });
  expect(() => buckets.endOf(5)).toThrow('/ by zero');
});

test('relative times go back by the calendar, and samplings last as long as theirs', () => {
  expect(timeBefore(at('2024-03-31T10:00'), { value: 1, unit: 'MONTHS' })).toBe(
    at('2024-02-29T10:00'),
  );
  expect(timeBefore(1_000, { value: 7, unit: 'MILLISECONDS' })).toBe(993);
  expect(samplingLengthMs(at('2024-02-01T00:00'), { value: 1, unit: 'MONTHS' }, UTC)).toBe(
    29 * 86_400_000,
  );
  expect(samplingLengthMs(at('2024-03-30T12:00'), { value: 1, unit: 'DAYS' }, berlin)).toBe(
    23 * 3_600_000,
  );
});
