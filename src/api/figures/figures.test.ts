/** The feed of figures: what a watcher gets, how it resumes, and that a slow one costs one sample, not a queue. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeEngine, fakeEngine } from '../../../test/support/fake-engine.ts';
import { ManualClock, silentLogger } from '../../runtime/index.ts';
import { Watcher } from './plugin.ts';
import { RateMeter } from './rate-meter.ts';
import { KEPT_SAMPLES, Sampler, type Taken } from './sampler.ts';

let engine: FakeEngine;
let clock: ManualClock;
let sampler: Sampler;
let stop: () => void;
beforeEach(async () => {
  engine = await fakeEngine();
  clock = new ManualClock(1_700_000_000_000);
  sampler = new Sampler(engine, clock, silentLogger);
  stop = sampler.start();
});
afterEach(() => stop());

test('a watcher gets two samples a second, with networks, topologies, topics and sinks', async () => {
  const got: Taken[] = [];
  const unwatch = sampler.watch((taken) => got.push(taken));
  await clock.advance(3_000);
  unwatch();
  await clock.advance(3_000);
  expect(got).toHaveLength(6);
  const sample = got.at(-1)!.sample;
  expect(JSON.parse(got.at(-1)!.json)).toEqual(sample);
  expect(sample.topologies).toMatchObject([
    { name: 'vote-latency', lag: 5, tasks: 1, troubled: 0 },
  ]);
  expect(sample.networks.map(({ id }) => id)).toEqual(['testnet']);
  expect(sample.topics.map(({ name }) => name)).toContain('votes');
  expect(sample.sinks[0]).toMatchObject({ points: 7, breaker: 'closed' });
});

test('while nobody watches one sample a second is kept, five minutes of them, and no sink is asked', async () => {
  let asked = 0;
  engine.backlog = async () => {
    asked++;
    return [];
  };
  await clock.advance(400_000);
  expect(sampler.last(1_000)).toHaveLength(KEPT_SAMPLES);
  expect(asked).toBe(0);
});

test('whoever comes back gets what was kept since; too long away begins anew', async () => {
  await clock.advance(10_000);
  const last = sampler.last(3);
  expect(last).toHaveLength(3);
  const since = sampler.after(last[0]!.sample.seq);
  expect(since?.map(({ sample }) => sample.seq)).toEqual(last.slice(1).map((t) => t.sample.seq));
  await clock.advance(400_000);
  expect(sampler.after(last[0]!.sample.seq)).toBeUndefined();
  expect(sampler.after(1_000_000)).toBeUndefined();
});

test('a sink that does not answer holds up no sample and is asked no second time meanwhile', async () => {
  let asked = 0;
  engine.backlog = () => {
    asked++;
    return new Promise(() => {});
  };
  const got: Taken[] = [];
  const unwatch = sampler.watch((taken) => got.push(taken));
  await clock.advance(10_000);
  unwatch();
  expect(got).toHaveLength(20);
  expect(asked).toBe(1);
});

test('a socket that is full gets the newest sample when it drains; one that stays full is given up', () => {
  const written: string[] = [];
  const onDrain: (() => void)[] = [];
  let takes = true;
  const socket = {
    writableNeedDrain: false,
    write: (text: string) => {
      written.push(text);
      return takes;
    },
    once: (_: string, listener: () => void) => void onDrain.push(listener),
  };
  const watcher = new Watcher(socket as never, ({ json }) => json);
  const taken = (json: string) => ({ sample: {}, json }) as Taken;
  takes = false;
  expect(watcher.offer(taken('1'), 0)).toBe(true);
  for (const n of ['2', '3', '4']) expect(watcher.offer(taken(n), 500)).toBe(true);
  expect(written).toEqual(['1']);
  takes = true;
  onDrain.shift()!();
  expect(written).toEqual(['1', '4']);
  takes = false;
  expect(watcher.offer(taken('5'), 1_000)).toBe(true);
  expect(watcher.offer(taken('6'), 2_000)).toBe(true);
  expect(watcher.offer(taken('7'), 31_001)).toBe(false);
});

test('a rate is what was read over the last two seconds; a partition that begins anew counts nothing', () => {
  const meter = new RateMeter();
  const at = (ms: number, ...offsets: number[]) =>
    meter.rate(
      'votes',
      ms,
      offsets.map((offset, i) => [String(i), offset] as const),
    );
  expect(at(0, 100)).toBe(0);
  expect(at(1_000, 600)).toBe(500);
  expect(at(2_000, 1_600)).toBe(750);
  expect(at(3_000, 1_600)).toBe(500);
  expect(at(4_000, 0)).toBe(0);
  expect(at(5_000, 10, 5_000)).toBe(5);
});
