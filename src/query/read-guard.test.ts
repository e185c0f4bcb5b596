import { expect, test } from 'vitest';
import { RetriableError } from '../model/index.ts';
import { ManualClock } from '../runtime/index.ts';
import { ReadGuard } from './read-guard.ts';

const away = new RetriableError('no host answers', { code: 'SINK_UNREACHABLE' });

test.each([
  ['soon is asked again, three times in all', away, 1_000, 3],
  ['late, as a store that hangs does, is not asked again', away, 12_000, 1],
  ['for good is not asked again', new Error('no such table'), 0, 1],
])('what fails %s', async (_, error, failsAfterMs, attempts) => {
  const clock = new ManualClock(0);
  const guard = new ReadGuard(new AbortController().signal, clock, { pointsMax: 0, rowsMax: 0 });
  let asked = 0;
  const failed = guard
    .attempt(async () => {
      asked++;
      await clock.sleep(failsAfterMs);
      throw error;
    })
    .catch((reason) => reason);
  await clock.advance(60_000);
  expect(await failed).toBe(error);
  expect(asked).toBe(attempts);
  expect(guard.answers).toBe(0);
});
