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

/** Statements as they stand, in one keyspace. */
export async function cqlOf({ hosts, datacenter, keyspace }: KeyspaceAddress) {
  const client = new Client({ contactPoints: [...hosts], localDataCenter: datacenter, keyspace });
  await client.connect();
  return {
    run: async (query: string, parameters: readonly unknown[] = []) =>
      (await client.execute(query, [...parameters], { prepare: true })).rows,
    close: () => client.shutdown(),
  };
}
