/** What holds a process whose engine listens nowhere. */
import { expect, test } from 'vitest';
import { systemClock } from '../runtime/index.ts';
import { untilStopped } from './terminal.ts';

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

test('a command that waits to be stopped keeps its process, and lets it go then', async () => {
  const before = timers();
  const stop = new AbortController();
  const stopped = untilStopped({ clock: systemClock, stopped: stop.signal });
  expect(timers()).toBe(before + 1);
  stop.abort();
  await stopped;
  expect(timers()).toBe(before);
});
