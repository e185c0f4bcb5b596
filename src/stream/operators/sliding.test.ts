import fc from 'fast-check';
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Aggregate } from '../aggregate.ts';
import type { Batch } from '../batch.ts';
import { drive } from '../driver.ts';
import { numbersNamed } from '../key-index.ts';
import { rowsBatch } from '../rows.ts';
import { SlidingTable } from '../sliding-table.ts';
import { numbers, type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { tumbling } from '../windows.ts';
import { dedup } from './dedup.ts';
import { filter, map } from './rows.ts';
import { type SlidingOptions, sliding } from './sliding.ts';
import { window } from './window.ts';

const options = { by: ['k'], sizeMs: 10, graceMs: 5, late: 'in.late', aggregate: numbers };

const slidingOf = (changes: Partial<SlidingOptions<number[]>> = {}, identity?: readonly string[]) =>
  topology('sliding', ({ source }) => {
    const rows = source('in', readingCodec);
    const once =
      identity === undefined ? rows : rows.pipe('dedup', dedup({ by: identity, withinMs: 100 }));
    once
      .pipe(
        'positive',
        filter((row) => row.n >= 0),
      )
      .pipe('sliding', sliding({ ...options, ...changes }))
      .pipe(
        'text',
        map((w) => ({
          text: `${w.key[0]}(${w.start},${w.end}]=${w.state?.join('+')} dup ${w.duplicates} at ${w.firstOffset}..${w.lastOffset}`,
        })),
      )
      .to('out', { key: () => null, value: (row) => JSON.stringify(row.text) });
  });

const shortOf = (lines: readonly string[]) => lines.map((line) => line.split(' ')[0]);

describe('sliding windows', () => {
  it('give nothing for an empty input', () => {
    expect(drive(slidingOf()).end().read('out')).toEqual([]);
  });

  it('hold what the docstring says, when it says', () => {
    const driver = drive(slidingOf());
    driver.pipe('in', readings('a1@100 a2@104 a3@102'));
    expect(driver.read('out')).toEqual([]);
    driver.pipe('in', readings('a4@111'));
    expect(driver.read('out')).toEqual([
      'a(90,100]=1 dup 0 at 0..0',
      'a(92,102]=1+3 dup 0 at 0..2',
      'a(94,104]=1+3+2 dup 0 at 0..2',
    ]);
    driver.pipe('in', readings('a5@120'));
    expect(shortOf(driver.read('out')).slice(3)).toEqual(['a(101,111]=3+2+4']);
  });

  it('are given once the watermark is beyond end plus grace, and not at it', () => {
    const driver = drive(slidingOf()).pipe('in', readings('a1@100 b1@105'));
    expect(driver.read('out')).toEqual([]);
    expect(shortOf(driver.pipe('in', readings('b2@106')).read('out'))).toEqual(['a(90,100]=1']);
  });

  it('work with no grace on an input in order', () => {
    const driver = drive(slidingOf({ graceMs: 0 }))
      .pipe('in', readings('a1@1 a2@1 a3@2'))
      .end();
    expect(driver.records('in.late')).toEqual([]);
    expect(shortOf(driver.read('out'))).toEqual(['a(-9,1]=1+2', 'a(-8,2]=1+2+3']);
  });

  it('leave out a record exactly one size old and hold one a millisecond younger', () => {
    const driver = drive(slidingOf()).pipe('in', readings('a1@100 a2@109 a3@110')).end();
    expect(shortOf(driver.read('out'))).toEqual(['a(90,100]=1', 'a(99,109]=1+2', 'a(100,110]=2+3']);
  });

  it('have one row for records of a key at the same time, and one for each key', () => {
    const driver = drive(slidingOf()).pipe('in', readings('b1@100 a1@100 a2@100')).end();
    expect(shortOf(driver.read('out'))).toEqual(['b(90,100]=1', 'a(90,100]=1+2']);
  });

  it('send a late record to the late topic byte for byte, and hold it in no window', () => {
    const driver = drive(slidingOf());
    driver.pipe('in', [
      { key: 'b', value: '{"k":"b","n":1,"t":200}' },
      { key: 'a', value: '{ "k":"a", "n":2, "t":194 }' },
      { key: 'a', value: '{ "k":"a", "n":3, "t":195 }' },
    ]);
    driver.end();
    expect(driver.records('in.late').map((r) => String(r.value))).toEqual([
      '{ "k":"a", "n":2, "t":194 }',
    ]);
    expect(shortOf(driver.read('out'))).toEqual(['a(185,195]=3', 'b(190,200]=1']);
  });

  it('count a duplicate in the windows that hold the first', () => {
    const driver = drive(slidingOf({}, ['k', 'n']));
    driver.pipe('in', readings('a1@100 a1@101 a2@105 a1@108 a3@109 a4@111')).end();
    expect(driver.read('out')).toEqual([
      'a(90,100]=1 dup 1 at 0..0',
      'a(95,105]=1+2 dup 2 at 0..2',
      'a(99,109]=1+2+3 dup 2 at 0..4',
      'a(101,111]=2+3+4 dup 0 at 2..5',
    ]);
  });

  it('skip records whose key field is absent', () => {
    const driver = drive(slidingOf()).pipe('in', [{ value: { n: 1, t: 1 } }, ...readings('a2@2')]);
    expect(shortOf(driver.end().read('out'))).toEqual(['a(-8,2]=2']);
  });

  it('come in order, so that windows behind them need no grace', () => {
    const behind = topology('behind', ({ source }) => {
      source('in', readingCodec)
        .pipe('sliding', sliding({ ...options, graceMs: 30 }))
        .pipe(
          'flat',
          map((w) => ({ k: w.key[0] as string, n: w.end, t: w.end })),
        )
        .pipe(
          'window',
          window({
            by: ['k'],
            windows: tumbling({ sizeMs: 10, graceMs: 0, late: 'lost' }),
            aggregate: numbers,
          }),
        )
        .to('out', {
          key: () => null,
          value: (w) => JSON.stringify([w.start, ...(w.state ?? [])]),
        });
    });
    const driver = drive(behind).pipe('in', readings('a1@125 a1@101 a1@112 a1@103 a1@900')).end();
    expect(driver.records('lost')).toEqual([]);
    expect(driver.read('out')).toEqual([
      [100, 101, 103],
      [110, 112],
      [120, 125],
      [900, 900],
    ]);
  });

  it('refuse a size and a grace that make no sense', () => {
    expect(() => sliding({ ...options, sizeMs: Number.POSITIVE_INFINITY })).toThrow(/sizeMs/);
    expect(() => sliding({ ...options, graceMs: -1 })).toThrow(/graceMs is -1/);
  });

  it('end the pipe when the aggregate throws, and complete and let go with it', () => {
    const broken = {
      ...numbers,
      create: () => {
        throw new Error('no');
      },
    };
    const source = new Subject<Batch<Reading>>();
    const seen: string[] = [];
    source.pipe(sliding({ ...options, aggregate: broken })).subscribe({
      error: (error: Error) => seen.push(error.message),
    });
    const t = Float64Array.of(1);
    const rows = [{ k: 'a', n: 1, t: 1 }];
    const frame = { topic: 'in', partition: 0, watermark: 1 };
    source.next(rowsBatch({ ...frame, rows, offsets: t, timestamps: t, watermarks: t }));
    expect([seen, source.observed]).toEqual([['no'], false]);
    const whole = new Subject<Batch<Reading>>();
    whole.pipe(sliding(options)).subscribe({ complete: () => seen.push('complete') });
    whole.complete();
    expect(seen).toEqual(['no', 'complete']);
  });
});

describe('the table of a sliding step', () => {
  it('holds the records of size plus grace and merges each a bounded number of times', {
    tags: 'heavy',
  }, () => {
    let merges = 0;
    const counting: Aggregate<{ n: number }> = {
      ...sum,
      merge: (into, from) => {
        merges++;
        into.n += from.n;
      },
    };
    const table = new SlidingTable(counting, 1_000, () => 0);
    const count = 20_000;
    let sizeMax = 0;
    for (let time = 0; time < count; time++) {
      table.add(0, { key: ['a'], time, offset: time, state: { n: 1 } });
      table.takeBefore(time - 100);
      sizeMax = Math.max(sizeMax, table.size);
      if (time % 100 === 0) table.drain(() => {});
    }
    expect(sizeMax).toBeLessThanOrEqual(1_102);
    expect(merges / count).toBeLessThan(6);
  });
});

const sum: Aggregate<{ n: number }> = {
  name: 'sum',
  create: () => ({ n: 0 }),
  adder: (batch) => {
    const n = numbersNamed(batch, 'n');
    return (state, i) => {
      // Of such unlike sizes that the order of additions shows.
      state.n += 10 ** (4 * (n[i] as number)) / 3;
    };
  },
  merge: (into, from) => {
    into.n += from.n;
  },
  encode: (state) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(state.n);
    return bytes;
  },
  decode: (bytes) => ({ n: bytes.readDoubleBE() }),
};

