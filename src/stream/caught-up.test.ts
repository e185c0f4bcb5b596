import { expect, test } from 'vitest';
import { isCaughtUp } from './caught-up.ts';
import { defaultEpochPolicy } from './epoch-policy.ts';

const position = (more: object = {}) => ({
  topic: 'votes',
  partition: 0,
  nextOffset: 10,
  endOffset: 10,
  confirmedAtMs: 99_900,
  ...more,
});

test('a task is caught up when all its topics are read to the end that the log has just confirmed', () => {
  expect(isCaughtUp([position(), position({ topic: 'other' })], 100_000)).toBe(true);
  expect(isCaughtUp([position(), position({ topic: 'other', endOffset: 11 })], 100_000)).toBe(
    false,
  );
  expect(isCaughtUp([], 100_000)).toBe(false);
});

test('a process that slept longer than idleness takes is not caught up until the log has spoken again', () => {
  const asleepMs = defaultEpochPolicy.idleAfterMs;
  expect(isCaughtUp([position()], 99_900 + asleepMs)).toBe(false);
  expect(isCaughtUp([position({ confirmedAtMs: 99_900 + asleepMs })], 99_900 + asleepMs)).toBe(
    true,
  );
});
