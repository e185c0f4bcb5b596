import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drive } from '../driver.ts';
import { type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { dedup } from './dedup.ts';

const once = (by: readonly string[], keepMs?: number) =>
  topology('once', ({ source }) => {
    source('in', readingCodec)
      .pipe('dedup', dedup({ by, withinMs: 100, ...(keepMs === undefined ? {} : { keepMs }) }))
      .to('out', { key: (row) => row.k, value: (row) => `"${row.k}${row.n}@${row.t}"` });
  });

describe('dedup', () => {
  it('lets the first of an identity pass and none of its repetitions within reach', () => {
    const driver = drive(once(['k', 'n']));
    driver.pipe('in', readings('a1@0 a1@100 b1@50 a2@60 a1@99'));
    expect(driver.read('out')).toEqual(['a1@0', 'b1@50', 'a2@60']);
  });

  it('takes a repetition that is too far away in event time for a new event', () => {
    const driver = drive(once(['k', 'n']));
    driver.pipe('in', readings('a1@0 a1@101 a1@150'));
    expect(driver.read('out')).toEqual(['a1@0', 'a1@101']);
  });

  it('reaches backwards as well as forwards', () => {
    const driver = drive(once(['k', 'n']));
    driver.pipe('in', readings('a1@500 a1@401 a1@399'));
    expect(driver.read('out')).toEqual(['a1@500', 'a1@399']);
  });

  it('works on a single text field too', () => {
    const driver = drive(once(['k']));
    driver.pipe('in', readings('a1@0 a2@1 b3@2'));
    expect(driver.read('out')).toEqual(['a1@0', 'b3@2']);
  });

  it('remembers across a crash', () => {
    const driver = drive(once(['k', 'n']));
    driver
      .pipe('in', readings('a1@0 b1@1'))
      .crash()
      .pipe('in', readings('a1@2 b1@3 c1@4'))
      .crash()
      .pipe('in', readings('c1@5'));
    expect(driver.read('out')).toEqual(['a1@0', 'b1@1', 'c1@4']);
  });

  it('forgets what the watermark has left far behind', () => {
    const driver = drive(once(['k', 'n'], 200));
    driver.pipe('in', readings('a1@0 b1@1000 a1@1'));
    expect(driver.read('out')).toEqual(['a1@0', 'b1@1000', 'a1@1']);
  });

  it('agrees with a naive memory of everything', () => {
    const rows = fc.array(
      fc.record({
        k: fc.constantFrom('a', 'b'),
        n: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(2 ** 40, -7, 0.5)),
        t: fc.nat(900),
      }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 64 }), (readings, batchRecords) => {
        const driver = drive(once(['k', 'n'], 10_000), { batchRecords });
        const half = Math.floor(readings.length / 2);
        const records = readings.map((value) => ({ key: 'x', value }));
        driver.pipe('in', records.slice(0, half)).crash().pipe('in', records.slice(half));
        expect(driver.read('out')).toEqual(naive(readings));
      }),
    );
  });
});

function naive(rows: readonly Reading[]): string[] {
  const first = new Map<string, number>();
  return rows.flatMap(({ k, n, t }) => {
    const seen = first.get(`${k}/${n}`);
    if (seen !== undefined && Math.abs(t - seen) <= 100) return [];
    first.set(`${k}/${n}`, t);
    return [`${k}${n}@${t}`];
  });
}
