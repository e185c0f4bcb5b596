/** Makes the driver's client: the only file that turns our configuration into the driver's. */
import cassandra from 'cassandra-driver';
import type { Clock } from '../../runtime/index.ts';
import { type CassandraConfig, type Consistency, checkCassandraConfig } from './config.ts';

/** Statements without a stamp of their own get the time in milliseconds too, never the driver's microseconds. */
class MillisecondStamps extends cassandra.policies.timestampGeneration.MonotonicTimestampGenerator {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super(1_000, 1_000);
    this.#clock = clock;
  }

  override next(): number {
    return this.#clock.now();
  }
}

/** Not yet connected. Without `keyspace` it belongs to none. Throws FatalError SINK_MISCONFIGURED. */
export function createClient(
  config: CassandraConfig,
  clock: Clock,
  keyspace?: string,
): cassandra.Client {
  checkCassandraConfig(config);
  return new cassandra.Client({
    contactPoints: [...config.hosts],
    localDataCenter: config.datacenter,
    ...(keyspace === undefined ? {} : { keyspace }),
    ...(config.username === undefined || config.password === undefined
      ? {}
      : { credentials: { username: config.username, password: config.password.reveal() } }),
    // Plain objects would reorder tag names such as 10 and lose __proto__.
    encoding: { map: Map },
    // The default policy is token-aware within the data centre.
    policies: { timestampGeneration: new MillisecondStamps(clock) },
    socketOptions: { readTimeout: config.requestTimeoutMs ?? 12_000 },
    queryOptions: { prepare: true, isIdempotent: true },
  });
}

export const consistencyCode = (consistency: Consistency): number =>
  cassandra.types.consistencies[consistency];
