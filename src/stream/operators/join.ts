/**
 * Joins a stream with a table: the newest row of each key of another topic, kept in this task's state.
 *
 *   const validators = table('validators', source('validators', validatorCodec), {
 *     key: (row) => row.id, value: (row) => ({ region: row.region }), remove: (row) => row.gone === true });
 *   source('votes', voteCodec).pipe('with region', joinTable(validators, {
 *     by: (vote) => vote.validator, missing: 'drop', select: (vote, { region }) => ({ ...vote, region }) }));
 *
 * Both topics must have their records partitioned alike (the same key, the same number of partitions): task p
 * reads partition p of each, and sees of the table what lies there.
 *
 * What is promised, and what not. Within one topic the order is the log's. Between the two it is the order in
 * which the task got them, and that is not in any log: at a replay a vote may meet a validator's row that live
 * came after it, or not yet one that live was there. A crash of the task does not matter for what is committed
 * (state, outputs and both positions are one epoch's), only for what is read again after it.
 *
 * With `keepMs` the table keeps versions by event time, and `asOf: true` looks up the one that was valid at the
 * record's own event time. Then a replay agrees with the live run for every record whose versions were there
 * when it was looked up, in both: the order of the two topics matters no more, as far as the table is ahead.
 * Nothing waits for a table that is behind, and a version may come later than the records that it is about;
 * then the record met the version before. Older than `keepMs` behind the table's watermark, a record meets the
 * oldest version that is kept if that was valid already, else none.
 */
import { FatalError } from '../../model/index.ts';
import { guarded } from '../dead-letter.ts';
import { forEachRow } from '../for-each-row.ts';
import { LatestRows, type TableStore, VersionedRows } from '../latest-rows.ts';
import { type Operator, operator } from '../operator.ts';
import { madeFrom } from '../rows.ts';
import type { Stream } from '../topology.ts';
import { checkPositive } from '../window-check.ts';

export interface TableOptions<T, V> {
  readonly key: (row: T) => string;
  /** What is kept of a row; plain JSON, neither undefined nor null. */
  readonly value: (row: T) => V;
  /** Rows that remove their key. (A record without value is no row: it goes to the dead letters.) */
  readonly remove?: (row: T) => boolean;
  /** Keeps the versions of this stretch of event time behind the table's watermark, for `asOf`. Default: the newest only. */
  readonly keepMs?: number;
}

/** A table to join with, in the drawing that made it. */
export class KeptTable<V> {
  readonly name: string;
  readonly keepMs: number | undefined;
  /** Set while a task's pipes are built; a description has none. */
  store: TableStore<V> | undefined;

  constructor(name: string, keepMs: number | undefined) {
    this.name = name;
    this.keepMs = keepMs;
  }
}

/** Keeps the rows of a stream as a table. Its name is a step's: unique, and the name of its state. */
export function table<T, V>(
  name: string,
  rows: Stream<T>,
  options: TableOptions<T, V>,
): KeptTable<V> {
  const { key, value, remove, keepMs } = options;
  if (keepMs !== undefined) checkPositive('keepMs', keepMs);
  const kept = new KeptTable<V>(name, keepMs);
  const detail = keepMs === undefined ? {} : { keepMs };
  rows.keep(
    name,
    operator<T, never>({ kind: 'table', detail }, (task) => {
      const store: TableStore<V> =
        keepMs === undefined ? new LatestRows() : new VersionedRows(keepMs);
      kept.store = store;
      task.store(store);
      task.expose(name, store);
      return {
        next: (batch) => {
          forEachRow(batch, (i) => {
            store.advance(batch.watermarks[i] as number);
            guarded(task, batch, i, () => {
              const row = batch.row(i);
              const kept = remove?.(row) === true ? undefined : value(row);
              store.put(key(row), kept, batch.timestamps[i] as number);
            });
          });
          store.advance(batch.watermark);
        },
      };
    }),
  );
  return kept;
}

interface JoinBase<T> {
  /** The key to look up; undefined: nothing is found. */
  readonly by: (row: T) => string | undefined;
  /**
   * Looks up the version valid at the record's event time; the table must have `keepMs`. Default: the newest, by
   * the log's order, or by event time when the table has `keepMs`.
   */
  readonly asOf?: boolean;
}

export interface InnerJoin<T, V, R> extends JoinBase<T> {
  /** A row whose key the table does not have is counted as skipped. */
  readonly missing: 'drop';
  readonly select: (row: T, value: V) => R;
}

export interface LeftJoin<T, V, R> extends JoinBase<T> {
  /** A row whose key the table does not have is selected with undefined. */
  readonly missing: 'keep';
  readonly select: (row: T, value: V | undefined) => R;
}

/** A new row from each row and what the table has for it; see the head of this file. Duplicates found upstream are no longer known downstream. */
export function joinTable<T, V, R>(
  kept: KeptTable<V>,
  options: InnerJoin<T, V, R> | LeftJoin<T, V, R>,
): Operator<T, R> {
  const { by, missing, asOf = false } = options;
  const select = options.select as (row: T, value: V | undefined) => R;
  if (asOf && kept.keepMs === undefined) {
    throw new FatalError(
      `the table "${kept.name}" keeps no versions to look up as of a time; give it keepMs`,
      { code: 'JOIN_INVALID' },
    );
  }
  const detail = { table: kept.name, missing, ...(asOf ? { asOf } : {}) };
  return operator<T, R>({ kind: 'join', detail, reads: kept.name }, (task) => {
    const { store } = kept;
    if (store === undefined) {
      throw new FatalError(
        `the table "${kept.name}" is not in this stage; draw it from a source of the same stage as the stream that joins it`,
        { code: 'JOIN_INVALID' },
      );
    }
    return {
      next: (batch, emit) => {
        const rows: R[] = [];
        const from: number[] = [];
        let dropped = 0;
        forEachRow(batch, (i) =>
          guarded(task, batch, i, () => {
            const row = batch.row(i);
            const key = by(row);
            const time = asOf ? (batch.timestamps[i] as number) : Number.POSITIVE_INFINITY;
            const value = key === undefined ? undefined : store.get(key, time);
            if (value === undefined && missing === 'drop') {
              dropped++;
              return;
            }
            rows.push(select(row, value));
            from.push(i);
          }),
        );
        if (dropped > 0) task.count('skipped', dropped);
        emit(madeFrom(batch, rows, from));
      },
    };
  });
}
