import { describe, expect, it } from 'vitest';
import { asyncOperator, operator } from './operator.ts';
import { filter, map } from './operators/rows.ts';
import { window } from './operators/window.ts';
import { recordBatchOf } from './record-batch.ts';
import { madeFrom } from './rows.ts';
import { END_OF_TIME, StageInstance } from './stage-instance.ts';
import { numbers, type Reading, readingCodec } from './testing.ts';
import { type SourceOptions, type Stream, topology } from './topology.ts';
import { tumbling } from './windows.ts';

const LOG_TIME = 10_000_000;

const instanceOf = (
  draw: (rows: Stream<Reading>) => void,
  options: SourceOptions = {},
): StageInstance => {
  const drawn = topology('stage', ({ source }) => draw(source('in', readingCodec, options)));
  const instance = new StageInstance({ topology: drawn, stage: 0, partition: 3, partitions: 5 });
  instance.stores.restored();
  return instance;
};

const texts = (rows: Stream<Reading>) =>
  rows.to('out', {
    key: (row) => row.k,
    value: (row) => `${row.k}${row.n}`,
    timestamp: (row) => row.t,
  });

/** Values at consecutive offsets; all taken by the log at one time. */
const batchOf = (values: readonly (Reading | string | null)[], first = 0) =>
  recordBatchOf(
    'in',
    3,
    values.map((value, i) => ({
      key: 'k',
      value: typeof value === 'string' || value === null ? value : JSON.stringify(value),
      offset: first + i,
      timestamp: LOG_TIME,
    })),
  );
const reading = (n: number, t = n): Reading => ({ k: 'a', n, t });

describe('what a stage makes of a batch', () => {
  it('is records with key, value and event time, once', () => {
    const instance = instanceOf(texts);
    instance.process(batchOf([reading(1, 7), reading(2, 8)]));
    expect(instance.outputBytes).toBeGreaterThan(0);
    expect(instance.takeOutputs().records).toEqual([
      { topic: 'out', key: 'a', value: 'a1', timestamp: 7 },
      { topic: 'out', key: 'a', value: 'a2', timestamp: 8 },
    ]);
    expect([instance.outputBytes, instance.takeOutputs().records]).toEqual([0, []]);
  });

  it('sends what it cannot decode to the dead letters with its place and its bytes', () => {
    const instance = instanceOf(texts);
    instance.process(batchOf([reading(1), '{"k":', null, reading(4)], 20));
    const { records } = instance.takeOutputs();
    expect(records.filter((r) => r.topic === 'out').map((r) => r.value)).toEqual(['a1', 'a4']);
    const letters = records.filter((r) => r.topic === 'in.dead-letter');
    expect(letters.map((r) => JSON.parse(String(r.value)))).toMatchObject([
      {
        topic: 'in',
        partition: 3,
        offset: 21,
        code: 'NOT_JSON',
        bytes: Buffer.from('{"k":').toString('base64'),
      },
      { topic: 'in', partition: 3, offset: 22, code: 'NOT_JSON', bytes: '' },
    ]);
    expect(String(letters[0]?.key)).toBe('k');
    expect(instance.counts.rejected).toBe(2);
  });

  it('only counts them where another stage dead-letters them', () => {
    const instance = instanceOf(texts, { rejects: 'skip', futureToleranceMs: 1_000 });
    instance.process(batchOf(['nonsense', reading(1), reading(2, LOG_TIME + 2_000)]));
    expect(instance.takeOutputs().records.map((r) => r.value)).toEqual(['a1']);
    expect(instance.counts).toMatchObject({ skipped: 2, rejected: 0 });
  });

  it('rejects an event time past the log’s by more than the tolerance, and does not move time by it', () => {
    const instance = instanceOf(texts);
    const tolerated = LOG_TIME + 3_600_000;
    instance.process(batchOf([reading(1, 5), reading(2, tolerated + 1), 'nonsense']));
    expect(instance.watermarks()).toEqual({ in: 5 });
    instance.process(batchOf([reading(3, tolerated)], 3));
    expect(instance.watermarks()).toEqual({ in: tolerated });
    const { records } = instance.takeOutputs();
    expect(records.filter((r) => r.topic === 'out').map((r) => r.value)).toEqual(['a1', 'a3']);
    const letters = records
      .filter((r) => r.topic === 'in.dead-letter')
      .map((r) => JSON.parse(String(r.value)));
    expect(letters).toMatchObject([
      { offset: 1, code: 'TIMESTAMP_IN_FUTURE', message: expect.stringContaining('producer') },
      { offset: 2, code: 'NOT_JSON' },
    ]);
  });

  it('gives each row the watermark up to and with it, from where the last epoch stood', () => {
    const seen: number[] = [];
    const instance = instanceOf((rows) =>
      rows.keep(
        'see',
        operator<Reading, never>({ kind: 'see', detail: {} }, () => ({
          next: (batch) => void seen.push(...batch.watermarks, batch.watermark),
        })),
      ),
    );
    expect(instance.watermarks()).toEqual({ in: Number.NEGATIVE_INFINITY });
    instance.restoreWatermarks({ in: 4, gone: 9 });
    instance.process(batchOf([reading(1, 3), 'nonsense', reading(2, 9), reading(3, 6)]));
    expect(seen).toEqual([4, 4, 9, 9, 9]);
    instance.restoreWatermarks({ in: null });
    expect(instance.watermarks()).toEqual({ in: 9 });
  });

  it('hands points to their sink with the records that they stem from', () => {
    const instance = instanceOf((rows) =>
      rows
        .pipe(
          'odd',
          filter((row) => row.n % 2 === 1),
        )
        .into('store', (row) => Array.from({ length: row.n }, () => row.n)),
    );
    instance.process(batchOf([reading(1), reading(2), reading(3)], 10));
    const [out, ...others] = instance.takeOutputs().points;
    expect([out?.sink, out?.points, others]).toEqual(['store', [1, 3, 3, 3], []]);
    expect([...(out?.origin.offsets ?? [])]).toEqual([10, 12, 12, 12]);
    expect(String(out?.origin.original(3).value)).toBe('{"k":"a","n":3,"t":3}');
    instance.process(batchOf([reading(2)], 13));
    expect(instance.takeOutputs().points).toEqual([]);
  });

  it('refuses records of a topic that it has no source for', () => {
    const stray = { ...batchOf([reading(1)]), topic: 'other' };
    expect(() => instanceOf(texts).process(stray)).toThrow('no source for topic other');
  });
});

