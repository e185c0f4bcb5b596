/** The first rows of a window themselves, up to a limit; how many were left out is counted, never hidden. */
import { FatalError } from '../../model/index.ts';
import type { Aggregate } from '../aggregate.ts';

export interface Collected<T> {
  /** In the order of the log. */
  readonly rows: T[];
  /** Rows that came when `limit` was reached. */
  omitted: number;
}

export interface CollectOptions {
  /** Rows kept per key and window. No default: the window's memory and every epoch's state depend on it. */
  readonly limit: number;
}

/** State entry: JSON, so rows must be what JSON can hold. */
export function collect<T>({ limit }: CollectOptions): Aggregate<Collected<T>> {
  if (!Number.isInteger(limit) || limit < 1) {
    throw new FatalError(`collect limit is ${limit}; give a whole number, 1 or more`, {
      code: 'AGGREGATE_INVALID',
    });
  }
  return {
    name: `collect(${limit})`,
    create: () => ({ rows: [], omitted: 0 }),
    adder: (batch) => (state, i) => {
      if (state.rows.length < limit) state.rows.push(batch.row(i) as T);
      else state.omitted++;
    },
    merge: (into, from) => {
      const room = limit - into.rows.length;
      into.rows.push(...from.rows.slice(0, room));
      into.omitted += from.omitted + Math.max(0, from.rows.length - room);
    },
    encode: (state) => Buffer.from(JSON.stringify(state)),
    decode: (bytes) => JSON.parse(bytes.toString('utf8')) as Collected<T>,
  };
}
