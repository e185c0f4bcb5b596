import { expect, test } from 'vitest';
import { Profile } from './profile.ts';

const HOUR = 3_600_000;

test('an hour has an opinion once it was visited often enough, and it is its own', () => {
  const profile = new Profile({ hours: 24, rate: 0.1, visitsMin: 2 });
  for (let hour = 0; hour < 48; hour++) {
    for (const minute of [0, 30]) {
      expect(
        profile.push(hour * HOUR + minute * 60_000, (hour % 24) + minute / 30),
      ).toBeUndefined();
    }
  }
  for (let hour = 48; hour < 72; hour++) {
    expect(profile.push(hour * HOUR, hour % 24)).toBeCloseTo(-0.5, 9);
  }
});

test('early visits count equally, later ones by the rate', () => {
  const profile = new Profile({ hours: 24, rate: 0.25, visitsMin: 1 });
  const usual = (day: number, value: number) => {
    const away = profile.push(day * 24 * HOUR, value);
    profile.push(day * 24 * HOUR + HOUR, 0);
    return away === undefined ? undefined : value - away;
  };
  expect([8, 4, 0, 4, 24, 0].map((value, day) => usual(day, value))).toEqual([
    undefined,
    8,
    6,
    4,
    4,
    9,
  ]);
});

test('times before 1970 belong to an hour, too', () => {
  const profile = new Profile({ hours: 24, rate: 1, visitsMin: 1 });
  profile.push(-25 * HOUR, 3);
  profile.push(-24 * HOUR, 0);
  expect(profile.push(-HOUR, 5)).toBe(2);
});
