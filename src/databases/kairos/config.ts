/** How to reach the Cassandra cluster that holds KairosDB's keyspace. Host, keyspace and sign-in are settings of the program. */
import { FatalError } from '../../model/index.ts';
import type { Secret } from '../../runtime/index.ts';
import type { CellCacheConfig } from './cell-cache/cell-cache.ts';
import type { RowTimeUnit } from './row-spec.ts';

/** Cassandra's levels, the ones that make sense for single-key writes and reads. */
export const consistencies = [
  'one',
  'two',
  'three',
  'quorum',
  'all',
  'localQuorum',
  'eachQuorum',
  'localOne',
] as const;
export type Consistency = (typeof consistencies)[number];

export interface CassandraConfig {
  /** `host` or `host:port` (9042), at least one; the others of the cluster are found from it. */
  readonly hosts: readonly string[];
  readonly datacenter: string;
  readonly keyspace: string;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  /** Of writes, deletes and probes. Default `quorum`, as KairosDB's. */
  readonly writeConsistency?: Consistency;
  /** Of reads. Default `one`, as KairosDB's. */
  readonly readConsistency?: Consistency;
  /** Requests under way at once, of all callers together; more wait here, not in the server. Default 64. */
  readonly requestsInFlightMax?: number;
  /** Default 12,000. */
  readonly requestTimeoutMs?: number;
  /** Cells that were read stay in memory. Default: none does. */
  readonly cellCache?: CellCacheConfig | undefined;
  /** Copies of each row when `setup` makes the keyspace. Default 1, as KairosDB's. */
  readonly replicationFactor?: number;
  /** Column encoding when `setup` makes the keyspace; a stored spec wins. Default MILLISECONDS, as KairosDB 1.3. */
  readonly rowTimeUnit?: Exclude<RowTimeUnit, 'LEGACY'>;
}

/** Throws FatalError SINK_MISCONFIGURED. */
export function checkCassandraConfig(config: CassandraConfig): void {
  if (config.hosts.length === 0) {
    throw misconfigured('no Cassandra host is named: set CASSANDRA_HOSTS');
  }
  if (!/^[A-Za-z]\w{0,47}$/.test(config.keyspace)) {
    throw misconfigured(
      `${JSON.stringify(config.keyspace)} can't name a keyspace: set CASSANDRA_KEYSPACE to letters, digits and _, at most 48`,
    );
  }
}

const misconfigured = (message: string): FatalError =>
  new FatalError(message, { code: 'SINK_MISCONFIGURED' });
