/** Plain CQL on the real Cassandra, beside the code under test. */
import { Client } from 'cassandra-driver';

export interface KeyspaceAddress {
  readonly hosts: readonly string[];
  readonly datacenter: string;
  readonly keyspace: string;
}

export async function dropKeyspace({
  hosts,
  datacenter,
  keyspace,
}: KeyspaceAddress): Promise<void> {
  const client = new Client({
    contactPoints: [...hosts],
    localDataCenter: datacenter,
    socketOptions: { readTimeout: 60_000 },
  });
  try {
    await client.execute(`DROP KEYSPACE IF EXISTS "${keyspace}"`);
  } finally {
    await client.shutdown();
  }
}
