import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drive } from '../driver.ts';
import { numbers, type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { tumbling } from '../windows.ts';
import { dedup } from './dedup.ts';
import { type RollupOptions, rollup } from './rollup.ts';
import { type WindowView, window } from './window.ts';

const graceMs = 5;
const tenMs = tumbling({ sizeMs: 10, graceMs, late: 'in.late' });
const thirtyMs = tumbling({ sizeMs: 30, graceMs });

const rolled = (changes: Partial<RollupOptions<number[]>> = {}) =>
  topology('rolled', ({ source }) => {
    source('in', readingCodec)
      .pipe('dedup', dedup({ by: ['k', 'n'], withinMs: 100 }))
      .pipe('ten', window({ by: ['k'], windows: tenMs, aggregate: numbers, carry: ['n'] }))
      .pipe('thirty', rollup({ windows: thirtyMs, aggregate: numbers, ...changes }))
      .to('out', {
        key: () => null,
        value: (w) =>
          JSON.stringify(
            `${w.key.join('/')}[${w.start},${w.end})=${w.state?.join('+') ?? '-'} late ${w.late} dup ${w.duplicates} at ${w.firstOffset}..${w.lastOffset} n ${w.carried.n ?? '-'}`,
          ),
      });
  });
const run = (drawn: string, changes: Partial<RollupOptions<number[]>> = {}) =>
  drive(rolled(changes)).pipe('in', readings(drawn)).end().read('out');

describe('a rollup', () => {
  it('gives nothing for nothing', () => {
    expect(run('a1@0').length).toBe(1);
    expect(drive(rolled()).end().read('out')).toEqual([]);
  });

  it('merges the windows that lie within a wider one, with their place in the log and what the first carried', () => {
    expect(run('a1@0 a2@11 a3@29 a4@30')).toEqual([
      'a[0,30)=1+2+3 late 0 dup 0 at 0..2 n 1',
      'a[30,60)=4 late 0 dup 0 at 3..3 n 4',
    ]);
  });

  it('gives a window when the watermark reaches its end plus grace, and not before', () => {
    const driver = drive(rolled()).pipe('in', readings('a1@0 a2@34'));
    expect(driver.read('out')).toEqual([]);
    expect(driver.pipe('in', readings('b3@35')).read('out')).toHaveLength(1);
  });

  it('folds keys into fewer, by the positions that remain', () => {
    expect(run('a1@0 b2@1 a3@2', { by: [] })).toEqual(['[0,30)=1+3+2 late 0 dup 0 at 0..2 n -']);
  });

  it('counts in the wider window what came too late or again for the narrow one', () => {
    expect(run('a1@1 b2@16 a3@2 a1@3 a4@17')).toEqual([
      'a[0,30)=1+4 late 1 dup 1 at 0..4 n 1',
      'b[0,30)=2 late 0 dup 0 at 1..1 n 2',
    ]);
  });

  it('hands on what even the wider window is too late for, as a report of that window', () => {
    expect(run('a1@1 a2@40 a3@2')).toEqual([
      'a[0,30)=1 late 0 dup 0 at 0..0 n 1',
      'a[0,30)=- late 1 dup 0 at Infinity..-1 n -',
      'a[30,60)=2 late 0 dup 0 at 1..1 n 2',
    ]);
  });

  it('gives no row for a key that has only reports in the window', () => {
    expect(run('b1@16 c1@17 a3@2')).toEqual([
      'b[0,30)=1 late 0 dup 0 at 0..0 n 1',
      'c[0,30)=1 late 0 dup 0 at 1..1 n 1',
    ]);
  });

  it('shows what is open to whoever watches', () => {
    const driver = drive(rolled()).pipe('in', readings('a1@1 a2@16'));
    const view = driver.exposed('thirty') as WindowView<number[]>;
    expect([view.watermark, view.open().map((w) => [w.start, w.entries.length])]).toEqual([
      16,
      [[0, 1]],
    ]);
  });

  it('stacks: an hour of five minutes and a day of hours agree with one window of a day', () => {
    const wide = tumbling({ sizeMs: 120, graceMs });
    const both = topology('stacked', ({ source }) => {
      const rows = source('in', readingCodec);
      rows
        .pipe('ten', window({ by: ['k'], windows: tenMs, aggregate: numbers }))
        .pipe('thirty', rollup({ windows: thirtyMs, aggregate: numbers }))
        .pipe('wide', rollup({ windows: wide, aggregate: numbers }))
        .to('stacked', {
          key: () => null,
          value: (w) => JSON.stringify([w.key, w.start, sum(w.state)]),
        });
      rows.pipe('at once', window({ by: ['k'], windows: wide, aggregate: numbers })).to('direct', {
        key: () => null,
        value: (w) => JSON.stringify([w.key, w.start, sum(w.state)]),
      });
    });
    fc.assert(
      fc.property(fc.array(reading), (rows) => {
        const driver = drive(both);
        // In order of time: nothing is late for any of them.
        const sorted = rows.toSorted((a, b) => a.t - b.t);
        driver
          .pipe(
            'in',
            sorted.map((value) => ({ key: value.k, value })),
          )
          .end();
        expect(driver.read('stacked')).toEqual(driver.read('direct'));
      }),
    );
  });

  it('batches, epochs and crashes anywhere leave the same bytes', { tags: 'heavy' }, () => {
    fc.assert(
      fc.property(
        fc.array(reading, { maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.nat(60), { maxLength: 3 }),
        (rows: readonly Reading[], batchRecords, crashes) => {
          const driver = drive(rolled(), { batchRecords });
          rows.forEach((value, i) => {
            driver.pipe('in', [{ key: value.k, value }], { commit: i % 3 === 0 });
            if (crashes.includes(i)) driver.crash();
          });
          const whole = drive(rolled()).pipe(
            'in',
            rows.map((value) => ({ key: value.k, value })),
          );
          const lines = (d: ReturnType<typeof drive>) => d.end().read<string>('out');
          expect(lines(driver)).toEqual(lines(whole));
        },
      ),
      { numRuns: 300 },
    );
  });
});

const reading = fc.record({
  k: fc.constantFrom('a', 'b'),
  n: fc.nat(20),
  t: fc.integer({ min: -50, max: 250 }),
});

const sum = (state: readonly number[] | undefined) => (state ?? []).reduce((a, b) => a + b, 0);
