import { describe, expect, it } from 'vitest';
import { ColumnPool } from './column-pool.ts';

describe('ColumnPool', () => {
  it('gives two columns of each length, which do not overlap', () => {
    const pool = new ColumnPool();
    for (const points of [0, 1, 31, 32, 33, 288, 2_016, 2_048, 5_000]) {
      const { times, numbers } = pool.take(points);
      times.fill(1);
      numbers.fill(2);
      expect([times.length, numbers.length]).toEqual([points, points]);
      expect(times.every((each) => each === 1)).toBe(true);
    }
  });

  it('gives what came back to the next page of about that size, and to one only', () => {
    const pool = new ColumnPool();
    const first = pool.take(2_016);
    expect(pool.take(2_016).times.buffer).not.toBe(first.times.buffer);
    pool.giveBack(first);
    pool.giveBack(first);
    expect(pool.take(288).times.buffer).not.toBe(first.times.buffer);
    expect(pool.take(2_015).times.buffer).toBe(first.times.buffer);
    expect(pool.take(2_015).times.buffer).not.toBe(first.times.buffer);
  });

  it('does not take columns of others, who may share their bytes with other pages', () => {
    const pool = new ColumnPool();
    const stretch = new Float64Array(128);
    pool.giveBack({ times: stretch.subarray(0, 32), numbers: stretch.subarray(32, 64) });
    expect(pool.take(64).times.buffer).not.toBe(stretch.buffer);
  });
});
