import fc from 'fast-check';
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../batch.ts';
import { drive } from '../driver.ts';
import { rowsBatch } from '../rows.ts';
import { numbers, type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { dedup } from './dedup.ts';
import { filter, map } from './rows.ts';
import { type SessionOptions, type SessionView, session } from './session.ts';

const options = { by: ['k'], gapMs: 10, graceMs: 5, late: 'in.late', aggregate: numbers };

const sessionsOf = (
  changes: Partial<SessionOptions<number[]>> = {},
  identity?: readonly string[],
) =>
  topology('sessions', ({ source }) => {
    const rows = source('in', readingCodec);
    const once =
      identity === undefined ? rows : rows.pipe('dedup', dedup({ by: identity, withinMs: 100 }));
    once
      .pipe(
        'positive',
        filter((row) => row.n >= 0),
      )
      .pipe('session', session({ ...options, ...changes }))
      .pipe(
        'text',
        map((w) => ({
          text: `${w.key[0]}[${w.start},${w.end})=${w.state?.join('+') ?? '-'} late ${w.late} dup ${w.duplicates} at ${w.firstOffset}..${w.lastOffset}${w.carried.n === undefined ? '' : ` n ${w.carried.n}`}`,
        })),
      )
      .to('out', { key: () => null, value: (row) => JSON.stringify(row.text) });
  });

const shortOf = (lines: readonly string[]) => lines.map((line) => line.split(' ')[0]);

describe('sessions', () => {
  it('give nothing for an empty input', () => {
    expect(drive(sessionsOf()).end().read('out')).toEqual([]);
  });

  it('reach from the first record to the last plus the gap', () => {
    const driver = drive(sessionsOf()).pipe('in', readings('a1@100 a2@107 a3@116')).end();
    expect(driver.read('out')).toEqual(['a[100,126)=1+2+3 late 0 dup 0 at 0..2']);
  });

  it('belong together just below the gap, and not at it: intervals are half-open', () => {
    const below = drive(sessionsOf()).pipe('in', readings('a1@100 a2@109')).end();
    expect(shortOf(below.read('out'))).toEqual(['a[100,119)=1+2']);
    const at = drive(sessionsOf()).pipe('in', readings('a1@100 a2@110')).end();
    expect(shortOf(at.read('out'))).toEqual(['a[100,110)=1', 'a[110,120)=2']);
  });

  it('close when the watermark reaches end plus grace, and not before', () => {
    const driver = drive(sessionsOf());
    driver.pipe('in', readings('a1@100 b1@114'));
    expect(driver.read('out')).toEqual([]);
    driver.pipe('in', readings('b2@115'));
    expect(shortOf(driver.read('out'))).toEqual(['a[100,110)=1']);
  });

  it('close in order of their ends, whatever the order of their keys', () => {
    const driver = drive(sessionsOf({ graceMs: 50 }));
    driver.pipe('in', readings('c1@120 b1@110 a1@110 a2@100')).end();
    expect(shortOf(driver.read('out'))).toEqual([
      'a[100,110)=2',
      'b[110,120)=1',
      'a[110,120)=1',
      'c[120,130)=1',
    ]);
  });

  it('grow backwards for a record out of order', () => {
    const driver = drive(sessionsOf()).pipe('in', readings('a1@108 a2@100')).end();
    expect(driver.read('out')).toEqual(['a[100,118)=1+2 late 0 dup 0 at 0..1']);
  });

  it('become one when a record bridges them, the one seen first first', () => {
    const driver = drive(sessionsOf({ carry: ['n'] }));
    driver.pipe('in', readings('a1@114 a2@100 a3@107')).end();
    expect(driver.read('out')).toEqual(['a[100,124)=1+2+3 late 0 dup 0 at 0..2 n 1']);
  });

  it('stay two when each is known to the last epoch and no record bridges them', () => {
    const driver = drive(sessionsOf());
    driver.pipe('in', readings('a1@115')).pipe('in', readings('a2@102')).crash().end();
    expect(shortOf(driver.read('out'))).toEqual(['a[102,112)=2', 'a[115,125)=1']);
  });

  it('forget a session that was merged away, also after a restart', () => {
    const driver = drive(sessionsOf());
    driver.pipe('in', readings('a1@114 a2@100')).pipe('in', readings('a3@107')).crash().end();
    expect(shortOf(driver.read('out'))).toEqual(['a[100,124)=1+2+3']);
  });

  it('send a late record to the late topic byte for byte and report it without state', () => {
    const driver = drive(sessionsOf());
    driver.pipe('in', [
      { key: 'b', value: '{"k":"b","n":1,"t":200}' },
      { key: 'a', value: '{ "k":"a", "n":2, "t":185 }' },
      { key: 'a', value: '{ "k":"a", "n":3, "t":186 }' },
    ]);
    expect(driver.records('in.late').map((r) => String(r.value))).toEqual([
      '{ "k":"a", "n":2, "t":185 }',
    ]);
    expect(driver.read('out')).toEqual(['a[185,195)=- late 1 dup 0 at Infinity..-1']);
    driver.end();
    expect(shortOf(driver.read('out')).slice(1)).toEqual(['a[186,196)=3', 'b[200,210)=1']);
  });

  it('take an old record that touches a session still open', () => {
    const driver = drive(sessionsOf());
    driver.pipe('in', readings('a1@188 b1@200 a2@181')).end();
    expect(driver.records('in.late')).toEqual([]);
    expect(shortOf(driver.read('out'))).toEqual(['a[181,198)=1+2', 'b[200,210)=1']);
  });

  it('drop late records when no topic is named for them', () => {
    const { late: _, ...without } = options;
    const quiet = topology('quiet', ({ source }) => {
      source('in', readingCodec)
        .pipe('session', session(without))
        .to('out', { key: () => null, value: (w) => JSON.stringify(w.late) });
    });
    const driver = drive(quiet).pipe('in', readings('a1@200 a2@100'));
    expect(driver.read('out')).toEqual([1]);
    expect(driver.records('in.late')).toEqual([]);
  });

  it('count a duplicate in the session of the first, and on its own when that has closed', () => {
    const driver = drive(sessionsOf({}, ['k', 'n']));
    driver.pipe('in', readings('a1@100 a1@104 a2@130 a1@131')).end();
    expect(driver.read('out')).toEqual([
      'a[100,110)=1 late 0 dup 1 at 0..0',
      'a[100,110)=- late 0 dup 1 at Infinity..-1',
      'a[130,140)=2 late 0 dup 0 at 2..2',
    ]);
  });

  it('skip records whose key field is absent', () => {
    const driver = drive(sessionsOf()).pipe('in', [{ value: { n: 1, t: 1 } }, ...readings('a2@2')]);
    expect(shortOf(driver.end().read('out'))).toEqual(['a[2,12)=2']);
  });

  it('show what is open to whoever watches', () => {
    const driver = drive(sessionsOf()).pipe('in', readings('b1@109 a1@100 a2@103'));
    const view = driver.exposed('session') as SessionView<number[]>;
    expect(view.watermark).toBe(109);
    expect(view.open().map(({ key, first, last }) => [key[0], first, last])).toEqual([
      ['a', 100, 103],
      ['b', 109, 109],
    ]);
  });

  it('refuse a gap and a grace that make no sense', () => {
    expect(() => session({ ...options, gapMs: 0 })).toThrow(/gapMs is 0/);
    expect(() => session({ ...options, graceMs: Number.NaN })).toThrow(/graceMs is NaN/);
  });

  it('end the pipe when the aggregate throws, and complete and let go with it', () => {
    const broken = {
      ...numbers,
      adder: () => () => {
        throw new Error('no');
      },
    };
    const source = new Subject<Batch<Reading>>();
    const seen: string[] = [];
    source.pipe(session({ ...options, aggregate: broken })).subscribe({
      error: (error: Error) => seen.push(error.message),
    });
    const t = Float64Array.of(1);
    source.next(
      rowsBatch({
        topic: 'in',
        partition: 0,
        watermark: 1,
        rows: [{ k: 'a', n: 1, t: 1 }],
        offsets: t,
        timestamps: t,
        watermarks: t,
      }),
    );
    expect([seen, source.observed]).toEqual([['no'], false]);
    const whole = new Subject<Batch<Reading>>();
    whole.pipe(session(options)).subscribe({ complete: () => seen.push('complete') });
    whole.complete();
    expect(seen).toEqual(['no', 'complete']);
  });
});

describe('whatever the cut', () => {
  const stream = fc.array(
    fc.record({
      k: fc.constantFrom('a', 'b', 'c'),
      n: fc.integer({ min: -1, max: 5 }),
      t: fc.integer({ min: 0, max: 120 }),
    }),
    { maxLength: 80 },
  );
  const outcome = (driver: ReturnType<typeof drive>) => [
    driver.read('out'),
    driver.records('in.late').map((r) => String(r.value)),
  ];
  const whole = (rows: readonly Reading[], graceMs: number) =>
    outcome(
      drive(sessionsOf({ graceMs, carry: ['n'] }, ['k', 'n']))
        .pipe(
          'in',
          rows.map((value) => ({ key: value.k, value })),
        )
        .end(),
    );

  it('batches, epochs and crashes anywhere leave the same bytes', { tags: 'heavy' }, () => {
    fc.assert(
      fc.property(
        stream,
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat(80), { maxLength: 3 }),
        (rows, batchRecords, crashes) => {
          const driver = drive(sessionsOf({ graceMs: 5, carry: ['n'] }, ['k', 'n']), {
            batchRecords,
          });
          rows.forEach((value, i) => {
            driver.pipe('in', [{ key: value.k, value }], { commit: i % 3 === 0 });
            if (crashes.includes(i)) driver.crash();
          });
          expect(outcome(driver.end())).toEqual(whole(rows, 5));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('with grace for all of it, sessions are what sorting and cutting at gaps gives', () => {
    fc.assert(
      fc.property(stream, (rows) => {
        const driver = drive(sessionsOf({ graceMs: 1_000 }))
          .pipe(
            'in',
            rows.map((value) => ({ key: value.k, value })),
          )
          .end();
        const found = driver.read<string>('out').map((line) => line.split('=')[0]);
        expect([...found].sort()).toEqual(naive(rows).sort());
      }),
    );
  });
});

function naive(rows: readonly Reading[]): string[] {
  const byKey = Map.groupBy(
    rows.filter((row) => row.n >= 0),
    (row) => row.k,
  );
  return [...byKey].flatMap(([k, own]) => {
    const times = own.map((row) => row.t).sort((a, b) => a - b);
    const found: { first: number; last: number }[] = [];
    for (const t of times) {
      const open = found.at(-1);
      if (open !== undefined && t - open.last < 10) open.last = t;
      else found.push({ first: t, last: t });
    }
    return found.map(({ first, last }) => `${k}[${first},${last + 10})`);
  });
}
