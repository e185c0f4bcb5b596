/**
 * An operator is an RxJS OperatorFunction over batches that also carries its kind and options, so that a
 * topology can be described without being run.
 */
import { Observable, type OperatorFunction } from 'rxjs';
import type { Batch } from './batch.ts';
import { currentTask, type TaskContext } from './task-context.ts';

const DESCRIPTION = Symbol.for('tidemark.operator');

export interface OperatorDescription {
  /** A verb: dedup, filter, window… */
  readonly kind: string;
  /** Options as they show in `describe`, and enter the topology's hash. */
  readonly detail: Readonly<Record<string, unknown>>;
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

/** The description of an operator; a plain RxJS operator is an `rxjs` step. */
export function describeOperator(candidate: unknown): OperatorDescription {
  const found = (candidate as { [DESCRIPTION]?: OperatorDescription })[DESCRIPTION];
  return found ?? { kind: 'rxjs', detail: {} };
}
