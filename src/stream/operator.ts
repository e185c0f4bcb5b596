/**
 * An operator is an RxJS OperatorFunction over batches that also carries its kind and options, so that a
 * topology can be described without being run.
 */
import { Observable, type OperatorFunction } from 'rxjs';
import { type Batch, selectedCount } from './batch.ts';
import { Outbox } from './outbox.ts';
import { progressBatch } from './rows.ts';
import { currentTask, type TaskContext } from './task-context.ts';

const DESCRIPTION = Symbol.for('tidemark.operator');

export interface OperatorDescription {
  /** A verb: dedup, filter, window… */
  readonly kind: string;
  /** Options as they show in `describe`, and enter the topology's hash. */
  readonly detail: Readonly<Record<string, unknown>>;
  /** Name of a step whose state this one looks up: an edge of the picture. */
  readonly reads?: string;
}

export type Operator<A, B> = OperatorFunction<Batch<A>, Batch<B>> & {
  readonly [DESCRIPTION]: OperatorDescription;
};

/** What an operator does with each batch of one task. */
export interface BatchHandler<A, B> {
  next(batch: Batch<A>, emit: (batch: Batch<B>) => void): void;
}

/**
 * Makes an operator. `start` runs once per task, when the pipe is built: register state there. The handler is
 * called synchronously, one batch at a time; what it throws ends the task, which then restarts from its epoch.
 */
export function operator<A, B>(
  description: OperatorDescription,
  start: (task: TaskContext) => BatchHandler<A, B>,
): Operator<A, B> {
  const apply: OperatorFunction<Batch<A>, Batch<B>> = (source) => {
    const handler = start(currentTask());
    return new Observable<Batch<B>>((subscriber) => {
      const emit = (batch: Batch<B>) => subscriber.next(batch);
      return source.subscribe({
        next: (batch) => {
          try {
            handler.next(batch, emit);
          } catch (error) {
            subscriber.error(error);
          }
        },
        error: (error) => subscriber.error(error),
        complete: () => subscriber.complete(),
      });
    });
  };
  return Object.assign(apply, { [DESCRIPTION]: description });
}

/**
 * As `operator`, for a step that may give very many rows at once, as windows do when they close: they go on in
 * slices (see outbox.ts). What it emits are batches of plain rows.
 */
export function closingOperator<A, B>(
  description: OperatorDescription,
  start: (task: TaskContext) => BatchHandler<A, B>,
): Operator<A, B> {
  return operator<A, B>(description, (task) => {
    const handler = start(task);
    let outbox: Outbox<B> | undefined;
    return {
      next: (batch, emit) => {
        const own = outbox ?? new Outbox<B>(task, emit);
        outbox = own;
        handler.next(batch, (rows) => own.give(rows));
      },
    };
  });
}

/** What an asynchronous operator does with each batch of one task. */
export interface AsyncBatchHandler<A, B> {
  /**
   * Begins the work on a batch with rows; the result, called in the order of the batches, gives what goes on.
   * A rejection ends the task. `signal` aborts when the task lets go of its pipes: nobody wants the rest then.
   */
  next(batch: Batch<A>, signal: AbortSignal): Promise<() => Batch<B>>;
}

/**
 * Makes an operator whose results come later, in order. The task holds its epoch until they have come (see
 * `TaskContext.defer`), so that crash and replay are as for any other. A batch without rows passes as time.
 */
export function asyncOperator<A, B>(
  description: OperatorDescription,
  start: (task: TaskContext) => AsyncBatchHandler<A, B>,
): Operator<A, B> {
  const apply: OperatorFunction<Batch<A>, Batch<B>> = (source) => {
    const task = currentTask();
    const handler = start(task);
    return new Observable<Batch<B>>((subscriber) => {
      const abort = new AbortController();
      let waiting = 0;
      let completed = false;
      const begin = (batch: Batch<A>): Promise<() => Batch<B>> =>
        selectedCount(batch) === 0
          ? Promise.resolve(() => progressBatch<B>(batch))
          : handler.next(batch, abort.signal);
      const finish = (outcome: PromiseSettledResult<() => Batch<B>>) => {
        waiting--;
        if (outcome.status === 'rejected') return subscriber.error(outcome.reason);
        try {
          subscriber.next(outcome.value());
        } catch (error) {
          subscriber.error(error);
        }
        if (completed && waiting === 0) subscriber.complete();
      };
      const subscription = source.subscribe({
        next: (batch) => {
          if (waiting === 0 && selectedCount(batch) === 0) {
            subscriber.next(progressBatch<B>(batch));
            return;
          }
          waiting++;
          task.defer(begin(batch), finish);
        },
        error: (error) => subscriber.error(error),
        complete: () => {
          completed = true;
          if (waiting === 0) subscriber.complete();
        },
      });
      return () => {
        subscription.unsubscribe();
        abort.abort(new Error('the task lets go of its pipes'));
      };
    });
  };
  return Object.assign(apply, { [DESCRIPTION]: description });
}

/** The description of an operator; a plain RxJS operator is an `rxjs` step. */
export function describeOperator(candidate: unknown): OperatorDescription {
  const found = (candidate as { [DESCRIPTION]?: OperatorDescription })[DESCRIPTION];
  return found ?? { kind: 'rxjs', detail: {} };
}
