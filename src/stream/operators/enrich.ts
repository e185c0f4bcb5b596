/**
 * Asks another system about each row: a lookup over HTTP, a query. The rest of a topology answers in the same
 * tick; here the task begins the loads of a batch, keeps at most `concurrency` under way, and takes no further
 * batch and cuts no epoch until all have come. So results stay in the order of their rows, memory holds one
 * batch, and a crash in between loses and doubles nothing: the batch is read again, its rows are loaded again.
 *
 * What another system answers may be another thing at a replay. Where the log must give the same bytes for
 * ever, put what you ask for into a topic and use `table` and `joinTable`.
 */
import { FatalError, messageOf, PoisonError, RetriableError } from '../../model/index.ts';
import { type Clock, systemClock } from '../../runtime/index.ts';
import type { Batch } from '../batch.ts';
import { deadLetter } from '../dead-letter.ts';
import { forEachRow } from '../for-each-row.ts';
import { asyncOperator, type Operator } from '../operator.ts';
import { madeFrom } from '../rows.ts';
import type { TaskContext } from '../task-context.ts';

export interface EnrichOptions<T, R> {
  /** Loads under way at once, per task: the other system sees at most this times the tasks. At least 1. */
  readonly concurrency: number;
  /** A load that takes longer has failed; its signal aborts. Default: waits for ever. */
  readonly timeoutMs?: number;
  /** What a load that took too long does. Default `crash`: go back to the last epoch and try again, for as long as it takes. */
  readonly onTimeout?: 'dead-letter' | 'crash';
  /**
   * What a load that rejects does. A PoisonError sets its record aside either way. Default `crash`: back to the
   * last epoch; with a RetriableError for as long as it takes, with another error at most five times.
   */
  readonly onError?: 'dead-letter' | 'crash';
  /** Gives the new row. Must bear being called again for the same row. `signal`: nobody wants the answer any more. */
  readonly load: (row: T, signal: AbortSignal) => Promise<R>;
  /** Measures `timeoutMs`; tests give theirs. */
  readonly clock?: Clock;
}

/** A row's load has come to this. */
type Loaded<R> = { readonly row: R } | { readonly code: string; readonly message: string };

/** The row that `load` gives instead of each row; see the head of this file. Duplicates found upstream are no longer known downstream. */
export function enrich<T, R>(options: EnrichOptions<T, R>): Operator<T, R> {
  const { concurrency, timeoutMs, onTimeout = 'crash', onError = 'crash' } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1)
    throw invalid(`concurrency is ${concurrency}; give a whole number, 1 or more`);
  if (timeoutMs !== undefined && !(timeoutMs > 0))
    throw invalid(`timeoutMs is ${timeoutMs}; give milliseconds, more than 0`);
  const detail = {
    concurrency,
    onError,
    ...(timeoutMs === undefined ? {} : { timeoutMs, onTimeout }),
  };
  return asyncOperator<T, R>({ kind: 'enrich', detail }, (task) => {
    const credits = new Credits(concurrency);
    return {
      next: async (batch, signal) => {
        const loads: Promise<Loaded<R>>[] = [];
        const from: number[] = [];
        const failed = new AbortController();
        const stop = AbortSignal.any([signal, failed.signal]);
        forEachRow(batch, (i) => {
          from.push(i);
          loads.push(credits.with(stop, () => loadRow(options, batch.row(i), stop)));
        });
        try {
          const loaded = await Promise.all(loads);
          return () => resultOf(task, batch, from, loaded);
        } catch (error) {
          // The task goes back to its epoch: the other loads are for nothing.
          failed.abort(error);
          throw error;
        }
      },
    };
  });
}

async function loadRow<T, R>(
  options: EnrichOptions<T, R>,
  row: T,
  stop: AbortSignal,
): Promise<Loaded<R>> {
  const { timeoutMs, onTimeout, onError, clock = systemClock } = options;
  const over = new AbortController();
  const signal = AbortSignal.any([stop, over.signal]);
  const settled = new AbortController();
  const timedOut = new RetriableError(`no answer within ${timeoutMs} ms`, {
    code: 'ENRICH_TIMEOUT',
  });
  const races: Promise<R>[] = [Promise.resolve().then(() => options.load(row, signal))];
  if (timeoutMs !== undefined) {
    races.push(
      clock.sleep(timeoutMs, settled.signal).then(() => {
        over.abort(timedOut);
        throw timedOut;
      }),
    );
  }
  try {
    return { row: await Promise.race(races) };
  } catch (error) {
    if (error instanceof PoisonError) return { code: error.code, message: error.message };
    const choice = error === timedOut ? onTimeout : onError;
    if (choice !== 'dead-letter') throw error;
    const code = error === timedOut ? 'ENRICH_TIMEOUT' : 'ENRICH_FAILED';
    return { code, message: messageOf(error) };
  } finally {
    settled.abort();
  }
}

/** The loaded rows in the order of those they were loaded for; what was set aside goes to the dead letters in that order. */
function resultOf<R>(
  task: TaskContext,
  batch: Batch<unknown>,
  from: readonly number[],
  loaded: readonly Loaded<R>[],
): Batch<R> {
  const rows: R[] = [];
  const kept: number[] = [];
  for (const [k, result] of loaded.entries()) {
    const i = from[k] as number;
    if ('row' in result) {
      rows.push(result.row);
      kept.push(i);
    } else deadLetter(task, batch, i, result.code, result.message);
  }
  return madeFrom(batch, rows, kept);
}

/** So many at once; the others stand in line. */
class Credits {
  #free: number;
  readonly #line: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs when there is a credit, in order of the calls; not at all, and rejects, when `stop` aborts before. */
  async with<R>(stop: AbortSignal, run: () => Promise<R>): Promise<R> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#line.push(resolve));
    try {
      stop.throwIfAborted();
      return await run();
    } finally {
      const next = this.#line.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

const invalid = (message: string): FatalError =>
  new FatalError(`enrich: ${message}`, { code: 'ENRICH_INVALID' });
