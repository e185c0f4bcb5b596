import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BatchQueue, isAbandoned, type PendingWrite, settleBatch } from './batch-queue.ts';
import type { Rejection } from './contract.ts';

function pending(points: readonly number[]) {
  const outcome: { rejections?: readonly Rejection[] } = {};
  const write: PendingWrite<number> = {
    points,
    sinceMs: 0,
    resolve: (rejections) => {
      outcome.rejections = rejections;
    },
    reject: () => {},
    rejections: [],
    next: 0,
    open: points.length,
    settled: false,
  };
  return { write, outcome };
}

test('batches keep the order, hold at most the maximum, and carry each rejection back to its own write', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.integer(), { minLength: 1, maxLength: 30 }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 20 }),
      (lists, pointsMax) => {
        const queue = new BatchQueue<number>(pointsMax);
        const writes = lists.map(pending);
        for (const { write } of writes) queue.add(write);
        const sent: number[] = [];
        const batches = [];
        for (let batch = queue.take(); batch; batch = queue.take()) {
          expect(batch.points.length).toBeLessThanOrEqual(pointsMax);
          sent.push(...batch.points);
          batches.push(batch);
        }
        expect(sent).toEqual(lists.flat());
        expect(queue.points).toBe(0);
        // Odd numbers are rejected; batches end in any order, here backwards.
        for (const batch of batches.reverse()) {
          settleBatch(
            batch,
            batch.points.flatMap((point, index) =>
              point % 2 ? [{ index, message: `${point}` }] : [],
            ),
          );
        }
        for (const [at, { outcome }] of writes.entries()) {
          expect(outcome.rejections).toEqual(
            lists[at]!.flatMap((point, index) =>
              point % 2 ? [{ index, message: `${point}` }] : [],
            ),
          );
        }
      },
    ),
  );
});

test('where points count for more than one, a batch ends with the point that fills it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 })),
      fc.integer({ min: 1, max: 40 }),
      (lists, weightMax) => {
        const weightOf = (points: readonly number[]) => points.reduce((sum, each) => sum + each, 0);
        const queue = new BatchQueue<number>(weightMax, (point) => point);
        for (const list of lists) queue.add(pending(list).write);
        expect(queue.points).toBe(weightOf(lists.flat()));
        const sent: number[] = [];
        for (let batch = queue.take(); batch; batch = queue.take()) {
          expect(weightOf(batch.points.slice(0, -1))).toBeLessThan(weightMax);
          if (queue.points > 0) expect(weightOf(batch.points)).toBeGreaterThanOrEqual(weightMax);
          sent.push(...batch.points);
          expect(queue.points).toBe(weightOf(lists.flat().slice(sent.length)));
        }
        expect(sent).toEqual(lists.flat());
      },
    ),
  );
});

test('a whole write is sent as the very array it came in', () => {
  const queue = new BatchQueue<number>(10);
  const points = [1, 2, 3];
  queue.add(pending(points).write);
  expect(queue.take()?.points).toBe(points);
});

test('a dropped write leaves the queue, and a batch only of such writes is abandoned', () => {
  const queue = new BatchQueue<number>(2);
  const { write } = pending([1, 2, 3]);
  queue.add(write);
  const batch = queue.take()!;
  expect(isAbandoned(batch)).toBe(false);
  write.settled = true;
  queue.drop(write);
  expect(queue.points).toBe(0);
  expect(queue.take()).toBeUndefined();
  expect(isAbandoned(batch)).toBe(true);
});
