import { expect, test } from 'vitest';
import { HeldWork } from './held-work.ts';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test('continuations run in the order in which the work began, whatever ends first', async () => {
  const held = new HeldWork();
  const seen: string[] = [];
  const [first, second] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  for (const { promise } of [first, second])
    held.add(promise, (outcome) => seen.push(outcome.status === 'fulfilled' ? outcome.value : '-'));
  second.resolve('second');
  await settle();
  expect([seen, held.busy]).toEqual([[], true]);
  first.resolve('first');
  await held.drained();
  expect([seen, held.busy]).toEqual([['first', 'second'], false]);
});

test('work that a continuation begins is waited for too, behind what was there', async () => {
  const held = new HeldWork();
  const seen: string[] = [];
  held.add(Promise.resolve('a'), () => {
    seen.push('a');
    held.add(Promise.resolve('c'), () => seen.push('c'));
  });
  held.add(Promise.resolve('b'), () => seen.push('b'));
  await held.drained();
  expect(seen).toEqual(['a', 'b', 'c']);
  expect(held.drained()).toBeUndefined();
});

test('a rejection is an outcome like another; what a continuation throws breaks everything', async () => {
  const held = new HeldWork();
  const seen: string[] = [];
  held.add(Promise.reject(new Error('away')), (outcome) => seen.push(outcome.status));
  await held.drained();
  expect(seen).toEqual(['rejected']);
  held.add(Promise.resolve(), () => {
    throw new Error('broken');
  });
  held.add(Promise.resolve(), () => seen.push('never'));
  await expect(held.drained()).rejects.toThrow('broken');
  await settle();
  expect(seen).toEqual(['rejected']);
  await expect(held.drained()).rejects.toThrow('broken');
});

test('closing drops what is under way and lets whoever waits go on', async () => {
  const held = new HeldWork();
  const work = Promise.withResolvers<void>();
  const seen: string[] = [];
  held.add(work.promise, () => seen.push('never'));
  const drained = held.drained();
  held.close();
  await drained;
  work.resolve();
  await settle();
  expect([seen, held.busy]).toEqual([[], false]);
});
