import { expect, test } from 'vitest';
import { ManualClock } from '../../runtime/index.ts';
import { Gate } from './gate.ts';
import { InFlight } from './in-flight.ts';
import { behindText } from './text-order.ts';
import { WriteStamps } from './write-stamps.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('never more requests are under way than allowed, whoever sends them', async () => {
  const inFlight = new InFlight(3);
  let running = 0;
  let most = 0;
  const request = async () => {
    most = Math.max(most, ++running);
    await turn();
    running--;
  };
  const items = Array.from({ length: 20 }, (_, n) => n);
  await Promise.all([
    inFlight.forEach(items, request),
    inFlight.forEach(items, request),
    inFlight.run(request),
  ]);
  expect(most).toBe(3);
  expect(running).toBe(0);
});

test('after a failure no further request starts, and the first failure is told', async () => {
  const inFlight = new InFlight(2);
  const started: number[] = [];
  const items = [0, 1, 2, 3, 4, 5, 6];
  const sent = inFlight.forEach(items, async (n) => {
    started.push(n);
    await turn();
    if (n >= 1) throw new Error(`failed ${n}`);
  });
  await expect(sent).rejects.toThrow('failed 1');
  expect(started.length).toBeLessThan(items.length);
  await expect(inFlight.run(async () => 'free again')).resolves.toBe('free again');
});

test('items that are made as they are asked for are made when their turn comes', async () => {
  const inFlight = new InFlight(2);
  let made = 0;
  let ended = 0;
  function* items() {
    for (; made < 10; made++) yield made;
  }
  const seen: number[] = [];
  await inFlight.forEach(items(), async (n) => {
    // Those under way, and the one that is being made.
    expect(made - ended).toBeLessThanOrEqual(2);
    seen.push(n);
    await turn();
    ended++;
  });
  expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('an abort stops what has not started', async () => {
  const inFlight = new InFlight(1);
  const controller = new AbortController();
  const started: number[] = [];
  const sent = inFlight.forEach(
    [0, 1, 2],
    async (n) => {
      started.push(n);
      controller.abort();
    },
    controller.signal,
  );
  await expect(sent).rejects.toThrow(/abort/i);
  expect(started).toEqual([0]);
});

test('a delete runs alone: after the writes before it, before those behind it', async () => {
  const gate = new Gate();
  const log: string[] = [];
  const step = (name: string) => async () => {
    log.push(`${name} begins`);
    await turn();
    log.push(`${name} ends`);
  };
  await Promise.all([
    gate.write(step('write 1')),
    gate.write(step('write 2')),
    gate.delete(step('delete 1')),
    gate.write(step('write 3')),
    gate.delete(step('delete 2')),
  ]);
  expect(log.slice(0, 6)).toEqual([
    'write 1 begins',
    'write 2 begins',
    'write 1 ends',
    'write 2 ends',
    'delete 1 begins',
    'delete 1 ends',
  ]);
  for (const name of ['write 3', 'delete 2']) {
    expect(log.indexOf(`${name} ends`) - log.indexOf(`${name} begins`)).toBe(1);
  }
});

test('a failed delete opens the gate again', async () => {
  const gate = new Gate();
  await expect(gate.delete(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(gate.write(async () => 'in')).resolves.toBe('in');
});

test('stamps are milliseconds of now, and rise even while the clock stands or goes back', async () => {
  const clock = new ManualClock(1_000);
  const stamps = new WriteStamps(clock);
  expect([stamps.nextMs(), stamps.nextMs(), stamps.nextMs()]).toEqual([1_000, 1_001, 1_002]);
  await clock.advance(500);
  expect(stamps.nextMs()).toBe(1_500);
});

test.each([
  ['a', 'b'],
  ['é', 'ê'],
  ['a\u{10ffff}', 'b'],
  ['\ud7ff', '\ue000'],
  ['\uffff', '\u{10000}'],
  ['', undefined],
  ['\u{10ffff}', undefined],
])('behind all texts that begin with %j comes %j', (prefix, next) => {
  expect(behindText(prefix)).toBe(next);
  if (next !== undefined) {
    const bound = Buffer.from(next);
    expect(Buffer.compare(Buffer.from(`${prefix}\u{10ffff}\u{10ffff}`), bound)).toBeLessThan(0);
    expect(next.isWellFormed()).toBe(true);
  }
});
