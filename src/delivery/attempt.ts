/**
 * One attempt with an end: a peer that never answers is cut. The work gets a signal to stop by, but is not
 * waited for once time is up, so that a sink which ignores the signal can't hang its caller.
 */
import { RetriableError } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';

export interface AttemptOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** For the message: `write to influx.vote-latencies-raw`. */
  readonly what: string;
  /** Of the error when time is up; SINK_TIMEOUT when absent. */
  readonly code?: string;
  /** Gives up earlier; the attempt then rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` for at most `timeoutMs`. Rejects with what the work rejected with, or with RetriableError
 * `code`: whether the work took effect is then unknown.
 */
export async function attempt<T>(
  options: AttemptOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, timeoutMs, what, code = 'SINK_TIMEOUT', signal } = options;
  signal?.throwIfAborted();
  const stop = new AbortController();
  const timer = new AbortController();
  const onAbort = () => stop.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const cut = new Promise<never>((_, reject) => {
    stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true });
  });
  clock.sleep(timeoutMs, timer.signal).then(
    () =>
      stop.abort(
        new RetriableError(`${what}: no answer within ${timeoutMs} ms`, {
          code,
          context: { timeoutMs },
        }),
      ),
    () => {},
  );
  try {
    return await Promise.race([work(stop.signal), cut]);
  } finally {
    timer.abort();
    signal?.removeEventListener('abort', onAbort);
  }
}
