import { describe, expect, it } from 'vitest';
import { drive } from '../driver.ts';
import { type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { type LatestView, latest } from './latest.ts';

const newest = (order: (row: Reading) => number = (row) => row.t) =>
  topology('newest', ({ source }) => {
    source('in', readingCodec)
      .pipe('latest', latest({ key: (row) => row.k, order, keep: (row) => row.n, as: 'newest' }))
      .to('out', { key: () => null, value: (row) => `"${row.k}${row.n}"` });
  });
const viewOf = (driver: ReturnType<typeof drive>, partition = 0) =>
  driver.exposed('newest', partition) as LatestView<number>;

describe('latest', () => {
  it('passes every row on and shows the newest of each key, whatever order they come in', () => {
    const driver = drive(newest()).pipe('in', readings('a1@10 b2@5 a3@4 b4@6'));
    expect(driver.read('out')).toEqual(['a1', 'b2', 'a3', 'b4']);
    expect([...viewOf(driver).entries()]).toEqual([
      ['a', 1],
      ['b', 4],
    ]);
    expect(viewOf(driver).get('c')).toBeUndefined();
  });

  it('lets the later of two equally new ones replace the earlier', () => {
    const driver = drive(newest()).pipe('in', readings('a1@10 a2@10'));
    expect(viewOf(driver).get('a')).toBe(2);
  });

  it('shows after a crash what the last epoch held and what was read again', () => {
    const driver = drive(newest()).pipe('in', readings('a1@10 b1@10'));
    driver.pipe('in', readings('a2@20'), { commit: false }).crash();
    expect([...viewOf(driver).entries()]).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
    driver.pipe('in', readings('b9@9'));
    expect(viewOf(driver).get('b')).toBe(1);
  });

  it('shows each task its own keys', () => {
    const driver = drive(newest(), { partitions: 2 });
    const at = (partition: number, drawn: string) =>
      readings(drawn).map((record) => ({ ...record, partition }));
    driver.pipe('in', [...at(0, 'a1@1'), ...at(1, 'a2@1')]);
    expect([viewOf(driver, 0).get('a'), viewOf(driver, 1).get('a')]).toEqual([1, 2]);
  });

  it('ends the task when one of its functions throws', () => {
    const broken = newest(() => {
      throw new Error('no order');
    });
    expect(() => drive(broken).pipe('in', readings('a1@1'))).toThrow('no order');
  });
});
