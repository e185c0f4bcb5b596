/** Makes the driver's client: the only file that turns our configuration into the driver's. */
import type cassandra from 'cassandra-driver';
import type { Clock } from '../../runtime/index.ts';
import { type CassandraConfig, type Consistency, checkCassandraConfig } from './config.ts';
import { driver } from './driver.ts';

/** Statements without a stamp of their own get the time in milliseconds too, never the driver's microseconds. */
function millisecondStamps(
  clock: Clock,
): cassandra.policies.timestampGeneration.TimestampGenerator {
  const { MonotonicTimestampGenerator } = driver().policies.timestampGeneration;
  return new (class extends MonotonicTimestampGenerator {
    override next(): number {
      return clock.now();
    }
  })(1_000, 1_000);
}

/** Not yet connected. Without `keyspace` it belongs to none. Throws FatalError SINK_MISCONFIGURED. */
export function createClient(
  config: CassandraConfig,
  clock: Clock,
  keyspace?: string,
): cassandra.Client {
  checkCassandraConfig(config);
  return new (driver().Client)({
    contactPoints: [...config.hosts],
    localDataCenter: config.datacenter,
    ...(keyspace === undefined ? {} : { keyspace }),
    ...(config.username === undefined || config.password === undefined
      ? {}
      : { credentials: { username: config.username, password: config.password.reveal() } }),
    // Plain objects would reorder tag names such as 10 and lose __proto__.
    encoding: { map: Map },
    // The default policy is token-aware within the data centre.
    policies: { timestampGeneration: millisecondStamps(clock) },
    socketOptions: { readTimeout: config.requestTimeoutMs ?? 12_000 },
    queryOptions: { prepare: true, isIdempotent: true },
  });
}

export const consistencyCode = (consistency: Consistency): number =>
  driver().types.consistencies[consistency];
