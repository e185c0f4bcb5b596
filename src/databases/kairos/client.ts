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

/**
 * The driver's default, token-aware within the data centre. Of one node it does not ask which replicas have a key: the
 * driver's Murmur3 was a fifth of what writing points allocated.
 */
export function nodesByToken(): cassandra.policies.loadBalancing.LoadBalancingPolicy {
  const { DefaultLoadBalancingPolicy } = driver().policies.loadBalancing;
  return new (class extends DefaultLoadBalancingPolicy {
    #hosts: cassandra.HostMap | undefined;

    override init(client: cassandra.Client, hosts: cassandra.HostMap, done: EmptyCallback): void {
      this.#hosts = hosts;
      super.init(client, hosts, done);
    }

    override newQueryPlan(
      keyspace: string,
      options: cassandra.ExecutionOptions,
      done: QueryPlanCallback,
    ): void {
      // Without the request: of one, the driver takes the keyspace of its statement, and hashes its key.
      if (this.#hosts?.length === 1) super.newQueryPlan('', undefined as never, done);
      else super.newQueryPlan(keyspace, options, done);
    }
  })();
}

type EmptyCallback = (error: Error) => void;
type QueryPlanCallback = (error: Error, hosts: Iterator<cassandra.Host>) => void;

/** Not yet connected. Without `keyspace` it belongs to none. Throws FatalError SINK_MISCONFIGURED. */
export function createClient(
  config: CassandraConfig,
  clock: Clock,
  keyspace?: string,
): cassandra.Client {
  checkCassandraConfig(config);
  const client = new (driver().Client)({
    contactPoints: [...config.hosts],
    localDataCenter: config.datacenter,
    ...(keyspace === undefined ? {} : { keyspace }),
    ...(config.username === undefined || config.password === undefined
      ? {}
      : { credentials: { username: config.username, password: config.password.reveal() } }),
    // Plain objects would reorder tag names such as 10 and lose __proto__.
    encoding: { map: Map },
    policies: { timestampGeneration: millisecondStamps(clock), loadBalancing: nodesByToken() },
    socketOptions: { readTimeout: config.requestTimeoutMs ?? 12_000 },
    queryOptions: { prepare: true, isIdempotent: true },
  });
  findPreparedByText(client);
  return client;
}

/**
 * The driver looks for a prepared statement by its keyspace and its text in one: a new string each time, to be made and
 * hashed, 9 KB of a batch of 128. A client has one keyspace, so the text will do, whose hash stands with it.
 */
function findPreparedByText(client: cassandra.Client): void {
  const { metadata } = client as unknown as { metadata?: { _preparedQueries?: PreparedQueries } };
  const prepared = metadata?._preparedQueries;
  // Another release of the driver may keep them elsewhere, and is only slower.
  if (prepared?._getKey !== undefined) prepared._getKey = (_keyspace, query) => query;
}

interface PreparedQueries {
  _getKey?: (keyspace: string | undefined, query: string) => string;
}

export const consistencyCode = (consistency: Consistency): number =>
  driver().types.consistencies[consistency];
