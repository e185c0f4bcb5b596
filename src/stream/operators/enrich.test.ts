import fc from 'fast-check';
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { PoisonError } from '../../model/index.ts';
import { ManualClock } from '../../runtime/index.ts';
import type { Batch } from '../batch.ts';
import { drive } from '../driver.ts';
import { rowsBatch } from '../rows.ts';
import { numbers, type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { tumbling } from '../windows.ts';
import { type EnrichOptions, enrich } from './enrich.ts';
import { map } from './rows.ts';
import { window } from './window.ts';

const name = (row: Reading) => `${row.k}${row.n}`;

const asking = (options: Partial<EnrichOptions<Reading, string>>) =>
  topology('asking', ({ source }) => {
    source('in', readingCodec)
      .pipe('ask', enrich({ concurrency: 4, load: async (row: Reading) => name(row), ...options }))
      .to('out', { key: () => null, value: (row) => JSON.stringify(row) });
  });

/** Lets every promise that can settle do so, `times` over. */
const ticks = async (times: number) => {
  for (let i = 0; i < times; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** A load whose answers come when told. */
function asked() {
  const open = new Map<string, PromiseWithResolvers<string>>();
  const signals = new Map<string, AbortSignal>();
  return {
    open,
    signals,
    load: (row: Reading, signal: AbortSignal) => {
      const answer = Promise.withResolvers<string>();
      open.set(name(row), answer);
      signals.set(name(row), signal);
      return answer.promise;
    },
    answer: (which: string) => {
      open.get(which)?.resolve(`${which}!`);
      open.delete(which);
    },
  };
}

describe('enrich', () => {
  it('gives the answers in the order of the rows, whichever comes first', async () => {
    const { load, answer } = asked();
    const driver = drive(asking({ load })).pipe('in', readings('a1@1 b2@2 c3@3'));
    await ticks(1);
    for (const which of ['c3', 'a1', 'b2']) answer(which);
    await driver.settled();
    expect(driver.read('out')).toEqual(['a1!', 'b2!', 'c3!']);
  });

  it('keeps at most `concurrency` loads under way and begins the next as one ends', async () => {
    const { load, answer, open } = asked();
    const driver = drive(asking({ load, concurrency: 2 })).pipe('in', readings('a1@1 b2@2 c3@3'));
    await ticks(1);
    expect([...open.keys()]).toEqual(['a1', 'b2']);
    answer('b2');
    await ticks(1);
    expect([...open.keys()]).toEqual(['a1', 'c3']);
    answer('a1');
    answer('c3');
    await driver.settled();
    expect(driver.read('out')).toEqual(['a1!', 'b2!', 'c3!']);
  });

  it('cuts no epoch and takes no batch while loads are under way', async () => {
    const { load, answer, open } = asked();
    const driver = drive(asking({ load }), { batchRecords: 1 }).pipe('in', readings('a1@1 b2@2'));
    const settled = driver.settled();
    await ticks(3);
    expect([...open.keys()]).toEqual(['a1']);
    expect(driver.read('out')).toEqual([]);
    answer('a1');
    await ticks(3);
    expect([...open.keys()]).toEqual(['b2']);
    answer('b2');
    await settled;
    expect(driver.read('out')).toEqual(['a1!', 'b2!']);
  });

  it('loads again after a crash between question and answer, and doubles nothing', async () => {
    const { load, answer, signals } = asked();
    const driver = drive(asking({ load })).pipe('in', readings('a1@1 b2@2'));
    await ticks(1);
    answer('a1');
    const before = signals.get('b2');
    driver.crash();
    expect(before?.aborted).toBe(true);
    await ticks(1);
    answer('b2');
    answer('a1');
    driver.commit();
    await driver.settled();
    expect(driver.read('out')).toEqual(['a1!', 'b2!']);
  });

  it('sets a row aside when its load says that it is poison, and goes on with the rest', async () => {
    const load = async (row: Reading) => {
      if (row.n === 2) throw new PoisonError('nobody knows it', { code: 'UNKNOWN_KEY' });
      return name(row);
    };
    const driver = drive(asking({ load })).pipe('in', readings('a1@1 b2@2 c3@3'));
    await driver.settled();
    expect(driver.read('out')).toEqual(['a1', 'c3']);
    expect(driver.read('in.dead-letter')).toMatchObject([
      { offset: 1, code: 'UNKNOWN_KEY', message: 'nobody knows it' },
    ]);
  });

  it('ends the task when a load rejects, unless failures are to be set aside', async () => {
    const load = async (row: Reading) => {
      if (row.n === 2) throw new Error('503');
      return name(row);
    };
    const rows = readings('a1@1 b2@2 c3@3');
    const crashing = drive(asking({ load })).pipe('in', rows);
    await expect(crashing.settled()).rejects.toThrow('503');
    expect(crashing.read('out')).toEqual([]);
    const tolerant = drive(asking({ load, onError: 'dead-letter' })).pipe('in', rows);
    await tolerant.settled();
    expect(tolerant.read('out')).toEqual(['a1', 'c3']);
    expect(tolerant.read('in.dead-letter')).toMatchObject([
      { offset: 1, code: 'ENRICH_FAILED', message: '503' },
    ]);
  });

  it('treats a load that throws at once as one that rejects', async () => {
    const load = () => {
      throw new Error('not even a promise');
    };
    const driver = drive(asking({ load })).pipe('in', readings('a1@1'));
    await expect(driver.settled()).rejects.toThrow('not even a promise');
  });

  it('sets aside what takes longer than timeoutMs and aborts it, or goes back with a retriable error', async () => {
    const rows = readings('a1@1 b2@2');
    const clock = new ManualClock();
    const { load, answer, signals } = asked();
    const tolerant = drive(asking({ load, clock, timeoutMs: 50, onTimeout: 'dead-letter' }));
    tolerant.pipe('in', rows);
    await clock.advance(49);
    answer('a1');
    await clock.advance(1);
    await tolerant.settled();
    expect(signals.get('b2')?.aborted).toBe(true);
    expect(tolerant.read('out')).toEqual(['a1!']);
    expect(tolerant.read('in.dead-letter')).toMatchObject([{ offset: 1, code: 'ENRICH_TIMEOUT' }]);

    const strict = drive(asking({ load, clock, timeoutMs: 50 })).pipe('in', rows);
    const outcome = expect(strict.settled()).rejects.toMatchObject({
      family: 'retriable',
      code: 'ENRICH_TIMEOUT',
    });
    await clock.advance(60);
    await outcome;
  });

  it('begins no more loads of a batch once one of them ended the task', async () => {
    const seen: string[] = [];
    const load = async (row: Reading) => {
      seen.push(name(row));
      throw new Error('away');
    };
    const driver = drive(asking({ load, concurrency: 1 })).pipe('in', readings('a1@1 b2@2 c3@3'));
    await expect(driver.settled()).rejects.toThrow('away');
    await ticks(3);
    expect(seen.length).toBeLessThanOrEqual(2);
    expect(seen[0]).toBe('a1');
  });

  it('passes time on, so that windows behind it close', async () => {
    const timed = topology('timed', ({ source }) => {
      source('in', readingCodec)
        .pipe('ask', enrich({ concurrency: 2, load: async (row: Reading) => row }))
        .pipe(
          'window',
          window({ by: ['k'], windows: tumbling({ sizeMs: 10, graceMs: 0 }), aggregate: numbers }),
        )
        .pipe(
          'text',
          map((w) => `${w.key[0]}${w.start}=${w.state?.join('+')}`),
        )
        .to('out', { key: () => null, value: (row) => JSON.stringify(row) });
    });
    const driver = drive(timed).pipe('in', readings('a1@1 a2@5 a3@12')).end();
    await driver.settled();
    expect(driver.read('out')).toEqual(['a0=1+2', 'a10=3']);
  });

  it('refuses a concurrency and a timeout that make no sense', () => {
    const load = async () => 1;
    expect(() => enrich({ concurrency: 0, load })).toThrow(/1 or more/);
    expect(() => enrich({ concurrency: 1.5, load })).toThrow(/whole number/);
    expect(() => enrich({ concurrency: 1, timeoutMs: 0, load })).toThrow(/more than 0/);
  });
});

describe('enrich in a plain RxJS pipe', () => {
  const batchOf = (...rows: Reading[]): Batch<Reading> => {
    const times = Float64Array.from(rows, (row) => row.t);
    const frame = { topic: 'in', partition: 0, watermark: Math.max(0, ...times) };
    return rowsBatch({ ...frame, rows, offsets: times, timestamps: times, watermarks: times });
  };
  const run = (load: EnrichOptions<Reading, string>['load']) => {
    const source = new Subject<Batch<Reading>>();
    const seen: string[] = [];
    const subscription = source.pipe(enrich({ concurrency: 2, load })).subscribe({
      next: (batch) =>
        seen.push(...Array.from({ length: batch.length }, (_, i) => batch.row(i)), `|`),
      error: (error: Error) => seen.push(`error ${error.message}`),
      complete: () => seen.push('complete'),
    });
    return { source, seen, subscription };
  };
  const a1 = { k: 'a', n: 1, t: 1 };
  const b2 = { k: 'b', n: 2, t: 2 };

  it('completes at once when empty, and only after the last answer when not', async () => {
    const empty = run(async (row) => name(row));
    empty.source.complete();
    expect(empty.seen).toEqual(['complete']);
    const { source, seen } = run(async (row) => name(row));
    source.next(batchOf(a1));
    source.next(batchOf());
    source.next(batchOf(b2));
    source.complete();
    expect(seen).toEqual([]);
    await ticks(5);
    expect(seen).toEqual(['a1', '|', '|', 'b2', '|', 'complete']);
  });

  it('hands on an error of the source and of a load', async () => {
    const broken = run(async (row) => name(row));
    broken.source.error(new Error('log gone'));
    expect(broken.seen).toEqual(['error log gone']);
    const { source, seen } = run(async () => {
      throw new Error('503');
    });
    source.next(batchOf(a1));
    await ticks(2);
    expect(seen).toEqual(['error 503']);
  });

  it('aborts its loads when unsubscribed and gives nothing more', async () => {
    const { load, answer, signals } = asked();
    const { source, seen, subscription } = run(load);
    source.next(batchOf(a1));
    await ticks(1);
    subscription.unsubscribe();
    expect(signals.get('a1')?.aborted).toBe(true);
    answer('a1');
    await ticks(2);
    expect(seen).toEqual([]);
  });
});

describe('whatever takes how long', () => {
  const stream = fc.array(
    fc.record({ k: fc.constantFrom('a', 'b'), n: fc.nat(9), t: fc.nat(100) }),
    { minLength: 1, maxLength: 30 },
  );

  it('batches, epochs, crashes and delays anywhere leave the same bytes', async () => {
    const plan = { size: fc.integer({ min: 1, max: 9 }), crashes: fc.array(fc.nat(30)) };
    await fc.assert(
      fc.asyncProperty(
        stream,
        fc.record(plan),
        fc.infiniteStream(fc.nat(3)),
        async (rows, { size, crashes }, delays) => {
          // Two branches and a step behind a step: their answers race each other.
          const load = async (row: Reading) => {
            await ticks(delays.next().value);
            return row;
          };
          const racing = topology('racing', ({ source }) => {
            const all = source('in', readingCodec);
            const left = all.pipe('left', enrich({ concurrency: 3, load }));
            const right = all.pipe('right', enrich({ concurrency: 2, load }));
            left
              .pipe('again', enrich({ concurrency: 1, load }))
              .to('out', { key: () => null, value: (row) => `"left ${name(row)}"` });
            right.to('out', { key: () => null, value: (row) => `"right ${name(row)}"` });
          });
          const driver = drive(racing, { batchRecords: size });
          for (const [i, value] of rows.entries()) {
            driver.pipe('in', [{ key: value.k, value }], { commit: i % 3 === 0 });
            if (crashes.includes(i)) {
              await ticks(delays.next().value);
              driver.crash();
            } else if (i % 2 === 0) await driver.settled();
          }
          driver.commit();
          await driver.settled();
          const out = driver.read<string>('out');
          const of = (side: string) => out.filter((line) => line.startsWith(side));
          expect(of('left')).toEqual(rows.map((row) => `left ${name(row)}`));
          expect(of('right')).toEqual(rows.map((row) => `right ${name(row)}`));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('two branches into one topic are written in the same order, however their answers race', async () => {
    const run = async (delays: () => number) => {
      const load = async (row: Reading) => {
        await ticks(delays());
        return row;
      };
      const driver = drive(
        topology('racing', ({ source }) => {
          const all = source('in', readingCodec);
          for (const side of ['left', 'right']) {
            all
              .pipe(side, enrich({ concurrency: 3, load }))
              .to('out', { key: () => null, value: (row) => `"${side} ${name(row)}"` });
          }
        }),
        { batchRecords: 2 },
      );
      driver.pipe('in', readings('a1@1 b2@2 c3@3 d4@4'));
      await driver.settled();
      return driver.read('out');
    };
    const expected = await run(() => 0);
    expect(expected).toHaveLength(8);
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat(4)), async (delays) => {
        expect(await run(() => delays.next().value)).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });
});