describe('whatever the cut', () => {
  // Time moves on with the records, half a millisecond each, give or take a few: most windows hold several.
  const stream = fc
    .array(
      fc.record({
        k: fc.constantFrom('a', 'b'),
        n: fc.integer({ min: -1, max: 5 }),
        t: fc.integer({ min: -8, max: 2 }),
      }),
      { maxLength: 100, size: 'max' },
    )
    .map((rows) => rows.map((row, i) => ({ ...row, t: row.t + Math.floor(i / 2) })));
  const outcome = (driver: ReturnType<typeof drive>) => [
    driver.records('out').map((r) => String(r.value)),
    driver.records('in.late').map((r) => String(r.value)),
  ];
  const recordsOf = (rows: readonly Reading[]) => rows.map((value) => ({ key: value.k, value }));

  it('batches, epochs and crashes anywhere leave the same bytes, also of sums that depend on their order', {
    tags: 'heavy',
  }, () => {
    const sums = topology('sums', ({ source }) => {
      source('in', readingCodec)
        .pipe('sliding', sliding({ ...options, aggregate: sum }))
        .to('out', { key: () => null, value: (w) => JSON.stringify(w) });
    });
    for (const drawn of [slidingOf({}, ['k', 'n']), sums]) {
      fc.assert(
        fc.property(
          stream,
          fc.integer({ min: 1, max: 50 }),
          fc.array(fc.nat(100), { maxLength: 5 }),
          (rows, batchRecords, crashes) => {
            const driver = drive(drawn, { batchRecords });
            rows.forEach((value, i) => {
              driver.pipe('in', [{ key: value.k, value }], { commit: i % 3 === 0 });
              if (crashes.includes(i)) driver.crash();
            });
            const whole = drive(drawn).pipe('in', recordsOf(rows)).end();
            expect(outcome(driver.end())).toEqual(outcome(whole));
          },
        ),
        { numRuns: 150 },
      );
    }
  });

  it('with grace for all of it, each row is what a look back over the sorted records gives', {
    tags: 'heavy',
  }, () => {
    fc.assert(
      fc.property(stream, (rows) => {
        const driver = drive(slidingOf({ graceMs: 1_000 }))
          .pipe('in', recordsOf(rows))
          .end();
        expect(shortOf(driver.read('out'))).toEqual(naive(rows));
      }),
    );
  });
});

function naive(rows: readonly Reading[]): string[] {
  const sorted = rows.filter((row) => row.n >= 0).sort((a, b) => a.t - b.t);
  const lines = sorted.map(({ k, t }) => {
    const within = sorted.filter((row) => row.k === k && row.t > t - 10 && row.t <= t);
    return `${k}(${t - 10},${t}]=${within.map((row) => row.n).join('+')}`;
  });
  return [...new Set(lines)];
}
