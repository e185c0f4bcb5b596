/** Rollup tasks on the embedded store, in virtual time. Two schedulers on one store stand for two processes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { embeddedWideRows } from '../../databases/embedded/index.ts';
import { KairosStore } from '../../databases/kairos/index.ts';
import { ManualClock, silentLogger } from '../../runtime/index.ts';
import { CLAIM_MS } from './ledger.ts';
import { RollupScheduler } from './scheduler.ts';

const START = Date.UTC(2024, 0, 1, 10);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let directory: string;
let store: KairosStore;
let clock: ManualClock;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-rollups-'));
  clock = new ManualClock(START);
  store = new KairosStore({ rows: embeddedWideRows({ dataDirectory: directory, clock }), clock });
  await store.connect();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await store.close();
  rmSync(directory, { recursive: true });
});

const schedulerOf = (over: object = {}) =>
  new RollupScheduler({
    store,
    clock,
    logger: silentLogger,
    checkIntervalMs: 10_000,
    catchUpMs: 24 * HOUR,
    runsMax: 2,
    ...over,
  });
const taskOf = (over: object = {}) => ({
  name: 'sums',
  execution_interval: { value: 10, unit: 'minutes' },
  rollups: [
    {
      save_as: 'out',
      query: {
        start_relative: { value: 1, unit: 'hours' },
        metrics: [
          { name: 'in', aggregators: [{ name: 'sum', sampling: { value: 5, unit: 'minutes' } }] },
        ],
      },
    },
  ],
  ...over,
});
const put = (over: object = {}) =>
  schedulerOf().tasks.put('t1', JSON.stringify({ id: 't1', ...taskOf(over) }));
/** One point a minute, from … to, half-open. */
const feed = (fromMs: number, toMs: number) =>
  store.write(
    Array.from({ length: Math.round((toMs - fromMs) / MINUTE) }, (_, i) => ({
      metric: 'in',
      tags: { host: 'a' },
      timestampMs: fromMs + i * MINUTE,
      value: 1n,
      ttlSeconds: 0,
    })),
  );
async function series(metric = 'out'): Promise<[number, number][]> {
  const points: [number, number][] = [];
  const all = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  for await (const page of store.readSeries({ metric, ...all })) {
    for (const { timestampMs, value } of page) {
      points.push([(timestampMs - START) / MINUTE, Number(value)]);
    }
  }
  return points;
}
const only = async (scheduler: RollupScheduler) => (await scheduler.list())[0];

describe('a task', () => {
  test('runs an interval after it was written, and then each interval', async () => {
    await put();
    await feed(START, START + 30 * MINUTE);
    const scheduler = schedulerOf();
    await scheduler.check();
    expect(await series()).toEqual([]);
    expect(await only(scheduler)).toMatchObject({
      state: 'waiting',
      doneTo: null,
      nextRunAt: START + 10 * MINUTE,
    });

    await clock.advance(10 * MINUTE);
    await scheduler.check();
    // The bucket that begins now is made too, of what is there: the edge behind it included, as KairosDB bounds it.
    expect(await series()).toEqual([
      [0, 5],
      [5, 5],
      [10, 5],
      [15, 1],
    ]);
    expect(await only(scheduler)).toMatchObject({ state: 'waiting', doneTo: START + 10 * MINUTE });

    await clock.advance(9 * MINUTE);
    await scheduler.check();
    expect((await only(scheduler))?.doneTo).toBe(START + 10 * MINUTE);
    await clock.advance(4 * MINUTE);
    await scheduler.check();
    expect((await only(scheduler))?.doneTo).toBe(START + 20 * MINUTE);
    expect((await series()).slice(0, 5)).toEqual([
      [0, 5],
      [5, 5],
      [10, 5],
      [15, 5],
      [20, 5],
    ]);
  });

  test('says how it went where KairosDB does', async () => {
    await put();
    await feed(START, START + 30 * MINUTE);
    await clock.advance(10 * MINUTE);
    await schedulerOf().check();
    const stored = await store.rows.readServiceValue('_Rollups', 'Status', 't1');
    expect(JSON.parse(stored?.value as string)).toMatchObject({
      statuses: [
        {
          metricName: 'in',
          lastExecuted: '01 Jan 2024 10:10:00 AM',
          dataPointCount: expect.any(Number),
          lastExecutionTime: START + 10 * MINUTE,
        },
      ],
      nextScheduled: '01 Jan 2024 10:20:00 AM',
    });
  });

  test('that a Java server has run goes on where its status says', async () => {
    await put();
    await feed(START - HOUR, START + HOUR);
    const status = { statuses: [{ metricName: 'in', lastExecutionTime: START - 20 * MINUTE }] };
    await store.rows.writeServiceValue('_Rollups', 'Status', 't1', JSON.stringify(status));
    await clock.advance(10 * MINUTE);
    await schedulerOf().check();
    expect((await series())[0]).toEqual([-20, 5]);
  });

  test('is left to the Java server that it is assigned to, while that is alive', async () => {
    await put();
    await feed(START, START + HOUR);
    await store.rows.writeServiceValue('_Rollups', 'Assignment', 't1', 'guid-1');
    await clock.advance(10 * MINUTE);
    await store.rows.writeServiceValue('_Hosts', 'Active', 'guid-1', 'java-host');
    const scheduler = schedulerOf();
    await scheduler.check();
    expect(await only(scheduler)).toMatchObject({
      state: 'elsewhere',
      owner: 'java-host (guid-1)',
      doneTo: null,
    });
    await clock.advance(2 * MINUTE);
    await scheduler.check();
    expect(await only(scheduler)).toMatchObject({ state: 'waiting', doneTo: START + 10 * MINUTE });
  });

  test('that makes no sense, or has no interval, is broken and holds up no other', async () => {
    await put();
    const { tasks } = schedulerOf();
    await tasks.put('a0', '{"name":');
    await tasks.put('a1', JSON.stringify({ ...taskOf(), execution_interval: { value: 1 } }));
    await tasks.put(
      'a2',
      JSON.stringify(taskOf({ execution_interval: { value: -1, unit: 'hours' } })),
    );
    await clock.advance(10 * MINUTE);
    const scheduler = schedulerOf();
    await scheduler.check();
    expect((await scheduler.list()).map(({ id, state }) => [id, state])).toEqual([
      ['a0', 'broken'],
      ['a1', 'broken'],
      ['a2', 'broken'],
      ['t1', 'waiting'],
    ]);
  });
});

