/** Tasks over the embedded broker, time in the test's hand: what is lost, doubled or held when things go wrong. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openTemporaryBroker, recordsIn } from '../../test/support/embedded-broker.ts';
import type { Broker, EpochCommit, TaskLedger } from '../broker/index.ts';
import { FencedError, RetriableError } from '../model/index.ts';
import { silentLogger } from '../runtime/index.ts';
import type { EpochPolicy } from './epoch-policy.ts';
import { enrich } from './operators/enrich.ts';
import { map } from './operators/rows.ts';
import { window } from './operators/window.ts';
import { TopologyRunner } from './runner.ts';
import type { SinkPort } from './sink-writes.ts';
import { numbers, type Reading, readingCodec } from './testing.ts';
import { type Topology, topology } from './topology.ts';
import { tumbling } from './windows.ts';

// Every epoch is on disk; a busy machine may take its time.
vi.setConfig({ testTimeout: 20_000 });

const TOTAL = 30;
const rowsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ k: 'a', n: first + i, t: (first + i) * 10 }));
const recordsOf = (rows: readonly Reading[]) =>
  rows.map((row) => ({ key: row.k, value: JSON.stringify(row) }));

/** Every row into `out`, windows of ten rows into `windows`; `each` may interfere. */
const plain = (each: (row: Reading) => void = () => {}) =>
  topology('plain', ({ source }) => {
    const rows = source('in', readingCodec, { futureToleranceMs: Number.POSITIVE_INFINITY }).pipe(
      'each',
      map((row) => {
        each(row);
        return row;
      }),
    );
    rows.to('out', { key: () => null, value: (row) => String(row.n) });
    rows
      .pipe(
        'window',
        window({ by: ['k'], windows: tumbling({ sizeMs: 100, graceMs: 0 }), aggregate: numbers }),
      )
      .to('windows', { key: () => null, value: (w) => JSON.stringify(w.state) });
  });

const tens = (from: number) => JSON.stringify(Array.from({ length: 10 }, (_, i) => from + i));
const allOut = (count = TOTAL) => Array.from({ length: count }, (_, n) => String(n));
/** The last window stays open. */
const allWindows = [tens(0), tens(10)];

