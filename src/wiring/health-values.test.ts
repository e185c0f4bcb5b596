import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { HealthValues, type Measured } from './health-values.ts';

interface State {
  lastError: { atMs: number } | null;
  rejected: number;
}

function measuring(state: State, lags: readonly number[] = []) {
  let now = 100_000;
  const health = new HealthValues(tmpdir(), { now: () => now } as never);
  const feeds = [{ feed: { name: 'influx.x' }, delivery: { state: () => state } }];
  const tasks = lags.map((lag) => ({ offsets: () => [{ lag }] }));
  const measured = { feeds, topologies: [{ name: 't', tasks }] } as unknown as Measured;
  return async (at: number) => {
    now = at;
    const record = await health.measure(measured);
    const of = (measure: string) => record.values.find((value) => value.measure === measure)?.value;
    return { record, of };
  };
}

test('a sink fails since its first error, not since its last, until one write succeeds', async () => {
  const state: State = { lastError: null, rejected: 0 };
  const at = measuring(state);
  expect((await at(100_000)).of('sink.failing')).toBe(0);
  state.lastError = { atMs: 101_000 };
  expect((await at(103_000)).of('sink.failing')).toBe(2);
  state.lastError = { atMs: 109_000 };
  expect((await at(111_000)).of('sink.failing')).toBe(10);
  state.lastError = null;
  expect((await at(112_000)).of('sink.failing')).toBe(0);
  state.lastError = { atMs: 113_000 };
  expect((await at(114_000)).of('sink.failing')).toBe(1);
});

test('refused points are told once, those since the last look', async () => {
  const state: State = { lastError: null, rejected: 3 };
  const at = measuring(state);
  expect((await at(1)).of('sink.rejected')).toBe(3);
  expect((await at(2)).of('sink.rejected')).toBe(0);
  state.rejected = 5;
  expect((await at(3)).of('sink.rejected')).toBe(2);
});

test('lag is that of all tasks, the disk is a share, and a feed without a delivery says nothing', async () => {
  const { record, of } = await measuring({ lastError: null, rejected: 0 }, [4, 7])(5_000);
  expect(of('engine.lag')).toBe(11);
  expect(of('engine.disk')).toBeGreaterThanOrEqual(0);
  expect(of('engine.disk')).toBeLessThanOrEqual(100);
  expect(record.timestamp).toBe(5_000);
  const none = new HealthValues('/nowhere/at/all', { now: () => 1 } as never);
  const feeds = [{ feed: { name: 'history' }, delivery: undefined }];
  const { values } = await none.measure({ feeds, topologies: [] } as unknown as Measured);
  expect(values.map(({ measure }) => measure)).toEqual(['query.slow']);
});
