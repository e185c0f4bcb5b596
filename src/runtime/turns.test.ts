import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A task with so many batches, writing down each that it runs. */
const task = (name: string, batches: number, log: string[]) => {
  let left = batches;
  return {
    turn: () => {
      log.push(`${name}${batches - left}`);
      left--;
      return left > 0;
    },
  };
};

test('tasks take turns, one batch each, until each has said that it has no more', async () => {
  const turns = new Turns();
  const log: string[] = [];
  for (const [name, batches] of [
    ['a', 3],
    ['b', 1],
    ['c', 2],
  ] as const)
    turns.ready(task(name, batches, log));
  for (let i = 0; i < 20; i++) await turn();
  expect(log).toEqual(['a0', 'b0', 'c0', 'a1', 'c1', 'a2']);
});

test('between two batches everything else gets its turn', async () => {
  const turns = new Turns();
  const log: string[] = [];
  turns.ready(task('a', 3, log));
  expect(log).toEqual([]);
  const seen: number[] = [];
  for (let i = 0; i < 4; i++) {
    await turn();
    seen.push(log.length);
  }
  expect(seen).toEqual([1, 2, 3, 3]);
});

test('a task that is ready twice stands in line once, and may come back later', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const single = task('a', 1, log);
  turns.ready(single);
  turns.ready(single);
  for (let i = 0; i < 5; i++) await turn();
  expect(log).toEqual(['a0']);
  turns.ready(single);
  await turn();
  expect(log).toEqual(['a0', 'a1']);
});

test('a task that becomes ready during its own turn runs again', async () => {
  const turns = new Turns();
  let runs = 0;
  const self = {
    turn: () => {
      if (++runs < 3) turns.ready(self);
      return false;
    },
  };
  turns.ready(self);
  for (let i = 0; i < 6; i++) await turn();
  expect(runs).toBe(3);
});

test('who waits for a turn gets it behind those that stood in line before', async () => {
  const turns = new Turns();
  const log: string[] = [];
  turns.ready(task('a', 3, log));
  const waited = turns.next().then(() => log.push('waited'));
  turns.ready(task('b', 1, log));
  await waited;
  expect(log).toEqual(['a0', 'waited']);
  for (let i = 0; i < 10; i++) await turn();
  expect(log).toEqual(['a0', 'waited', 'b0', 'a1', 'a2']);
});

test('a piece is over once it has had the thread for 2 ms, and its next begins in its turn', async () => {
  let nowMs = 100;
  const turns = new Turns(() => nowMs);
  const log: string[] = [];
  const piece = turns.piece();
  expect(piece.isOver).toBe(false);
  nowMs += 1.9;
  expect(piece.isOver).toBe(false);
  nowMs += 0.1;
  expect(piece.isOver).toBe(true);
  turns.ready(task('a', 1, log));
  const next = piece.next().then(() => log.push('next'));
  nowMs += 5;
  await next;
  expect(log).toEqual(['a0', 'next']);
  expect(piece.isOver).toBe(false);
});
