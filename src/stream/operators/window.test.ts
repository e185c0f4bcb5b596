import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drive } from '../driver.ts';
import { recordBatchOf } from '../record-batch.ts';
import { StageInstance } from '../stage-instance.ts';
import { numbers, type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { hopping, type TimeWindows, tumbling } from '../windows.ts';
import { dedup } from './dedup.ts';
import { map } from './rows.ts';
import { window } from './window.ts';

const windowsOf = (windows: TimeWindows, identity?: readonly string[]) =>
  topology('windows', ({ source }) => {
    const rows = source('in', readingCodec);
    const once =
      identity === undefined ? rows : rows.pipe('dedup', dedup({ by: identity, withinMs: 100 }));
    once
      .pipe('window', window({ by: ['k'], windows, aggregate: numbers }))
      .pipe(
        'text',
        map((w) => ({
          text: `${w.key[0]}[${w.start},${w.end})=${w.state?.join('+') ?? '-'} late ${w.late} dup ${w.duplicates} at ${w.firstOffset}..${w.lastOffset}`,
        })),
      )
      .to('out', { key: () => null, value: (row) => JSON.stringify(row.text) });
  });

const ten = tumbling({ sizeMs: 10, graceMs: 5, late: 'in.late' });

describe('tumbling windows', () => {
  it('close when the watermark reaches end plus grace, and not before', () => {
    const driver = drive(windowsOf(ten));
    driver.pipe('in', readings('a1@1 a2@9 a3@14'));
    expect(driver.read('out')).toEqual([]);
    driver.pipe('in', readings('a4@15'));
    expect(driver.read('out')).toEqual(['a[0,10)=1+2 late 0 dup 0 at 0..1']);
  });

  it('take records out of order until they close', () => {
    const driver = drive(windowsOf(ten));
    driver.pipe('in', readings('a1@1 a2@14 a3@3 a4@15 a5@9'));
    expect(driver.read('out')).toEqual([
      'a[0,10)=1+3 late 0 dup 0 at 0..2',
      'a[0,10)=- late 1 dup 0 at null..-1'.replace('null', 'Infinity'),
    ]);
  });

  it('send a late record once to the late topic, byte for byte, and count it', () => {
    const driver = drive(windowsOf(ten));
    driver.pipe('in', [
      { key: 'a', value: '{"k":"a","n":1,"t":100}' },
      { key: 'a', value: '{ "k":"a", "n":2, "t":1 }' },
    ]);
    expect(driver.records('in.late').map((r) => String(r.value))).toEqual([
      '{ "k":"a", "n":2, "t":1 }',
    ]);
  });

  it('keep of a late record its own bytes only, not the fetch it came with', () => {
    const instance = new StageInstance({
      topology: windowsOf(ten),
      stage: 0,
      partition: 0,
      partitions: 1,
    });
    const long = `{"k":"a","n":1,"t":100}${' '.repeat(1_000_000)}`;
    const records = [long, '{"k":"a","n":2,"t":1}'].map((value, offset) => ({
      key: 'a',
      value,
      offset,
      timestamp: 100,
    }));
    const batch = recordBatchOf('in', 0, records);
    instance.process(batch);
    const late = instance.takeRecords().find(({ topic }) => topic === 'in.late');
    expect(String(late?.value)).toBe('{"k":"a","n":2,"t":1}');
    for (const part of [late?.key, late?.value]) {
      expect((part as Buffer).buffer.byteLength).toBeLessThan(100_000);
    }
  });

  it('close in order of their ends, keys in order of first sight', () => {
    const driver = drive(windowsOf(ten));
    driver.pipe('in', readings('b1@12 a1@3 b2@4 a2@15 c3@99'));
    expect(driver.read<string>('out').map((line) => line.split('=')[0])).toEqual([
      'a[0,10)',
      'b[0,10)',
      'b[10,20)',
      'a[10,20)',
    ]);
  });

  it('align to the epoch also before it', () => {
    const driver = drive(windowsOf(ten));
    driver.pipe('in', readings('a2@-11 a1@-1 a3@40'));
    expect(driver.read<string>('out').map((line) => line.split(' ')[0])).toEqual([
      'a[-20,-10)=2',
      'a[-10,0)=1',
    ]);
  });

  it('count a duplicate in the window of the first, even when it would fall into another', () => {
    const driver = drive(windowsOf(ten, ['k', 'n']));
    driver.pipe('in', readings('a1@9 a1@11 a2@12 a9@40'));
    expect(driver.read<string>('out')).toEqual([
      'a[0,10)=1 late 0 dup 1 at 0..0',
      'a[10,20)=2 late 0 dup 0 at 2..2',
    ]);
  });

  it('report a duplicate of a closed window on its own, so that wider windows can count it', () => {
    const driver = drive(windowsOf(ten, ['k', 'n']));
    driver.pipe('in', readings('a1@9 a2@20 a1@11'));
    expect(driver.read<string>('out')).toEqual([
      'a[0,10)=1 late 0 dup 0 at 0..0',
      'a[0,10)=- late 0 dup 1 at Infinity..-1',
    ]);
  });

  it('skip records whose key field is absent', () => {
    const driver = drive(windowsOf(ten));
    driver.pipe('in', [{ value: { n: 1, t: 1 } }, ...readings('a2@2 a3@99')]);
    expect(driver.read<string>('out')).toEqual(['a[0,10)=2 late 0 dup 0 at 1..1']);
  });
});

describe('hopping windows', () => {
  it('put a record into each window that contains it', () => {
    const driver = drive(windowsOf(hopping({ sizeMs: 10, advanceMs: 5, graceMs: 0 })));
    driver.pipe('in', readings('a1@7 a2@12 a3@40'));
    expect(driver.read<string>('out').map((line) => line.split(' ')[0])).toEqual([
      'a[0,10)=1',
      'a[5,15)=1+2',
      'a[10,20)=2',
    ]);
  });

  it('refuse an advance that would skip records', () => {
    expect(() => hopping({ sizeMs: 5, advanceMs: 10, graceMs: 0 })).toThrow(/skip records/);
  });
});

describe('whatever the cut', () => {
  const stream = fc.array(
    fc.record({
      k: fc.constantFrom('a', 'b', 'c'),
      n: fc.integer({ min: 0, max: 5 }),
      t: fc.integer({ min: 0, max: 120 }),
    }),
    { maxLength: 80 },
  );
  const run = (rows: readonly Reading[], batchRecords: number, crashes: readonly number[]) => {
    const driver = drive(windowsOf(ten, ['k', 'n']), { batchRecords });
    rows.forEach((value, i) => {
      driver.pipe('in', [{ key: value.k, value }], { commit: i % 3 === 0 });
      if (crashes.includes(i)) driver.crash();
    });
    driver.end();
    return [driver.read('out'), driver.records('in.late').map((r) => String(r.value))];
  };

  it('batches, epochs and crashes anywhere leave the same bytes', { tags: 'heavy' }, () => {
    fc.assert(
      fc.property(
        stream,
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat(80), { maxLength: 3 }),
        (rows, size, crashes) => {
          const whole = drive(windowsOf(ten, ['k', 'n']));
          whole.pipe(
            'in',
            rows.map((value) => ({ key: value.k, value })),
          );
          whole.end();
          const expected = [
            whole.read('out'),
            whole.records('in.late').map((r) => String(r.value)),
          ];
          expect(run(rows, size, crashes)).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
  });
});
