/**
 * Folds the rows of each key into one value (a host's newest readings, an account's balance) and gives that value
 * now and then: once when the key is new, then at most each `everyMs` of the key's event time. Whoever watches the
 * task sees the value as it stands.
 */
import { jsonValues, Table } from '../../state/index.ts';
import { forEachRow } from '../for-each-row.ts';
import { type Operator, operator } from '../operator.ts';
import { madeFrom } from '../rows.ts';
import type { LatestView } from './latest.ts';

export interface CondenseOptions<T, V> {
  readonly key: (row: T) => string;
  /** A new value, plain JSON, from the one before; the one before stays as it is. */
  readonly fold: (before: V | undefined, row: T) => V;
  /** Event time that the value has reached, ms. */
  readonly time: (value: V) => number;
  readonly everyMs: number;
  /** A key without news for so long is forgotten [event time, ms]. */
  readonly forgetAfterMs: number;
  /** Name under which the task exposes the values, as `LatestView`. */
  readonly as: string;
}

interface Kept<V> {
  readonly value: V;
  /** Event time of the value that went on last. */
  readonly givenMs: number;
}

export function condense<T, V>(options: CondenseOptions<T, V>): Operator<T, V> {
  const { key, fold, time, everyMs, forgetAfterMs, as } = options;
  const detail = { everyMs, forgetAfterMs, as };
  return operator<T, V>({ kind: 'condense', detail }, (task) => {
    const table = new Table<Kept<V>>(jsonValues());
    task.store(table);
    let changes = 0;
    const view: LatestView<V> = {
      get changes() {
        return changes;
      },
      get size() {
        return table.size;
      },
      get: (name) => table.get(name)?.value,
      *entries() {
        for (const [name, { value }] of table.entries()) yield [name, value];
      },
    };
    task.expose(as, view);
    let sweepAt = Number.NEGATIVE_INFINITY;
    return {
      next: (batch, emit) => {
        const rows: V[] = [];
        const from: number[] = [];
        forEachRow(batch, (i) => {
          const row = batch.row(i);
          const name = key(row);
          const before = table.get(name);
          const value = fold(before?.value, row);
          const reached = time(value);
          const isDue = before === undefined || reached >= before.givenMs + everyMs;
          table.set(name, { value, givenMs: isDue ? reached : before.givenMs });
          changes++;
          if (!isDue) return;
          rows.push(value);
          from.push(i);
        });
        if (batch.watermark >= sweepAt) {
          sweepAt = batch.watermark + forgetAfterMs / 30;
          for (const [name, { value }] of table.entries()) {
            if (time(value) < batch.watermark - forgetAfterMs) table.delete(name);
          }
        }
        emit(madeFrom(batch, rows, from));
      },
    };
  });
}
