import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drive } from '../driver.ts';
import { numbers, type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { tumbling } from '../windows.ts';
import { type MovingAverageOptions, movingAverage } from './moving-average.ts';
import { window } from './window.ts';

const averaging = (options: Pick<MovingAverageOptions<number[]>, 'over' | 'alpha'>) =>
  topology('averaging', ({ source }) => {
    source('in', readingCodec)
      .pipe(
        'window',
        window({ by: ['k'], windows: tumbling({ sizeMs: 10, graceMs: 0 }), aggregate: numbers }),
      )
      .pipe(
        'average',
        movingAverage({
          ...options,
          of: (state) => ({ sum: state.reduce((a, b) => a + b, 0), count: state.length }),
        }),
      )
      .to('out', {
        key: () => null,
        value: (w) => JSON.stringify([w.key[0], w.start, w.movingAverage]),
      });
  });
const run = (options: Pick<MovingAverageOptions<number[]>, 'over' | 'alpha'>, drawn: string) =>
  drive(averaging(options)).pipe('in', readings(drawn)).end().read('out');

describe('a simple moving average', () => {
  it('weighs each of the last windows by its count', () => {
    // Means 1, 4 and 7; over two windows: (1 + 4 + 4) / 3 and (4 + 4 + 7) / 3.
    expect(run({ over: 2 }, 'a1@5 a4@15 a4@16 a7@25')).toEqual([
      ['a', 0, 1],
      ['a', 10, 3],
      ['a', 20, 5],
    ]);
  });

  it('counts the windows that the key has, not those in between', () => {
    expect(run({ over: 2 }, 'a2@5 a4@1005')).toEqual([
      ['a', 0, 2],
      ['a', 1000, 3],
    ]);
  });

  it('keeps keys apart, and looks back twelve windows when not told otherwise', () => {
    const drawn = Array.from({ length: 14 }, (_, i) => `a${i}@${i * 10} b100@${i * 10}`).join(' ');
    const rows = run({}, drawn) as [string, number, number][];
    expect(rows.at(-2)).toEqual(['a', 130, 7.5]);
    expect(rows.at(-1)).toEqual(['b', 130, 100]);
  });
});

describe('an exponential moving average', () => {
  it('weighs the newest window by alpha and all before it by the rest', () => {
    expect(run({ alpha: 0.25 }, 'a8@5 a4@15 a4@25')).toEqual([
      ['a', 0, 8],
      ['a', 10, 7],
      ['a', 20, 6.25],
    ]);
    expect(run({ alpha: 1 }, 'a8@5 a4@15')).toEqual([
      ['a', 0, 8],
      ['a', 10, 4],
    ]);
  });
});

describe('a moving average', () => {
  it('gives nothing for rows that only report what came too late', () => {
    expect(run({ over: 3 }, 'a1@5 a1@25 a9@6')).toEqual([
      ['a', 0, 1],
      ['a', 20, 1],
    ]);
  });

  it('forgets a key that is silent for more than thirty days', () => {
    const month = 30 * 86_400_000;
    expect(
      run({ alpha: 0.5 }, `a2@5 b4@5 b4@${month + 5} c1@${month + 25} a8@${month + 35}`),
    ).toEqual([
      ['a', 0, 2],
      ['b', 0, 4],
      ['b', month, 4],
      ['c', month + 20, 1],
      ['a', month + 30, 8],
    ]);
  });

  it('batches, epochs and crashes anywhere leave the same bytes', { tags: 'heavy' }, () => {
    const stream = fc.array(
      fc.record({ k: fc.constantFrom('a', 'b'), n: fc.nat(9), t: fc.nat(150) }),
      { maxLength: 50 },
    );
    const cuts = fc.record({
      size: fc.integer({ min: 1, max: 20 }),
      crashes: fc.array(fc.nat(50), { maxLength: 3 }),
      option: fc.constantFrom({ over: 3 }, { alpha: 0.3 }),
    });
    fc.assert(
      fc.property(stream, cuts, (rows: readonly Reading[], { size, crashes, option }) => {
        const driver = drive(averaging(option), { batchRecords: size });
        const sorted = rows.toSorted((a, b) => a.t - b.t);
        sorted.forEach((value, i) => {
          driver.pipe('in', [{ key: value.k, value }], { commit: i % 3 === 0 });
          if (crashes.includes(i)) driver.crash();
        });
        const whole = drive(averaging(option));
        whole.pipe(
          'in',
          sorted.map((value) => ({ key: value.k, value })),
        );
        expect(driver.end().read('out')).toEqual(whole.end().read('out'));
      }),
    );
  });
});
