/**
 * The operators that look at one row at a time: filter, derive, map. A function that throws a PoisonError sets
 * its record aside (dead letter with the error's code); anything else it throws ends the task.
 */
import type { Column } from '../batch.ts';
import { guarded } from '../dead-letter.ts';
import { forEachRow } from '../for-each-row.ts';
import { numbersNamed } from '../key-index.ts';
import { type Operator, operator } from '../operator.ts';
import { madeFrom, withSelection } from '../rows.ts';

/** Keeps the rows that the predicate says true of. */
export function filter<T>(predicate: (row: T) => boolean): Operator<T, T> {
  return operator<T, T>({ kind: 'filter', detail: {} }, (task) => ({
    next: (batch, emit) => {
      const kept: number[] = [];
      forEachRow(batch, (i) => {
        if (guarded(task, batch, i, () => predicate(batch.row(i))) === true) kept.push(i);
      });
      emit(withSelection(batch, Int32Array.from(kept)));
    },
  }));
}

/**
 * Adds a numeric column computed from others: `derive('latencySlots', ['landedSlot', 'votedSlot'], (landed,
 * voted) => landed - voted)`. No object is made per row.
 */
export function derive<T, const N extends string>(
  field: N,
  from: readonly (keyof T & string)[],
  compute: (...values: number[]) => number,
): Operator<T, T & Record<N, number>> {
  return operator<T, T & Record<N, number>>({ kind: 'derive', detail: { field, from } }, () => ({
    next: (batch, emit) => {
      const columns = from.map((name) => numbersNamed(batch, name));
      const [a, b] = columns;
      const column = new Float64Array(batch.length);
      if (a !== undefined && b !== undefined && columns.length === 2) {
        for (let i = 0; i < column.length; i++) column[i] = compute(a[i] as number, b[i] as number);
      } else {
        for (let i = 0; i < column.length; i++)
          column[i] = compute(...columns.map((c) => c[i] as number));
      }
      const row = (i: number) => ({ ...batch.row(i), [field]: column[i] }) as T & Record<N, number>;
      emit({
        ...batch,
        columns: withColumn(batch.columns, field, column),
        row,
        original: batch.original.bind(batch),
      });
    },
  }));
}

/** A new row from each row. Duplicates found upstream are no longer known downstream. */
export function map<T, R>(transform: (row: T) => R): Operator<T, R> {
  return flatMap((row) => [transform(row)], 'map');
}

/** None, one or several new rows from each row. */
export function flatMap<T, R>(
  transform: (row: T) => readonly R[],
  kind = 'flatMap',
): Operator<T, R> {
  return operator<T, R>({ kind, detail: {} }, (task) => ({
    next: (batch, emit) => {
      const rows: R[] = [];
      const from: number[] = [];
      forEachRow(batch, (i) => {
        const made = guarded(task, batch, i, () => transform(batch.row(i)));
        if (made === undefined) return;
        for (const row of made) {
          rows.push(row);
          from.push(i);
        }
      });
      emit(madeFrom(batch, rows, from));
    },
  }));
}

/** Sends rows that the predicate says true of another way: the two streams of a branch are two `branch`es. */
export function branch<T>(predicate: (row: T) => boolean): {
  readonly matching: Operator<T, T>;
  readonly others: Operator<T, T>;
} {
  return { matching: filter(predicate), others: filter((row) => !predicate(row)) };
}

function withColumn(
  columns: Readonly<Record<string, Column>>,
  field: string,
  column: Column,
): Record<string, Column> {
  const wider: Record<string, Column> = {};
  Object.defineProperties(wider, Object.getOwnPropertyDescriptors(columns));
  Object.defineProperty(wider, field, { value: column, enumerable: true, configurable: true });
  return wider;
}
