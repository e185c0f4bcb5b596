/** KairosDB 1.3, the Java original that our KairosDB rooms are compared with, on our Cassandra. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jars, java17, opens, temporaryFolder, writeLogback } from './java.ts';
import { answers } from './ports.ts';
import type { Server } from './server.ts';

export const kairosdb: Server = {
  name: 'kairosdb',
  after: ['cassandra'],
  ports: ['http', 'telnet'],
  readyWithinMs: 120_000,

  async prepare({ directory, cache, ports, neighbours }) {
    const [java, libraries] = await Promise.all([java17(), jars('kairosdb', cache)]);
    // Started in its folder, it serves `webroot`, which must exist even when empty.
    await mkdir(join(directory, 'webroot'), { recursive: true });
    await writeLogback(directory);
    const configuration = join(directory, 'tests.conf');
    const data = join(directory, 'data');
    await writeFile(
      configuration,
      `kairosdb: {
  jetty: { port: ${ports.http}, address: "127.0.0.1" }
  telnetserver: { port: ${ports.telnet}, address: "127.0.0.1" }
  service.reporter: "<disabled>"
  service.rollups: "org.kairosdb.rollup.RollUpModule"
  rollups.server_assignment.check_update_delay_millseconds: 10000
  service.datastore: "org.kairosdb.datastore.cassandra.CassandraModule"
  datastore.cassandra.write_cluster.cql_host_list: ["${neighbours.CASSANDRA_HOSTS}"]
  queue_processor.queue_path: "${data}/queue"
  query_cache.cache_dir: "${data}/cache"
}
`,
    );
    return [
      java,
      ...opens('java.lang', 'java.util', 'java.net', 'sun.nio.ch'),
      ...['-Xmx512m', '-Duser.timezone=UTC', await temporaryFolder(directory)],
      ...['-cp', `${directory}:${libraries}/*`, 'org.kairosdb.core.Main'],
      ...['-c', 'run', '-p', configuration],
    ];
  },

  ready: ({ ports }) => answers(`http://127.0.0.1:${ports.http}/api/v1/version`),

  addresses: ({ ports }) => ({
    KAIROSDB_URL: `http://127.0.0.1:${ports.http}`,
    KAIROSDB_TELNET: `127.0.0.1:${ports.telnet}`,
  }),
};