describe('an operator that throws', () => {
  const throwing = (rows: Stream<Reading>) =>
    texts(
      rows.pipe(
        'throw',
        map((row) => {
          if (row.n === 2) throw new Error('no twos');
          return row;
        }),
      ),
    );

  it('ends the batch, and the instance with it', () => {
    const instance = instanceOf(throwing);
    expect(() => instance.process(batchOf([reading(1), reading(2)]))).toThrow('no twos');
    expect(() => instance.process(batchOf([reading(3)]))).toThrow('no twos');
  });

  it('throws also when the end of the input makes it', () => {
    const instance = instanceOf((rows) =>
      rows
        .pipe(
          'window',
          window({ by: ['k'], windows: tumbling({ sizeMs: 10, graceMs: 0 }), aggregate: numbers }),
        )
        .to('out', {
          key: () => null,
          value: () => {
            throw new Error('cannot encode');
          },
        }),
    );
    instance.process(batchOf([reading(1)]));
    expect(() => instance.finish()).toThrow('cannot encode');
  });
});

describe('the end of the input', () => {
  it('passes every window, and what comes after it is late', () => {
    const instance = instanceOf((rows) =>
      rows
        .pipe(
          'window',
          window({
            by: ['k'],
            windows: tumbling({ sizeMs: 10, graceMs: 5, late: 'late' }),
            aggregate: numbers,
          }),
        )
        .to('out', { key: () => null, value: (w) => `${w.state}` }),
    );
    instance.process(batchOf([reading(1), reading(12)]));
    expect(instance.takeRecords()).toEqual([]);
    instance.finish();
    expect(instance.takeRecords().map((r) => r.value)).toEqual(['1', '12']);
    expect(instance.watermarks()).toEqual({ in: END_OF_TIME });
    instance.process(batchOf([reading(99)], 2));
    expect(instance.takeRecords().map((r) => r.topic)).toEqual(['late', 'out']);
  });
});

describe('what operators are told and offer', () => {
  it('is their step, their place, idleness, and a view by name', () => {
    const seen: unknown[] = [];
    const instance = instanceOf((rows) =>
      rows.keep(
        'watch',
        operator<Reading, never>({ kind: 'watch', detail: {} }, (task) => {
          seen.push([task.topology, task.step, task.partition, task.partitions]);
          task.onIdle((idle) => seen.push(idle));
          task.expose('view', 42);
          return { next: () => {} };
        }),
      ),
    );
    instance.setIdle(true);
    instance.setIdle(false);
    expect(seen).toEqual([['stage', 'watch', 3, 5], true, false]);
    expect(instance.exposed.get('view')).toBe(42);
  });
});

describe('deferred work', () => {
  const deferring = () => {
    const work = Promise.withResolvers<void>();
    const instance = instanceOf((rows) =>
      texts(
        rows.pipe(
          'later',
          asyncOperator<Reading, Reading>({ kind: 'later', detail: {} }, () => ({
            next: async (batch) => {
              await work.promise;
              return () => madeFrom(batch, [batch.row(0)], [0]);
            },
          })),
        ),
      ),
    );
    return { work, instance };
  };

  it('is nothing to wait for where no step defers', () => {
    const instance = instanceOf(texts);
    instance.process(batchOf([reading(1)]));
    expect(instance.drained()).toBeUndefined();
  });

  it('refuses the next batch and the cut until it has ended', async () => {
    const { work, instance } = deferring();
    instance.process(batchOf([reading(1)]));
    const drained = instance.drained();
    expect(drained).toBeInstanceOf(Promise);
    expect(() => instance.process(batchOf([reading(2)], 1))).toThrow('await drained()');
    expect(() => instance.takeOutputs()).toThrow('await drained()');
    work.resolve();
    await drained;
    expect(instance.drained()).toBeUndefined();
    expect(instance.takeOutputs().records.map((r) => r.value)).toEqual(['a1']);
  });

  it('fails the instance when it rejects', async () => {
    const { work, instance } = deferring();
    instance.process(batchOf([reading(1)]));
    work.reject(new Error('away'));
    await expect(instance.drained()).rejects.toThrow('away');
    expect(() => instance.process(batchOf([reading(2)], 1))).toThrow('away');
  });

  it('is dropped when the instance is closed', async () => {
    const { work, instance } = deferring();
    instance.process(batchOf([reading(1)]));
    const drained = instance.drained();
    instance.close();
    work.resolve();
    await drained;
    expect(instance.takeRecords()).toEqual([]);
  });
});
