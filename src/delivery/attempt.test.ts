import { expect, test } from 'vitest';
import { ManualClock } from '../runtime/index.ts';
import { attempt } from './attempt.ts';

test('work that ends in time gives its result, and leaves no timer that fires', async () => {
  const clock = new ManualClock();
  const result = attempt({ clock, timeoutMs: 10, what: 'write to x' }, async () => 7);
  await expect(result).resolves.toBe(7);
  await clock.advance(100);
});

test('work that never answers is cut with SINK_TIMEOUT, even when it ignores its signal', async () => {
  const clock = new ManualClock();
  let seen: AbortSignal | undefined;
  const result = attempt({ clock, timeoutMs: 10, what: 'write to x' }, (signal) => {
    seen = signal;
    return new Promise<never>(() => {});
  });
  const refused = expect(result).rejects.toMatchObject({
    family: 'retriable',
    code: 'SINK_TIMEOUT',
    message: 'write to x: no answer within 10 ms',
  });
  await clock.advance(9);
  expect(seen?.aborted).toBe(false);
  await clock.advance(1);
  expect(seen?.aborted).toBe(true);
  await refused;
});

test('the caller can give up earlier, with its own reason', async () => {
  const stop = new AbortController();
  const options = { clock: new ManualClock(), timeoutMs: 10, what: 'w', signal: stop.signal };
  const result = attempt(options, () => new Promise<never>(() => {}));
  stop.abort(new Error('leaving'));
  await expect(result).rejects.toThrow('leaving');
  await expect(attempt(options, async () => 1)).rejects.toThrow('leaving');
});