describe('missed runs', () => {
  test('are made up in order by a process that starts after hours', async () => {
    await put();
    await feed(START, START + 6 * HOUR);
    await clock.advance(10 * MINUTE);
    await schedulerOf().check();
    await clock.advance(5 * HOUR);
    const writes = vi.spyOn(store, 'write');
    await schedulerOf().check();
    const times = writes.mock.calls.map(([points]) => points[0]?.timestampMs as number);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect((await series()).filter(([, sum]) => sum === 5)).toHaveLength(63);
  });

  test('are made up only so far back, and what is given up is known', async () => {
    await put();
    await feed(START, START + 6 * HOUR);
    await clock.advance(10 * MINUTE);
    await schedulerOf().check();
    await clock.advance(5 * HOUR);
    const warn = vi.fn();
    await schedulerOf({ catchUpMs: HOUR, logger: { ...silentLogger, warn } }).check();
    const minutes = (await series()).map(([minute]) => minute);
    expect(minutes.filter((minute) => minute > 20 && minute < 245)).toEqual([]);
    expect(minutes).toContain(250);
    expect(warn.mock.calls[0]?.[0]).toMatchObject({
      fromMs: START + 10 * MINUTE,
      toMs: START + 250 * MINUTE,
    });
  });
});

describe('of several processes', () => {
  test('one runs a task that is due', async () => {
    await put();
    await feed(START, START + HOUR);
    await clock.advance(10 * MINUTE);
    const writes = vi.spyOn(store, 'write');
    await Promise.all([1, 2, 3, 4].map(() => schedulerOf().check()));
    // Of the buckets from −5, 0, 5 and 10 minutes, once each.
    expect(writes).toHaveBeenCalledTimes(4);
  });

  test('another takes over when the claim of one that died has run out, where it was', {
    tags: 'heavy',
  }, async () => {
    const long = { execution_interval: { value: 12, unit: 'hours' } };
    await put(long);
    await feed(START, START + 13 * HOUR);
    await clock.advance(12 * HOUR);
    // The first dies after its 60th bucket: nothing it does arrives any more.
    const died = new Error('killed');
    const real = store.write.bind(store);
    let writes = 0;
    const spy = vi.spyOn(store, 'write').mockImplementation(async (points, signal) => {
      if (++writes > 60) throw died;
      return real(points, signal);
    });
    const swap = store.rows.replaceServiceValue.bind(store.rows);
    const swaps = vi.spyOn(store.rows, 'replaceServiceValue').mockImplementation(async (...all) => {
      if (writes > 60) throw died;
      return swap(...all);
    });
    await schedulerOf().check();
    spy.mockImplementation(real);
    swaps.mockImplementation(swap);

    spy.mockClear();
    await schedulerOf().check();
    expect(spy).not.toHaveBeenCalled();
    await clock.advance(CLAIM_MS);
    await schedulerOf().check();
    // It had told its place after 50 of the buckets (of which 13 lie before the first point).
    expect((spy.mock.calls[0]?.[0][0]?.timestampMs as number) - START).toBeGreaterThan(3 * HOUR);
    expect((await series()).filter(([, sum]) => sum === 5).length).toBe(145);
  });

  test('one that lost its claim while it slept writes nothing more', async () => {
    await put();
    await feed(START, START + HOUR);
    await clock.advance(10 * MINUTE);
    const real = store.findRows.bind(store);
    const sleeper = schedulerOf();
    let slept = false;
    vi.spyOn(store, 'findRows').mockImplementation(async function* (query) {
      if (!slept) {
        slept = true;
        // Renewals do not get through either: the whole process stood still.
        const swaps = vi
          .spyOn(store.rows, 'replaceServiceValue')
          .mockRejectedValue(new Error('slept'));
        await clock.advance(CLAIM_MS + 1);
        swaps.mockRestore();
        await schedulerOf().check();
        written = vi.spyOn(store, 'write');
      }
      yield* real(query);
    });
    let written: ReturnType<typeof vi.spyOn> | undefined;
    await sleeper.check();
    expect(written).toBeDefined();
    expect(written).not.toHaveBeenCalled();
    expect(await only(sleeper)).toMatchObject({ state: 'waiting', failures: 0 });
  });
});

