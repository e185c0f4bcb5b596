/** A point on its way through a query, and what takes points. */
import { QueryFailed } from './errors.ts';

/** bigint = long, number = double, null = the mark that `gaps` sets. */
export type QueryValue = bigint | number | string | null;

/** KairosDB's two kinds of groups: aggregators say which they take. */
export type GroupType = 'number' | 'text';

/** Points in order as columns, of which the first `count` are meant; another's after the call. */
export interface NumberColumns {
  readonly times: Float64Array;
  readonly numbers: Float64Array;
  readonly count: number;
}

export interface PointSink {
  push(timestampMs: number, value: QueryValue): void;
  /** Many at once, for sinks to which a value is its double and nothing more. */
  pushNumbers?(columns: NumberColumns): void;
  /** No point comes any more. */
  end(): void;
}

/** As Java's `getDoubleValue`: text is 0. Throws QueryFailed for a gap. */
export function numberOf(value: QueryValue): number {
  switch (typeof value) {
    case 'number':
      return value;
    case 'bigint':
      return Number(value);
    case 'string':
      return 0;
    default:
      throw new QueryFailed(
        'No aggregator can be chained after org.kairosdb.core.aggregator.DataGapsMarkingAggregator',
      );
  }
}