/** A broker that does as another does, but for what is overridden. */
const overridden = (broker: Broker, changes: Partial<Broker>): Broker =>
  new Proxy(broker, {
    get: (target, name) => {
      if (name in changes) return changes[name as keyof Broker];
      const found = target[name as keyof Broker];
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });

/** Commits go through `commit`, which may fail before or after the real one. */
const withCommits = (
  broker: Broker,
  commit: (epoch: EpochCommit, real: (epoch: EpochCommit) => Promise<void>) => Promise<void>,
): Broker =>
  overridden(broker, {
    openLedger: async (options) => {
      const ledger = await broker.openLedger(options);
      const changed: TaskLedger = {
        restore: (each, onProgress) => ledger.restore(each, onProgress),
        commit: (epoch) => commit(epoch, (given) => ledger.commit(given)),
        close: () => ledger.close(),
      };
      return changed;
    },
  });

interface Setting {
  readonly topology?: Topology;
  readonly sinks?: ReadonlyMap<string, SinkPort>;
  readonly policy?: Partial<EpochPolicy>;
  readonly around?: (broker: Broker) => Broker;
}

async function started(setting: Setting = {}) {
  const { broker, clock } = await openTemporaryBroker();
  await broker.createTopics([{ name: 'in' }]);
  const runner = new TopologyRunner({
    topology: setting.topology ?? plain(),
    broker: setting.around?.(broker) ?? broker,
    clock,
    logger: silentLogger,
    ...(setting.sinks === undefined ? {} : { sinks: setting.sinks }),
    ...(setting.policy === undefined ? {} : { policy: setting.policy }),
  });
  /** Lets time pass until `check` holds. */
  const until = (check: () => unknown) =>
    expect
      .poll(
        async () => {
          await clock.advance(100);
          return check();
        },
        { timeout: 15_000, interval: 2 },
      )
      .toBeTruthy();
  const whileTimePasses = async <R>(work: Promise<R>): Promise<R> => {
    let over = false;
    work.then(
      () => (over = true),
      () => (over = true),
    );
    await until(() => over);
    return work;
  };
  await runner.start();
  onTestFinished(() => whileTimePasses(runner.stop()));
  await until(() => runner.tasks[0]?.state === 'running');
  const task = () => runner.tasks[0] as NonNullable<(typeof runner.tasks)[0]>;
  const valuesIn = async (topic: string) => (await recordsIn(broker, topic)).map((r) => r.value);
  const append = (rows: readonly Reading[]) => broker.append('in', recordsOf(rows));
  const position = () => task().offsets()[0]?.nextOffset;
  return { broker, clock, runner, task, until, whileTimePasses, valuesIn, append, position };
}

describe('a task', () => {
  it('puts out each record once, in order, and ends epochs as time passes', {
    tags: 'heavy',
  }, async () => {
    const { append, task, until, valuesIn } = await started();
    for (let n = 0; n < TOTAL; n += 5) {
      await append(rowsFrom(n, 5));
      await until(() => task().settled && task().offsets()[0]?.nextOffset === n + 5);
    }
    expect(await valuesIn('out')).toEqual(allOut());
    expect(await valuesIn('windows')).toEqual(allWindows);
    expect(task().epoch).toBeGreaterThanOrEqual(6);
    expect(task().watermark()).toBe((TOTAL - 1) * 10);
  });

  it('is idle once all is read, nothing came for a while and all that followed is stored', {
    tags: 'heavy',
  }, async () => {
    const held = Promise.withResolvers<void>();
    const { append, task, until, position } = await started({
      around: (broker) =>
        withCommits(broker, async (epoch, real) => {
          await held.promise;
          await real(epoch);
        }),
    });
    // Until the first commit is through, however long it is quiet, it is not.
    await append(rowsFrom(0, 5));
    await until(() => position() === 5);
    for (let passed = 0; passed < 100; passed++) {
      await until(() => true);
      expect(task().idle).toBe(false);
    }
    held.resolve();
    await until(() => task().idle);
    expect(task()).toMatchObject({ settled: true, epoch: 1 });
    await append(rowsFrom(5, 5));
    await until(() => position() === 10);
    expect(task().idle).toBe(false);
    await until(() => task().idle);
  });

  for (const [when, after] of [
    ['before it happened', false],
    ['after it happened, its answer being lost', true],
  ] as const) {
    it(`goes back to the last epoch when a commit fails ${when}, and loses and doubles nothing`, {
      tags: 'heavy',
    }, async () => {
      let commits = 0;
      const { append, task, until, valuesIn } = await started({
        around: (broker) =>
          withCommits(broker, async (epoch, real) => {
            const failing = ++commits % 2 === 0;
            if (!failing || after) await real(epoch);
            if (failing) throw new RetriableError('lease lost', { code: 'BROKER_UNREACHABLE' });
          }),
      });
      for (let n = 0; n < TOTAL; n += 5) {
        await append(rowsFrom(n, 5));
        await until(() => task().settled && task().offsets()[0]?.nextOffset === n + 5);
      }
      expect(task().restarts).toBeGreaterThanOrEqual(2);
      expect(await valuesIn('out')).toEqual(allOut());
      expect(await valuesIn('windows')).toEqual(allWindows);
    });
  }

  it('tries again when an operator throws, from the last epoch', async () => {
    let left = 3;
    const { append, task, until, valuesIn } = await started({
      topology: plain((row) => {
        if (row.n === 7 && left-- > 0) throw new Error('not yet');
      }),
    });
    await append(rowsFrom(0, 5));
    await until(() => task().settled);
    await append(rowsFrom(5, TOTAL - 5));
    await until(() => task().settled && task().offsets()[0]?.nextOffset === TOTAL);
    expect(task().restarts).toBe(3);
    expect(task().error).toBeUndefined();
    expect(await valuesIn('out')).toEqual(allOut());
    expect(await valuesIn('windows')).toEqual(allWindows);
  });

  it('has failed when an operator throws five times at the same epoch, and keeps what was committed', {
    tags: 'heavy',
  }, async () => {
    let thrown = 0;
    const { append, task, until, valuesIn, clock } = await started({
      topology: plain((row) => {
        if (row.n !== 7) return;
        thrown++;
        throw new Error('never');
      }),
    });
    await append(rowsFrom(0, 5));
    await until(() => task().settled && task().offsets()[0]?.nextOffset === 5);
    await append(rowsFrom(5, 5));
    await until(() => task().state === 'failed');
    expect(task().error?.message).toBe('never');
    await clock.advance(60_000);
    expect([thrown, task().state]).toEqual([5, 'failed']);
    expect(await valuesIn('out')).toEqual(allOut(5));
  });

  it('never gives up on what is only away for a while', { tags: 'heavy' }, async () => {
    let left = 7;
    const { append, task, until, valuesIn } = await started({
      topology: plain((row) => {
        if (row.n === 7 && left-- > 0) throw new RetriableError('away', { code: 'AWAY' });
      }),
    });
    await append(rowsFrom(0, TOTAL));
    await until(() => task().settled && task().offsets()[0]?.nextOffset === TOTAL);
    expect(task().restarts).toBe(7);
    expect(await valuesIn('out')).toEqual(allOut());
  });

  it('commits when it is stopped', async () => {
    const { append, broker, position, runner, until, valuesIn, whileTimePasses } = await started({
      policy: { intervalMs: Number.POSITIVE_INFINITY },
    });
    await append(rowsFrom(0, TOTAL));
    await until(() => position() === TOTAL);
    expect(await valuesIn('out')).toEqual([]);
    await whileTimePasses(runner.stop());
    expect(await valuesIn('out')).toEqual(allOut());
    expect(await broker.committedOffsets('tidemark.plain')).toEqual([
      { topic: 'in', partition: 0, offset: TOTAL },
    ]);
  });

  it('stops without a trace when another has taken it over', async () => {
    const { append, broker, task, until, valuesIn } = await started();
    await broker.openLedger({
      id: 'tidemark.plain-0',
      changelog: 'tidemark.plain.changelog',
      partition: 0,
      changelogPartitions: 1,
      group: 'tidemark.plain',
      inputs: [{ topic: 'in', partition: 0 }],
    });
    await append(rowsFrom(0, 5));
    await until(() => task().state === 'stopped');
    expect(task().error).toBeInstanceOf(FencedError);
    expect(await valuesIn('out')).toEqual([]);
    expect(task().restarts).toBe(0);
  });

  it('closes every window when the input has ended for good', async () => {
    const { append, runner, valuesIn, whileTimePasses } = await started();
    await append(rowsFrom(0, TOTAL));
    await whileTimePasses(runner.finish());
    expect(await valuesIn('windows')).toEqual([...allWindows, tens(20)]);
  });
});

/** A sink whose writes wait for the gate. */
function gated() {
  let gate = Promise.withResolvers<void>();
  const written: unknown[] = [];
  const sink: SinkPort = {
    write: async (points) => {
      await gate.promise;
      written.push(...points);
      return [];
    },
  };
  return {
    sinks: new Map([['store', sink]]),
    written,
    open: () => gate.resolve(),
    close: () => {
      gate = Promise.withResolvers<void>();
    },
    break: (error: Error) => gate.reject(error),
  };
}

const storing = topology('storing', ({ source }) => {
  source('in', readingCodec, { futureToleranceMs: Number.POSITIVE_INFINITY })
    .pipe(
      'same',
      map((row) => row),
    )
    .into('store', (row) => [row.n]);
});

describe('a task with a sink', () => {
  it('takes no more than its bounds while the sink is slow, then all of it in order', {
    tags: 'heavy',
  }, async () => {
    const { sinks, written, open } = gated();
    let delivered = 0;
    const { append, clock, position, task, until } = await started({
      topology: storing,
      sinks,
      policy: { pointsMax: 100, mailboxBytesMax: 20_000 },
      around: (broker) =>
        overridden(broker, {
          consume: (options) =>
            broker.consume({
              ...options,
              handlers: {
                ...options.handlers,
                batch: (batch) => {
                  delivered += batch.count;
                  return options.handlers.batch(batch);
                },
              },
            }),
        }),
    });
    const count = 20_000;
    for (let n = 0; n < count; n += 50) void append(rowsFrom(n, 50));
    await append([]);
    await until(() => delivered > 0);
    for (let i = 0; i < 50; i++) await clock.advance(1_000);
    const held = delivered;
    for (let i = 0; i < 50; i++) await clock.advance(1_000);
    expect(delivered).toBe(held);
    expect(held).toBeLessThan(count);
    expect(position()).toBeLessThanOrEqual(held);
    expect(task().settled).toBe(false);
    expect(written).toEqual([]);
    open();
    await until(() => position() === count && task().settled);
    expect(written).toEqual(Array.from({ length: count }, (_, n) => n));
  });

  it('moves its cursor only once the points are stored', async () => {
    const { sinks, open } = gated();
    const { append, broker, clock, position, task, until } = await started({
      topology: storing,
      sinks,
    });
    await append(rowsFrom(0, 5));
    await until(() => position() === 5);
    await clock.advance(10_000);
    expect(task().epoch).toBe(0);
    expect((await broker.committedOffsets('tidemark.storing'))[0]?.offset ?? 0).toBe(0);
    open();
    await until(() => task().settled);
    expect((await broker.committedOffsets('tidemark.storing'))[0]?.offset).toBe(5);
  });

  it('writes the points again when a write failed', async () => {
    const { sinks, written, open, close, break: breakGate } = gated();
    const { append, position, task, until } = await started({ topology: storing, sinks });
    await append(rowsFrom(0, 5));
    await until(() => position() === 5);
    breakGate(new RetriableError('away', { code: 'SINK_UNREACHABLE' }));
    await until(() => task().restarts === 1);
    expect(written).toEqual([]);
    close();
    open();
    await until(() => task().state === 'running' && task().settled);
    expect(written).toEqual([0, 1, 2, 3, 4]);
  });

  it('sends points that the sink rejects for good to the dead letters, with their record', async () => {
    const sink: SinkPort = {
      write: async (points) =>
        points.flatMap((point, index) =>
          (point as number) % 10 === 3 ? [{ index, message: `no ${point}` }] : [],
        ),
    };
    const { append, task, until, valuesIn } = await started({
      topology: storing,
      sinks: new Map([['store', sink]]),
    });
    await append(rowsFrom(0, TOTAL));
    await until(() => task().settled && task().offsets()[0]?.nextOffset === TOTAL);
    const letters = (await valuesIn('in.dead-letter')).map((value) => JSON.parse(String(value)));
    expect(letters).toMatchObject([
      { offset: 3, code: 'SINK_REJECTED', message: 'no 3' },
      { offset: 13, code: 'SINK_REJECTED', message: 'no 13' },
      { offset: 23, code: 'SINK_REJECTED', message: 'no 23' },
    ]);
    expect(Buffer.from(letters[0].bytes, 'base64').toString()).toBe('{"k":"a","n":3,"t":30}');
  });
});

describe('a task with asynchronous steps', () => {
  /** Loads that wait until they are let go, in the order in which they began. */
  const waiting = () => {
    const loads: { row: Reading; answer: PromiseWithResolvers<Reading> }[] = [];
    const asking = topology('asking', ({ source }) => {
      source('in', readingCodec, { futureToleranceMs: Number.POSITIVE_INFINITY })
        .pipe(
          'ask',
          enrich({
            concurrency: 100,
            load: (row: Reading) => {
              const answer = Promise.withResolvers<Reading>();
              loads.push({ row, answer });
              return answer.promise;
            },
          }),
        )
        .to('out', { key: () => null, value: (row) => String(row.n) });
    });
    const answerAll = () => {
      for (const { row, answer } of loads.splice(0)) answer.resolve(row);
    };
    return { asking, loads, answerAll };
  };

  it('neither commits nor takes the next batch before the answers are there', async () => {
    const { asking, loads, answerAll } = waiting();
    const { append, clock, position, task, until, valuesIn } = await started({ topology: asking });
    await append(rowsFrom(0, 5));
    await until(() => loads.length === 5);
    await append(rowsFrom(5, 5));
    await clock.advance(30_000);
    expect([loads.length, position(), task().epoch, task().settled]).toEqual([5, 0, 0, false]);
    answerAll();
    await until(() => loads.length === 5);
    answerAll();
    await until(() => task().settled && position() === 10);
    expect(await valuesIn('out')).toEqual(allOut(10));
  });

  it('loads again after a failure, and loses and doubles nothing', async () => {
    const { asking, loads, answerAll } = waiting();
    const { append, position, task, until, valuesIn } = await started({ topology: asking });
    await append(rowsFrom(0, 5));
    await until(() => loads.length === 5);
    for (const [i, { row, answer }] of loads.splice(0).entries()) {
      if (i === 3) answer.reject(new RetriableError('503', { code: 'AWAY' }));
      else answer.resolve(row);
    }
    await until(() => task().restarts === 1 && loads.length === 5);
    answerAll();
    await until(() => task().settled && position() === 5);
    expect(await valuesIn('out')).toEqual(allOut(5));
  });

  it('waits for the answers when it is stopped, and commits them', async () => {
    const { asking, loads, answerAll } = waiting();
    const { append, runner, until, valuesIn, whileTimePasses } = await started({
      topology: asking,
    });
    await append(rowsFrom(0, 5));
    await until(() => loads.length === 5);
    const stopped = runner.stop();
    answerAll();
    await whileTimePasses(stopped);
    expect(await valuesIn('out')).toEqual(allOut(5));
  });

  it('lets go of answers that do not come when it is stopped: the next owner asks again', {
    tags: 'heavy',
  }, async () => {
    const { asking, loads, answerAll } = waiting();
    const { append, broker, runner, until, valuesIn, whileTimePasses } = await started({
      topology: asking,
    });
    await append(rowsFrom(0, 5));
    await until(() => loads.length === 5);
    await whileTimePasses(runner.stop());
    answerAll();
    expect(await valuesIn('out')).toEqual([]);
    expect((await broker.committedOffsets('tidemark.asking'))[0]?.offset ?? 0).toBe(0);
  });

  it('drops the answers of a batch whose task went back meanwhile', async () => {
    const { asking, loads, answerAll } = waiting();
    let failing = false;
    const { append, position, task, until, valuesIn } = await started({
      topology: asking,
      policy: { intervalMs: 0 },
      around: (broker) =>
        withCommits(broker, async (epoch, real) => {
          // The second batch has begun by the time that the commit of the first fails.
          await expect.poll(() => !failing || loads.length === 5).toBe(true);
          if (!failing) return real(epoch);
          failing = false;
          throw new RetriableError('lease lost', { code: 'BROKER_UNREACHABLE' });
        }),
    });
    failing = true;
    await append(rowsFrom(0, 5));
    await until(() => loads.length === 5);
    await append(rowsFrom(5, 5));
    answerAll();
    await until(() => task().restarts === 1);
    const stale = loads.splice(0, 5);
    await until(() => loads.length > 0);
    for (const { row, answer } of stale) answer.resolve({ ...row, n: -1 });
    await until(() => {
      answerAll();
      return task().settled && position() === 10;
    });
    expect(await valuesIn('out')).toEqual(allOut(10));
  });
});
