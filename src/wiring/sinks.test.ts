import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { temporaryDirectory } from '../../test/support/embedded-broker.ts';
import { openEmbeddedBroker } from '../broker/index.ts';
import { loadSettings, silentLogger, systemClock } from '../runtime/index.ts';
import { integer, recordCodec, type SinkPort, topology } from '../stream/index.ts';
import { Sinks } from './sinks.ts';

const numbers = recordCodec({
  name: 'number',
  timestamp: 'n',
  fields: { n: integer() },
});
const feed = topology('influx.numbers', ({ source }) => {
  source('numbers', numbers).into('numbers', (row) => [row.n]);
});
const source = topology('made', ({ source }) => {
  source('raw', numbers).to('numbers', { key: () => null, value: (row) => String(row.n) });
});

const wait = (check: () => unknown) => vi.waitFor(check, { timeout: 30_000, interval: 20 });

/** One sink that can be away, on a log of its own. */
async function openSinks(environment: Record<string, string> = {}, retentionMs = -1) {
  const directory = await temporaryDirectory();
  const stored: number[] = [];
  const world = { away: false };
  const port: SinkPort = {
    async write(points, signal) {
      while (world.away) await systemClock.sleep(10, signal);
      stored.push(...(points as number[]));
      return [];
    },
  };
  const parts = {
    clock: systemClock,
    logger: silentLogger,
    policy: { intervalMs: 20, stopWithinMs: 100 },
  };
  const { settings } = loadSettings({
    environment: { SINK_BACKLOG_CHECK_INTERVAL_MS: '100', ...environment },
    flags: {},
  });
  const open = async () => {
    const broker = await openEmbeddedBroker({ directory, ...parts });
    await broker.createTopics([{ name: 'numbers', retentionMs }, { name: 'raw' }]);
    const bound = { feed, sink: 'numbers', port, delivery: undefined, group: feed.group(0) };
    const sinks = new Sinks({ ...parts, broker, feeds: [bound], settings, topologies: [source] });
    await sinks.start();
    let n = 0;
    return {
      broker,
      sinks,
      publish: async (count: number) => {
        for (let i = 0; i < count; i++) {
          await broker.append('numbers', [{ key: null, value: JSON.stringify({ n: n++ }) }]);
        }
      },
      backlog: async () => (await sinks.backlog())[0]!,
      close: async () => {
        await sinks.stop();
        await broker.close();
      },
    };
  };
  let engine = await open();
  onTestFinished(() => engine.close());
  return {
    stored,
    world,
    get engine() {
      return engine;
    },
    async reopen() {
      await engine.close();
      engine = await open();
      return engine;
    },
  };
}

const inOrder = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe('a sink', () => {
  it('that is paused gets nothing, also after a restart, and all of it when it is resumed', async () => {
    const test = await openSinks();
    await test.engine.publish(3);
    await wait(() => expect(inOrder(test.stored)).toEqual(range(0, 3)));
    await test.engine.sinks.setPaused(['influx.numbers'], true);
    await test.engine.publish(2);
    expect(await test.engine.backlog()).toMatchObject({ paused: true, points: 2, dropped: 0 });

    const again = await test.reopen();
    expect(await again.backlog()).toMatchObject({ paused: true, points: 2 });
    expect(test.stored.length).toBe(3);

    await again.sinks.setPaused(['influx.numbers'], false);
    await wait(() => expect(test.stored.length).toBe(5));
    expect(inOrder(test.stored)).toEqual(range(0, 5));
    await wait(async () =>
      expect(await again.backlog()).toMatchObject({ paused: false, points: 0 }),
    );
  });

  it('that is away keeps its newest records within the limit, and the rest is counted', {
    tags: 'heavy',
  }, async () => {
    const test = await openSinks({
      SINK_BACKLOG_POINTS_MAX: '40',
      SINK_BACKLOG_POLICY: 'drop-oldest',
    });
    test.world.away = true;
    await test.engine.publish(100);
    await wait(async () =>
      expect(await test.engine.backlog()).toMatchObject({ points: 40, dropped: 60 }),
    );
    test.world.away = false;
    await wait(() => expect(test.stored.length).toBe(40));
    expect(inOrder(test.stored)).toEqual(range(60, 100));
    expect(test.engine.sinks.blocked('numbers')).toBeUndefined();
  });

  it('that is away keeps as many bytes as may wait, however its records were appended', {
    tags: 'heavy',
  }, async () => {
    const test = await openSinks({
      SINK_BACKLOG_BYTES_MAX: '400',
      SINK_BACKLOG_POLICY: 'drop-oldest',
    });
    test.world.away = true;
    const values = range(1_000, 1_100).map((n) => ({ key: null, value: JSON.stringify({ n }) }));
    await test.engine.broker.append('numbers', values);
    await wait(async () =>
      expect(await test.engine.backlog()).toMatchObject({ points: 40, bytes: 400, dropped: 60 }),
    );
    test.world.away = false;
    await wait(() => expect(test.stored.length).toBe(40));
    expect(inOrder(test.stored)).toEqual(range(1_060, 1_100));
  });

  it('that is away blocks what it reads and what that is derived from, until it has caught up', {
    tags: 'heavy',
  }, async () => {
    const test = await openSinks({ SINK_BACKLOG_POINTS_MAX: '40' });
    test.world.away = true;
    await test.engine.publish(41);
    await wait(() =>
      expect(test.engine.sinks.blocked('numbers')).toMatch(/41 points wait, 40 may/),
    );
    expect(test.engine.sinks.blocked('raw')).toMatch(/influx\.numbers is behind/);
    expect(test.engine.sinks.blocked('others')).toBeUndefined();
    test.world.away = false;
    await wait(() => expect(test.engine.sinks.blocked('raw')).toBeUndefined());
    expect(inOrder(test.stored)).toEqual(range(0, 41));
  });

  it('that is cleared has given up all that waited, and goes on with what comes', async () => {
    const test = await openSinks();
    test.world.away = true;
    await test.engine.publish(5);
    expect(await test.engine.sinks.clear('influx.numbers')).toBe(5);
    test.world.away = false;
    await test.engine.publish(1);
    await wait(() => expect(test.stored).toEqual([5]));
    expect(await test.engine.backlog()).toMatchObject({ dropped: 5 });
  });

  it('counts what retention removed before it was read', { tags: 'heavy' }, async () => {
    const test = await openSinks({}, 1);
    await test.engine.publish(1);
    await wait(() => expect(test.stored).toEqual([0]));
    await wait(async () => expect(await test.engine.backlog()).toMatchObject({ points: 0 }));
    await test.engine.sinks.setPaused(['influx.numbers'], true);
    await test.engine.publish(5);
    await wait(async () => {
      await test.engine.broker.maintain();
      expect(await test.engine.backlog()).toMatchObject({ points: 0, dropped: 5 });
    });
  });
});
