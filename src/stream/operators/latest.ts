/** Keeps the newest row of each key for whoever watches the task live; passes every row on untouched. */
import { jsonValues, Table } from '../../state/index.ts';
import { forEachRow } from '../for-each-row.ts';
import { type Operator, operator } from '../operator.ts';

export interface LatestOptions<T> {
  readonly key: (row: T) => string;
  /** Larger is newer; equal replaces. */
  readonly order: (row: T) => number;
  /** What is kept; plain JSON. */
  readonly keep: (row: T) => unknown;
  /** Name under which the task exposes it. */
  readonly as: string;
}

/** What `latest` exposes. */
export interface LatestView<V> {
  get(key: string): V | undefined;
  entries(): IterableIterator<[string, V]>;
  /** Keys. */
  readonly size: number;
  /** Grows with every row kept since the task began: while it stands still, nothing here has changed. */
  readonly changes: number;
}

export function latest<T>(options: LatestOptions<T>): Operator<T, T> {
  return operator<T, T>({ kind: 'latest', detail: { as: options.as } }, (task) => {
    const table = new Table<{ order: number; value: unknown }>(jsonValues());
    task.store(table);
    let changes = 0;
    const view: LatestView<unknown> = {
      get changes() {
        return changes;
      },
      get size() {
        return table.size;
      },
      get: (key) => table.get(key)?.value,
      *entries() {
        for (const [key, kept] of table.entries()) yield [key, kept.value];
      },
    };
    task.expose(options.as, view);
    return {
      next: (batch, emit) => {
        forEachRow(batch, (i) => {
          const row = batch.row(i);
          const key = options.key(row);
          const order = options.order(row);
          const before = table.get(key);
          if (before !== undefined && order < before.order) return;
          table.set(key, { order, value: options.keep(row) });
          changes++;
        });
        emit(batch);
      },
    };
  });
}
