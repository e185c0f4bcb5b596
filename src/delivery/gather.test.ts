/** How a batch waits for more when the write before it has left a backlog, and what a point counts for in it. */
import { expect, it } from 'vitest';
import { ManualClock } from '../runtime/index.ts';
import { deliver } from './delivery.ts';
import type { DeliveryPolicy } from './policy.ts';

/** Each write waits until it is let go. */
function gated(policy: Partial<DeliveryPolicy>, weigh?: (point: number) => number) {
  const clock = new ManualClock();
  const writes: { readonly atMs: number; readonly points: readonly number[] }[] = [];
  let release = () => {};
  const sink = {
    name: 'gated',
    connect: async () => {},
    check: async () => {},
    close: async () => {},
    write: (points: readonly number[]) => {
      writes.push({ atMs: clock.now(), points });
      return new Promise<[]>((resolve) => {
        release = () => resolve([]);
      });
    },
  };
  const delivery = deliver(
    sink,
    { writersMax: 1, flushIntervalMs: 0, healthIntervalMs: 0, ...policy },
    { clock, random: () => 0.5, ...(weigh && { weigh }) },
  );
  return {
    clock,
    writes,
    delivery,
    /** Ends the write under way. */
    end: async () => {
      release();
      await clock.advance(0);
    },
    give: async (...points: number[]) => {
      void delivery.write(points);
      await clock.advance(0);
    },
  };
}

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

it('a batch behind a backlog goes when its oldest point has waited long enough', async () => {
  const { clock, writes, give, end } = gated({ gatherFromPoints: 3, gatherMs: 1_000 });
  await give(1);
  await clock.advance(200);
  await give(2, 3, 4);
  await clock.advance(300);
  await end();
  await clock.advance(600);
  await give(5);
  expect(writes).toHaveLength(1);
  await clock.advance(100);
  expect(writes.slice(1)).toEqual([{ atMs: 1_200, points: [2, 3, 4, 5] }]);
});

it('a full batch waits for nothing, backlog or not', async () => {
  const { writes, give, end } = gated({ gatherFromPoints: 3, gatherMs: 1_000, batchPointsMax: 5 });
  await give(1);
  await give(...numbers(2, 4));
  await end();
  expect(writes).toHaveLength(1);
  await give(6, 7);
  expect(writes[1]).toEqual({ atMs: 0, points: [2, 3, 4, 5, 6] });
});

it('less than a backlog goes at once, also after there was one', async () => {
  const { clock, writes, give, end } = gated({ gatherFromPoints: 3, gatherMs: 1_000 });
  await give(1);
  await give(2, 3);
  await end();
  expect(writes[1]?.points).toEqual([2, 3]);
  await give(4, 5, 6);
  await end();
  await clock.advance(1_000);
  expect(writes[2]?.points).toEqual([4, 5, 6]);
  await end();
  await give(7);
  expect(writes[3]).toEqual({ atMs: 1_000, points: [7] });
});

it('stopping does not wait for a batch that gathers', async () => {
  const { writes, give, end, delivery } = gated({ gatherFromPoints: 1, gatherMs: 1_000_000 });
  await give(1);
  await give(2);
  await end();
  expect(writes).toHaveLength(1);
  const stopped = delivery.stop(1_000);
  await end();
  expect(writes[1]?.points).toEqual([2]);
  await end();
  await stopped;
});

it('a point may count for more: of a full batch, and of a backlog', async () => {
  const policy = { gatherFromPoints: 50, gatherMs: 1_000, batchPointsMax: 100 };
  const { writes, give, end } = gated(policy, (point) => point);
  await give(1);
  await give(49);
  await end();
  // 49 is no backlog.
  expect(writes[1]?.points).toEqual([49]);
  await give(30, 30);
  await end();
  // 60 is, and 140 is more than a batch: the point that fills it is its last.
  expect(writes).toHaveLength(2);
  await give(50, 30);
  expect(writes[2]?.points).toEqual([30, 30, 50]);
});
