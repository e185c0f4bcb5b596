import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { PoisonError } from '../../model/index.ts';
import type { Batch } from '../batch.ts';
import { drive } from '../driver.ts';
import type { Operator } from '../operator.ts';
import { rowsBatch } from '../rows.ts';
import { numbers, type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { tumbling } from '../windows.ts';
import { dedup } from './dedup.ts';
import { branch, derive, filter, flatMap, map } from './rows.ts';
import { window } from './window.ts';

const through = <R>(step: Operator<Reading, R>, drawn: string) => {
  const driver = drive(
    topology('rows', ({ source }) => {
      source('in', readingCodec)
        .pipe('step', step)
        .to('out', { key: () => null, value: (row) => JSON.stringify(row) });
    }),
  );
  return driver.pipe('in', drawn === '' ? [] : readings(drawn));
};
const out = <R>(step: Operator<Reading, R>, drawn: string) => through(step, drawn).read('out');

const name = (row: Reading) => `${row.k}${row.n}`;
const poisonous = (row: Reading): boolean => {
  if (row.n === 2) throw new PoisonError('no twos', { code: 'NO_TWOS' });
  return true;
};
const broken = () => {
  throw new Error('broken');
};

describe('filter', () => {
  it('keeps the rows that the predicate says true of', () => {
    const odd = filter<Reading>((row) => row.n % 2 === 1);
    expect(out(map(name), 'a1@1')).toEqual(['a1']);
    expect([out(odd, ''), out(odd, 'a2@1'), out(odd, 'a1@1 a2@2 a3@3').length]).toEqual([
      [],
      [],
      2,
    ]);
  });

  it('lets time pass that the rows it takes out have brought', () => {
    const driver = drive(
      topology('time', ({ source }) => {
        source('in', readingCodec)
          .pipe(
            'some',
            filter((row) => row.n < 9),
          )
          .pipe(
            'window',
            window({
              by: ['k'],
              windows: tumbling({ sizeMs: 10, graceMs: 0 }),
              aggregate: numbers,
            }),
          )
          .to('out', { key: () => null, value: (w) => JSON.stringify(w.state) });
      }),
    );
    expect(driver.pipe('in', readings('a1@1 a9@10')).read('out')).toEqual([[1]]);
  });

  it('leaves duplicates found before it beside the rows', () => {
    const driver = drive(
      topology('beside', ({ source }) => {
        source('in', readingCodec)
          .pipe('dedup', dedup({ by: ['k', 'n'], withinMs: 100 }))
          .pipe(
            'some',
            filter((row) => row.n < 9),
          )
          .pipe(
            'window',
            window({
              by: ['k'],
              windows: tumbling({ sizeMs: 10, graceMs: 0 }),
              aggregate: numbers,
            }),
          )
          .to('out', { key: () => null, value: (w) => JSON.stringify(w.duplicates) });
      }),
    );
    expect(driver.pipe('in', readings('a1@1 a1@2 a1@3')).end().read('out')).toEqual([2]);
  });
});

describe('derive', () => {
  const column = <N extends string>(step: Operator<Reading, Reading & Record<N, number>>, as: N) =>
    out(step, 'a3@10 b4@20').map((row) => (row as Record<N, number>)[as]);

  it('adds a column computed of one, two or more others', () => {
    expect(
      column(
        derive('twice', ['n'], (n) => (n as number) * 2),
        'twice',
      ),
    ).toEqual([6, 8]);
    expect(
      column(
        derive('sum', ['n', 't'], (n, t) => (n as number) + (t as number)),
        'sum',
      ),
    ).toEqual([13, 24]);
    expect(
      column(
        derive('all', ['n', 't', 'n'], (...values) => values.reduce((a, b) => a + b)),
        'all',
      ),
    ).toEqual([16, 28]);
  });

  it('gives a column that later steps can compute with', () => {
    const driver = drive(
      topology('later', ({ source }) => {
        source('in', readingCodec)
          .pipe(
            'twice',
            derive('m', ['n'], (n) => (n as number) * 2),
          )
          .pipe(
            'thrice',
            derive('o', ['m', 'n'], (m, n) => (m as number) + (n as number)),
          )
          .to('out', { key: () => null, value: (row) => JSON.stringify(row) });
      }),
    );
    expect(driver.pipe('in', readings('a3@10')).read('out')).toEqual([
      { k: 'a', n: 3, t: 10, m: 6, o: 9 },
    ]);
  });

  it('refuses to compute with text', () => {
    expect(() =>
      out(
        derive('x', ['k'], (k) => k as number),
        'a1@1',
      ),
    ).toThrow('"k" of in is text');
  });
});

describe('map and flatMap', () => {
  it('make none, one or several rows of each, in order', () => {
    const copies = flatMap((row: Reading) =>
      Array.from({ length: row.n }, (_, i) => `${row.k}${i}`),
    );
    expect(out(copies, 'a2@1 b0@2 c1@3')).toEqual(['a0', 'a1', 'c0']);
    expect(out(map(name), 'b1@2 a1@1')).toEqual(['b1', 'a1']);
    expect(out(map(name), '')).toEqual([]);
  });

  it('keep each row’s place and time', () => {
    const driver = drive(
      topology('places', ({ source }) => {
        source('in', readingCodec)
          .pipe(
            'copies',
            flatMap((row) => [row, row]),
          )
          .pipe(
            'window',
            window({
              by: ['k'],
              windows: tumbling({ sizeMs: 10, graceMs: 0, late: 'late' }),
              aggregate: numbers,
            }),
          )
          .to('out', {
            key: () => null,
            value: (w) => JSON.stringify([w.start, w.firstOffset, w.lastOffset, w.state]),
          });
      }),
    );
    driver.pipe('in', readings('a1@1 a2@5 a3@30 a4@9'));
    expect(driver.read('out')).toMatchObject([
      [0, 0, 1, [1, 1, 2, 2]],
      [0, null, -1, null],
      [0, null, -1, null],
    ]);
    expect(driver.read<Reading>('late').map((row) => row.n)).toEqual([4, 4]);
  });
});

describe('branch', () => {
  it('sends each row one of two ways', () => {
    const { matching, others } = branch<Reading>((row) => row.n % 2 === 0);
    expect([out(matching, 'a1@1 a2@2'), out(others, 'a1@1 a2@2')]).toEqual([
      [{ k: 'a', n: 2, t: 2 }],
      [{ k: 'a', n: 1, t: 1 }],
    ]);
  });
});

describe('a function that throws', () => {
  for (const [kind, step] of [
    ['filter', filter(poisonous)],
    ['map', map((row: Reading) => poisonous(row) && row)],
  ] as const) {
    it(`sets the record aside when it is a PoisonError (${kind})`, () => {
      const driver = through(step as Operator<Reading, unknown>, 'a1@1 a2@2 a3@3');
      expect(driver.read('out')).toHaveLength(2);
      expect(driver.read('in.dead-letter')).toMatchObject([
        { offset: 1, code: 'NO_TWOS', message: 'no twos' },
      ]);
    });
  }

  it('ends the task when it is anything else', () => {
    expect(() => out(filter(broken), 'a1@1')).toThrow('broken');
    expect(() => out(map(broken), 'a1@1')).toThrow('broken');
    expect(() => out(derive('x', ['n'], broken), 'a1@1')).toThrow('broken');
  });
});

describe('in a plain RxJS pipe', () => {
  it('errors, completion and unsubscribing pass through', () => {
    const steps: Operator<Reading, unknown>[] = [filter(() => true), map(name), flatMap(() => [])];
    for (const step of steps) {
      const seen: string[] = [];
      const watch = () => {
        const source = new Subject<Batch<Reading>>();
        const subscription = source.pipe(step).subscribe({
          error: (error: Error) => seen.push(error.message),
          complete: () => seen.push('complete'),
        });
        return { source, subscription };
      };
      watch().source.error(new Error('log gone'));
      watch().source.complete();
      const { source, subscription } = watch();
      subscription.unsubscribe();
      expect([seen, source.observed]).toEqual([['log gone', 'complete'], false]);
    }
  });

  it('a batch is not changed by the steps that it passes', () => {
    const t = Float64Array.of(1, 2);
    const rows = readings('a1@1 a2@2').map((r) => r.value);
    const frame = { topic: 'in', partition: 0, watermark: 2 };
    const batch = rowsBatch({ ...frame, rows, offsets: t, timestamps: t, watermarks: t });
    const source = new Subject<Batch<Reading>>();
    source
      .pipe(
        filter((row) => row.n === 1),
        derive('m', ['n'], () => 0),
      )
      .subscribe();
    source.next(batch);
    expect([batch.selected, Object.keys(batch.columns), batch.row(1)]).toEqual([
      undefined,
      ['k', 'n', 't'],
      { k: 'a', n: 2, t: 2 },
    ]);
  });
});
