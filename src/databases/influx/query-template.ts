/**
 * What a named query is: what it needs, its Flux with every value escaped, and how a row of its answer reads. What
 * one asks is shared with others who ask the same.
 */
import type { ParameterizedQuery } from '@influxdata/influxdb-client';
import type { Row } from './row.ts';
import type { RollupStep } from './schema.ts';

/** What a question may be told; times half-open, ms since the epoch. */
export interface QueryValues {
  readonly from: number;
  readonly to: number;
  readonly step: RollupStep;
  /** Full pubkey of a validator, or its first 8 characters. */
  readonly id?: string;
  readonly network?: string;
  /** One of a fleet, or several with commas between; all when absent. */
  readonly host?: string;
  readonly metricType?: string;
  readonly field?: string;
  /** Rows at most. */
  readonly limit: number;
}

export type QueryNeed = 'id' | 'network' | 'host' | 'metricType' | 'field';

export interface QueryTemplate<T> {
  readonly says: string;
  /** What must be told beside the range; the rest is optional. */
  readonly needs: readonly QueryNeed[];
  flux(values: QueryValues): ParameterizedQuery;
  read(row: Row): T;
}

export const template = <T>(given: QueryTemplate<T>): QueryTemplate<T> => given;
