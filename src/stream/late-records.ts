/** What every windowing step does with records that no open window takes, and how it reads carried fields. */
import type { Windowed } from './aggregate.ts';
import type { Batch } from './batch.ts';
import { columnNamed, textAt } from './key-index.ts';
import type { TaskContext } from './task-context.ts';

/** Counts a late record and, when there is a topic for them, sends it there byte for byte. */
export function setLateAside(
  task: TaskContext,
  batch: Batch<unknown>,
  i: number,
  topic: string | undefined,
): void {
  task.count('late', 1);
  if (topic === undefined) return;
  const { key, value } = batch.original(i);
  task.emit({ topic, key, value, timestamp: batch.timestamps[i] as number });
}

/** A row that only reports what a closed window can no longer count; wider windows still may. */
export function reportRow(
  place: {
    readonly key: readonly string[];
    readonly start: number;
    readonly end: number;
    readonly partition: number;
  },
  counts: { readonly late: number; readonly duplicates: number },
): Windowed<never> {
  return {
    ...place,
    carried: {},
    state: undefined,
    firstOffset: Number.POSITIVE_INFINITY,
    lastOffset: -1,
    ...counts,
    revision: 0,
  };
}

/** Reads the carried fields of a row of this batch; absent ones are left out. */
export function carriedReader(
  batch: Batch<unknown>,
  fields: readonly string[],
): (i: number) => Readonly<Record<string, string>> {
  const columns = fields.map((field) => [field, columnNamed(batch, field)] as const);
  return (i) => {
    const carried: Record<string, string> = {};
    for (const [field, column] of columns) {
      const text = textAt(column, i);
      if (text !== undefined) carried[field] = text;
    }
    return carried;
  };
}
