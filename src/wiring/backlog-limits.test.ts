import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { totalOf, type WaitingPartition } from './backlog.ts';
import { type BacklogLimits, keepFrom, passedLimit } from './backlog-limits.ts';

const NOW = 1_700_000_000_000;
const none: BacklogLimits = { pointsMax: 0, bytesMax: 0, ageMaxMs: 0 };

/** Partitions as lists of the log times of their records, from offset 100 on; each record has 10 bytes. */
function logOf(partitions: readonly (readonly number[])[]) {
  const waiting: WaitingPartition[] = partitions.map((times, partition) => ({
    topic: 'votes',
    partition,
    from: 100,
    end: 100 + times.length,
    points: times.length,
    bytes: times.length * 10,
    oldestMs: times[0],
    lost: 0,
  }));
  const offsetAt = async ({ partition }: { partition: number }, timeMs: number) => {
    const times = partitions[partition] ?? [];
    const at = times.findIndex((time) => time >= timeMs);
    return 100 + (at < 0 ? times.length : at);
  };
  return { waiting, broker: { offsetAt } };
}

async function keptOf(partitions: readonly (readonly number[])[], limits: BacklogLimits) {
  const { waiting, broker } = logOf(partitions);
  const places = await keepFrom(broker, waiting, limits, NOW);
  return places.map(({ partition, offset }) => partitions[partition]?.slice(offset - 100) ?? []);
}

describe('a backlog', () => {
  it('passes no limit that is 0', () => {
    const total = { points: 1e9, bytes: 1e12, oldestMs: 0 };
    expect(passedLimit(total, none, NOW)).toBeUndefined();
  });

  it.each([
    [{ ...none, pointsMax: 2 }, '3 points wait, 2 may'],
    [{ ...none, bytesMax: 29 }, '30 bytes wait, 29 may'],
    [{ ...none, ageMaxMs: 49 }, 'the oldest has waited 50 ms, 49 may pass'],
  ])('says which limit it passes: %o', (limits, words) => {
    const { waiting } = logOf([[NOW - 50, NOW - 2], [NOW - 1]]);
    expect(passedLimit(totalOf(waiting), limits, NOW)).toBe(words);
  });

  it('is within a limit that it just reaches', () => {
    const { waiting } = logOf([[NOW - 50, NOW - 2], [NOW - 1]]);
    const limits = { pointsMax: 3, bytesMax: 30, ageMaxMs: 50 };
    expect(passedLimit(totalOf(waiting), limits, NOW)).toBeUndefined();
  });

  it('keeps the newest records of all partitions', async () => {
    const log = [
      [NOW - 90, NOW - 70, NOW - 10],
      [NOW - 80, NOW - 60, NOW - 50],
    ];
    expect(await keptOf(log, { ...none, pointsMax: 3 })).toEqual([
      [NOW - 10],
      [NOW - 60, NOW - 50],
    ]);
    expect(await keptOf(log, { ...none, bytesMax: 10 })).toEqual([[NOW - 10], []]);
    expect(await keptOf(log, { ...none, ageMaxMs: 65 })).toEqual([
      [NOW - 10],
      [NOW - 60, NOW - 50],
    ]);
  });

  it('keeps exactly as many as may stay, also of records of one millisecond', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: NOW - 6, max: NOW }), { maxLength: 12 }), {
          minLength: 1,
          maxLength: 3,
        }),
        fc.integer({ min: 1, max: 20 }),
        async (unsorted, pointsMax) => {
          const log = unsorted.map((times) => times.toSorted((a, b) => a - b));
          const kept = await keptOf(log, { ...none, pointsMax });
          const all = log.flat();
          expect(kept.flat().length).toBe(Math.min(pointsMax, all.length));
          const oldestKept = Math.min(...kept.flat());
          const dropped = log.flatMap((times, i) => times.slice(0, times.length - kept[i]!.length));
          for (const time of dropped) expect(time).toBeLessThanOrEqual(oldestKept);
        },
      ),
    );
  });
});
