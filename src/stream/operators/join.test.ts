import fc from 'fast-check';
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { PoisonError } from '../../model/index.ts';
import type { Batch } from '../batch.ts';
import { describeMermaid } from '../describe.ts';
import { drive } from '../driver.ts';
import { VersionedRows } from '../latest-rows.ts';
import { type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { type InnerJoin, joinTable, type LeftJoin, table } from './join.ts';

type Join = InnerJoin<Reading, number, string> | LeftJoin<Reading, number, string>;

const text = (row: Reading, value: number | undefined) => `${row.k}${row.n}@${row.t}=${value}`;

/** Rows of `right` are the table by k; a negative number removes. */
const joined = (options: Partial<Join> = {}, keepMs?: number) =>
  topology('joined', ({ source }) => {
    const right = table('right', source('right', readingCodec), {
      key: (row: Reading) => row.k,
      value: (row: Reading) => row.n,
      remove: (row: Reading) => row.n < 0,
      ...(keepMs === undefined ? {} : { keepMs }),
    });
    const join = { by: (row: Reading) => row.k, missing: 'keep', select: text, ...options } as Join;
    source('left', readingCodec)
      .pipe('join', joinTable(right, join))
      .to('out', { key: () => null, value: (row) => JSON.stringify(row) });
  });

describe('a join with a table', () => {
  it('gives each row with the newest value of its key in the order of the log, whatever the event times', () => {
    const driver = drive(joined());
    driver.pipe('right', readings('a1@50 a2@10 b7@0')).pipe('left', readings('a1@0 b2@99'));
    driver.pipe('right', readings('b8@1')).pipe('left', readings('b3@0'));
    expect(driver.read('out')).toEqual(['a1@0=2', 'b2@99=7', 'b3@0=8']);
  });

  it('keeps rows without a match, or drops them', () => {
    const keep = drive(joined()).pipe('left', readings('a1@0'));
    expect(keep.read('out')).toEqual(['a1@0=undefined']);
    const drop = drive(joined({ missing: 'drop' })).pipe('right', readings('b5@0'));
    drop.pipe('left', readings('a1@0 b1@1'));
    expect(drop.read('out')).toEqual(['b1@1=5']);
  });

  it('finds nothing for a row that has no key', () => {
    const driver = drive(joined({ by: () => undefined })).pipe('right', readings('a5@0'));
    expect(driver.pipe('left', readings('a1@0')).read('out')).toEqual(['a1@0=undefined']);
  });

  it('forgets what a row removes, also across a crash', () => {
    const driver = drive(joined()).pipe('right', readings('a1@0 b2@0'));
    driver.pipe('right', readings('a-1@5')).crash().pipe('left', readings('a1@9 b1@9'));
    expect(driver.read('out')).toEqual(['a1@9=undefined', 'b1@9=2']);
  });

  it('has each partition look up in its own part of the table', () => {
    const driver = drive(joined(), { partitions: 2 });
    const at = (partition: number, drawn: string) =>
      readings(drawn).map((record) => ({ ...record, partition }));
    driver.pipe('right', at(0, 'a1@0')).pipe('left', [...at(0, 'a1@1'), ...at(1, 'a1@1')]);
    expect(driver.read('out')).toEqual(['a1@1=1', 'a1@1=undefined']);
  });

  it('sets a row aside when selecting says that it is poison', () => {
    const select = (row: Reading, value: number | undefined) => {
      if (value === undefined) throw new PoisonError('unknown', { code: 'UNKNOWN_KEY' });
      return text(row, value);
    };
    const driver = drive(joined({ missing: 'keep', select })).pipe('right', readings('b1@0'));
    driver.pipe('left', readings('a1@0 b2@0'));
    expect(driver.read('out')).toEqual(['b2@0=1']);
    expect(driver.read('left.dead-letter')).toMatchObject([{ offset: 0, code: 'UNKNOWN_KEY' }]);
  });

  it('is drawn with an edge from its table', () => {
    expect(joined().graph.edges).toContainEqual({ from: 'right_2', to: 'join' });
    expect(describeMermaid(joined())).toContain('right_2 --> join');
  });

  it('refuses a table of another stage, and versions of a table that keeps none', () => {
    expect(() => joined({ asOf: true })).toThrow(/give it keepMs/);
    expect(() => joined({}, 0)).toThrow(/keepMs is 0/);
    const stray = topology('stray', ({ source }) => {
      const right = table('right', source('right', readingCodec), {
        key: (row: Reading) => row.k,
        value: (row: Reading) => row.n,
      });
      source('left', readingCodec)
        .acrossPartitions('across', () => (rows) => rows, readingCodec)
        .pipe('join', joinTable(right, { by: (row) => row.k, missing: 'keep', select: text }))
        .to('out', { key: () => null, value: (row) => row });
    });
    expect(() => drive(stray)).toThrow(/not in this stage/);
  });

  it('hands on errors and completion like any operator', () => {
    const seen: string[] = [];
    const watched = topology('watched', ({ source }) => {
      const right = table('right', source('right', readingCodec), {
        key: (row: Reading) => row.k,
        value: (row: Reading) => row.n,
      });
      const step = joinTable(right, { by: (row: Reading) => row.k, missing: 'keep', select: text });
      if (right.store === undefined) return;
      const rows = new Subject<Batch<Reading>>();
      rows.pipe(step).subscribe({ complete: () => seen.push('complete') });
      rows.complete();
      const broken = new Subject<Batch<Reading>>();
      broken.pipe(step).subscribe({ error: (error: Error) => seen.push(error.message) });
      broken.error(new Error('log gone'));
    });
    drive(watched);
    expect(seen).toEqual(['complete', 'log gone']);
    const throwing = joined({
      by: () => {
        throw new Error('no key');
      },
    });
    expect(() => drive(throwing).pipe('left', readings('a1@0'))).toThrow('no key');
  });
});

describe('a join as of event time', () => {
  it('gives the version that was valid at the record', () => {
    const driver = drive(joined({ asOf: true }, 1_000));
    driver.pipe('right', readings('a1@10 a2@20 a-1@30 a4@40'));
    driver.pipe('left', readings('a1@9 a2@10 a3@19 a4@20 a5@30 a6@41'));
    expect(driver.read('out')).toEqual([
      'a1@9=undefined',
      'a2@10=1',
      'a3@19=1',
      'a4@20=2',
      'a5@30=undefined',
      'a6@41=4',
    ]);
  });

  it('takes the later in the log of two versions from the same time', () => {
    const driver = drive(joined({ asOf: true }, 1_000)).pipe('right', readings('a1@10 a2@10'));
    expect(driver.pipe('left', readings('a1@10')).read('out')).toEqual(['a1@10=2']);
  });

  it('keeps the version valid at the edge of what it keeps, and nothing before it', () => {
    const driver = drive(joined({ asOf: true }, 100)).pipe('right', readings('a1@0 a2@50 b9@200'));
    driver.pipe('left', readings('a1@10 a2@60 a3@150'));
    expect(driver.read('out')).toEqual(['a1@10=undefined', 'a2@60=2', 'a3@150=2']);
  });

  it('forgets a removed key once what is kept begins after its removal', () => {
    const rows = new VersionedRows<number>(100);
    const drained = () => {
      const changes: [string, string | null][] = [];
      rows.drain((key, value) => changes.push([String(key).slice(1), value && String(value)]));
      return changes.filter(([key]) => key !== '');
    };
    rows.advance(10);
    rows.put('a', 1, 0);
    rows.put('a', undefined, 10);
    expect(drained()).toEqual([['a', '[{"from":0,"value":1},{"from":10,"value":null}]']]);
    rows.advance(109);
    expect(rows.get('a', 5)).toBe(1);
    rows.advance(300);
    expect([rows.size, drained()]).toEqual([0, [['a', null]]]);
  });

  const stream = fc.array(
    fc.record({
      k: fc.constantFrom('a', 'b'),
      n: fc.integer({ min: -1, max: 9 }),
      t: fc.nat(100),
    }),
    { maxLength: 40 },
  );
  const recordsOf = (rows: readonly Reading[]) => rows.map((value) => ({ key: value.k, value }));

  it('batches, epochs and crashes anywhere leave the same bytes when the table is ahead', {
    tags: 'heavy',
  }, () => {
    fc.assert(
      fc.property(
        stream,
        stream,
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.nat(80), { maxLength: 4 }),
        (right, left, batchRecords, crashes) => {
          const drawn = joined({ asOf: true }, 30);
          const driver = drive(drawn, { batchRecords });
          const step = (topic: string, rows: readonly Reading[], first: number) =>
            rows.forEach((value, i) => {
              driver.pipe(topic, recordsOf([value]), { commit: i % 3 === 0 });
              if (crashes.includes(first + i)) driver.crash();
            });
          step('right', right, 0);
          step('left', left, right.length);
          driver.commit();
          const whole = drive(drawn).pipe('right', recordsOf(right)).pipe('left', recordsOf(left));
          expect(driver.read('out')).toEqual(whole.read('out'));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('a replay with the whole table ahead agrees with a live run that had what each record needed', {
    tags: 'heavy',
  }, () => {
    fc.assert(
      fc.property(stream, stream, (right, left) => {
        const drawn = joined({ asOf: true }, 1_000);
        const changes = right.toSorted((a, b) => a.t - b.t);
        const live = drive(drawn);
        let known = 0;
        for (const row of left.toSorted((a, b) => a.t - b.t)) {
          const due = changes.slice(known).filter((change) => change.t <= row.t);
          known += due.length;
          live.pipe('right', recordsOf(due)).pipe('left', recordsOf([row]));
        }
        const replay = drive(drawn)
          .pipe('right', recordsOf(changes))
          .pipe('left', recordsOf(left.toSorted((a, b) => a.t - b.t)));
        expect(live.read('out')).toEqual(replay.read('out'));
      }),
    );
  });
});
