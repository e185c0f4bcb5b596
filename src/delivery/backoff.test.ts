import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';

const policy = { backoff: 'exponential', backoffBaseMs: 5_000, backoffCapMs: 300_000 } as const;
const almostOne = () => 1 - Number.EPSILON;

test('the ceiling starts at 5 s, doubles, and stays at 300 s', () => {
  const ceilings = [1, 2, 3, 4, 5, 6, 7, 8, 1_000_000].map((attempt) =>
    backoffMs(policy, { attempt, random: almostOne }),
  );
  expect(ceilings).toEqual([
    5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000,
  ]);
});

test('the wait is spread over the whole range below the ceiling', () => {
  expect(backoffMs(policy, { attempt: 3, random: () => 0 })).toBe(0);
  expect(backoffMs(policy, { attempt: 3, random: () => 0.25 })).toBe(5_000);
});

test('the wait the server asked for is never undercut, even above the cap', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 0, max: 1_000_000 }),
      (attempt, random, retryAfterMs) => {
        const wait = backoffMs(policy, { attempt, random: () => random, retryAfterMs });
        expect(wait).toBeGreaterThanOrEqual(retryAfterMs);
        expect(wait).toBeLessThanOrEqual(Math.max(300_000, retryAfterMs));
      },
    ),
  );
});

test('without backoff every wait is the base', () => {
  const none = { ...policy, backoff: 'none' } as const;
  expect(backoffMs(none, { attempt: 1, random: almostOne })).toBe(5_000);
  expect(backoffMs(none, { attempt: 9, random: () => 0 })).toBe(5_000);
  expect(backoffMs(none, { attempt: 9, random: () => 0, retryAfterMs: 7_000 })).toBe(7_000);
});
