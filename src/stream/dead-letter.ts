/** Where records go that can't be used: `<topic>.dead-letter`, with their bytes, place and reason [E5]. */
import { messageOf, PoisonError } from '../model/index.ts';
import type { Batch } from './batch.ts';
import type { OutputRecord, TaskContext } from './task-context.ts';

export const deadLetterTopic = (topic: string): string => `${topic}.dead-letter`;

export interface DeadLetterOrigin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** The record of the dead-letter topic: `{bytes (base64), topic, partition, offset, code, message}`. */
export function deadLetterRecord(
  origin: DeadLetterOrigin,
  code: string,
  message: string,
): OutputRecord {
  const { topic, partition, offset } = origin;
  const bytes = (origin.value ?? Buffer.alloc(0)).toString('base64');
  return {
    topic: deadLetterTopic(topic),
    key: origin.key,
    value: JSON.stringify({ bytes, topic, partition, offset, code, message }),
  };
}

/** Sets row i of a batch aside. */
export function deadLetter(
  task: TaskContext,
  batch: Batch<unknown>,
  i: number,
  code: string,
  message: string,
): void {
  const { topic, partition } = batch;
  task.count('rejected', 1);
  task.emit(
    deadLetterRecord(
      { topic, partition, offset: batch.offsets[i] as number, ...batch.original(i) },
      code,
      message,
    ),
  );
}

/** Runs a user's function on row i; a PoisonError sets the row aside with its code, all else is thrown on. */
export function guarded<R>(
  task: TaskContext,
  batch: Batch<unknown>,
  i: number,
  run: () => R,
): R | undefined {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof PoisonError)) throw error;
    deadLetter(task, batch, i, error.code, messageOf(error));
    return undefined;
  }
}
