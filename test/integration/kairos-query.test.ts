/** What a real KairosDB answered, ours answers on Cassandra, in a keyspace of its own. */
import cassandra from 'cassandra-driver';
import { describe } from 'vitest';
import { cassandraWideRows, setupKairos } from '../../src/databases/kairos/index.ts';
import { kairosQuerySuite } from '../golden/kairos-query/suite.ts';
import { needs } from '../support/require.ts';

const here = needs(['CASSANDRA_HOSTS', 'CASSANDRA_DC']);

describe.skipIf(!here)('queries on Cassandra', () => {
  kairosQuerySuite(async () => {
    const hosts = (process.env.CASSANDRA_HOSTS ?? '').split(',');
    const datacenter = process.env.CASSANDRA_DC ?? '';
    const keyspace = `tidemark_test_${Date.now().toString(36)}_query`;
    const config = { hosts, datacenter, keyspace };
    await setupKairos(config);
    const rows = cassandraWideRows({ config });
    return {
      rows,
      async close() {
        await rows.close();
        const client = new cassandra.Client({ contactPoints: hosts, localDataCenter: datacenter });
        await client.execute(`DROP KEYSPACE IF EXISTS "${keyspace}"`);
        await client.shutdown();
      },
    };
  });
});