describe('a failing task', () => {
  test('is tried again after longer and longer waits, visibly, and loses nothing', async () => {
    await put();
    await feed(START, START + 2 * HOUR);
    await clock.advance(10 * MINUTE);
    const write = vi.spyOn(store, 'write').mockRejectedValue(new Error('no room'));
    const scheduler = schedulerOf();
    await scheduler.check();
    expect(await only(scheduler)).toMatchObject({
      state: 'failing',
      failures: 1,
      error: 'no room',
      nextRunAt: START + 10 * MINUTE + 10_000,
    });
    expect((await scheduler.tasks.status('t1'))?.statuses[0]).toMatchObject({
      errorMessage: 'no room',
    });
    await scheduler.check();
    expect(write).toHaveBeenCalledTimes(1);
    await clock.advance(10_000);
    await scheduler.check();
    expect(await only(scheduler)).toMatchObject({
      failures: 2,
      nextRunAt: START + 10 * MINUTE + 30_000,
    });
    write.mockRestore();
    await clock.advance(HOUR);
    await scheduler.check();
    expect(await only(scheduler)).toMatchObject({ state: 'waiting', failures: 0, error: null });
    expect((await series()).filter(([, sum]) => sum === 5)).toHaveLength(15);
  });
});

test('cut anywhere and taken up by others, a task stores what one undisturbed run stores', {
  tags: 'heavy',
}, async () => {
  await feed(START, START + 5 * HOUR);
  const tasks = schedulerOf().tasks;
  const run = async (name: string, cuts: readonly number[]) => {
    const { rollups } = taskOf();
    const saved = [{ ...rollups[0], save_as: name }];
    await tasks.put(name, JSON.stringify(taskOf({ rollups: saved, name })));
    await clock.advance(10 * MINUTE);
    const real = store.write.bind(store);
    for (const cut of [...cuts, Number.POSITIVE_INFINITY]) {
      let left = cut;
      const spy = vi.spyOn(store, 'write').mockImplementation(async (points, signal) => {
        if (left-- <= 0) throw new Error('cut');
        return real(points, signal);
      });
      await schedulerOf().check();
      spy.mockRestore();
      await clock.advance(20 * MINUTE);
    }
    await schedulerOf().check();
    await tasks.delete(name);
    return series(name);
  };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(6), { maxLength: 3 }), async (cuts) => {
      const points = await run(`cut.${cuts.join('.')}.${clock.now()}`, cuts);
      expect(points.length).toBeGreaterThan(2);
      const whole = points.filter(([minute]) => minute < (clock.now() - START) / MINUTE - 30);
      for (const [minute, sum] of whole) if (minute >= 0) expect(sum).toBe(5);
      for (let i = 1; i < whole.length; i++) {
        expect((whole[i]?.[0] as number) - (whole[i - 1]?.[0] as number)).toBe(5);
      }
    }),
    { numRuns: 4 },
  );
});
