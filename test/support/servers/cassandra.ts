/** Cassandra 4.1: one node. Both of its ports are ours to choose and JMX is off, so it stands beside others. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jars, java17, opens, temporaryFolder, writeLogback } from './java.ts';
import { accepts } from './ports.ts';
import type { Server } from './server.ts';

/** What Cassandra's own jvm11-server.options opens and exports; Java 17 refuses without. */
const exported = [
  'java.base/jdk.internal.misc',
  'java.base/jdk.internal.ref',
  'java.base/sun.nio.ch',
  'java.management.rmi/com.sun.jmx.remote.internal.rmi',
  'java.rmi/sun.rmi.registry',
  'java.rmi/sun.rmi.server',
  'java.sql/java.sql',
];
const opened = [
  'java.io',
  'java.lang',
  'java.lang.module',
  'java.net',
  'java.nio',
  'java.util',
  'java.util.concurrent',
  'java.util.concurrent.atomic',
  'jdk.internal.loader',
  'jdk.internal.math',
  'jdk.internal.module',
  'jdk.internal.ref',
  'jdk.internal.reflect',
  'jdk.internal.util.jar',
  'sun.nio.ch',
];

export const cassandra: Server = {
  name: 'cassandra',
  after: [],
  ports: ['clients', 'storage', 'secureStorage'],
  readyWithinMs: 180_000,

  async prepare({ directory, cache, ports }) {
    const [java, libraries] = await Promise.all([java17(), jars('cassandra', cache)]);
    const data = join(directory, 'data');
    await mkdir(data, { recursive: true });
    const configuration = join(directory, 'cassandra.yaml');
    await writeFile(
      configuration,
      `cluster_name: tidemark-tests
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 16MiB
data_file_directories: ["${data}/data"]
commitlog_directory: "${data}/commitlog"
saved_caches_directory: "${data}/saved_caches"
hints_directory: "${data}/hints"
cdc_raw_directory: "${data}/cdc_raw"
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{seeds: "127.0.0.1:${ports.storage}"}]
listen_address: 127.0.0.1
storage_port: ${ports.storage}
ssl_storage_port: ${ports.secureStorage}
rpc_address: 127.0.0.1
native_transport_port: ${ports.clients}
start_native_transport: true
endpoint_snitch: SimpleSnitch
disk_access_mode: mmap_index_only
authenticator: AllowAllAuthenticator
authorizer: AllowAllAuthorizer
disk_failure_policy: stop
commit_failure_policy: stop
auto_snapshot: false
`,
    );
    const logback = await writeLogback(directory);
    const jamm = (await readdir(libraries)).find((name) => name.startsWith('jamm'));
    return [
      java,
      ...exported.flatMap((name) => ['--add-exports', `${name}=ALL-UNNAMED`]),
      ...opens(...opened),
      '--add-opens',
      'jdk.management/com.sun.management.internal=ALL-UNNAMED',
      `-javaagent:${join(libraries, jamm ?? 'jamm.jar')}`,
      ...['-Xms1g', '-Xmx1g', '-Xss512k', '-Djdk.attach.allowAttachSelf=true'],
      await temporaryFolder(directory),
      `-Dcassandra.config=file://${configuration}`,
      `-Dlogback.configurationFile=${logback}`,
      `-Dcassandra.storagedir=${data}`,
      '-Dcassandra-foreground=yes',
      // Alone in its ring, it has nobody to wait for.
      ...['-Dcassandra.ring_delay_ms=100', '-Dcassandra.skip_wait_for_gossip_to_settle=0'],
      ...['-cp', `${libraries}/*`, 'org.apache.cassandra.service.CassandraDaemon'],
    ];
  },

  ready: ({ ports }) => accepts(ports.clients ?? 0),

  addresses: ({ ports }) => ({
    CASSANDRA_HOSTS: `127.0.0.1:${ports.clients}`,
    CASSANDRA_DC: 'datacenter1',
  }),
};
