import { expect, test } from 'vitest';
import { ManualClock } from '../../runtime/index.ts';
import { QueryCache } from './query-cache.ts';

function setUp(options: { ttlMs?: number; entriesMax?: number } = {}) {
  const clock = new ManualClock();
  const cache = new QueryCache<number>({ clock, ttlMs: 100, entriesMax: 2, ...options });
  let asked = 0;
  return { clock, ask: (question: string) => cache.get(question, async () => ++asked) };
}

test('an answer is kept for its time and asked again after', async () => {
  const { clock, ask } = setUp();
  expect(await ask('a')).toBe(1);
  await clock.advance(99);
  expect(await ask('a')).toBe(1);
  await clock.advance(1);
  expect(await ask('a')).toBe(2);
});

test('a question asked many times at once is answered once, even when nothing is kept', async () => {
  const { ask } = setUp({ ttlMs: 0 });
  expect(await Promise.all([ask('a'), ask('a'), ask('a')])).toEqual([1, 1, 1]);
  expect(await ask('a')).toBe(2);
});

test('the least recently used answer goes first', async () => {
  const { ask } = setUp();
  await ask('a');
  await ask('b');
  await ask('a');
  await ask('c');
  expect(await ask('a')).toBe(1);
  expect(await ask('b')).toBe(4);
});

test('a failure goes to all who asked and is not kept', async () => {
  const clock = new ManualClock();
  const cache = new QueryCache<number>({ clock, ttlMs: 100, entriesMax: 2 });
  const fail = () => Promise.reject(new Error('away'));
  const both = [cache.get('a', fail), cache.get('a', async () => 1)];
  await expect(Promise.allSettled(both)).resolves.toMatchObject([
    { status: 'rejected' },
    { status: 'rejected' },
  ]);
  expect(await cache.get('a', async () => 2)).toBe(2);
});
