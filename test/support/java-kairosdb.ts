/**
 * A Java KairosDB 1.3 of a test's or bench's own, on a keyspace of its own or on H2: one that may be killed,
 * measured and thrown away, beside the shared one that `npm run servers` starts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jars, java17, opens, temporaryFolder, writeLogback } from './servers/java.ts';
import { answers, freePorts } from './servers/ports.ts';
import { serversHome } from './servers/state.ts';

export interface JavaKairosOptions {
  /** Its own folder, empty. */
  readonly directory: string;
  readonly store: 'h2' | { readonly hosts: readonly string[]; readonly keyspace: string };
  /** Its largest heap. Default 512, as the shared one has. */
  readonly heapMiB?: number;
  /** Further lines of its configuration, below `kairosdb`. */
  readonly configuration?: readonly string[];
}

export interface JavaKairos {
  readonly url: string;
  /** host:port */
  readonly telnet: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 120_000;

/** Resolves when it answers. What it prints goes to `log` in its folder. */
export async function startJavaKairos(options: JavaKairosOptions): Promise<JavaKairos> {
  const { directory, store, heapMiB = 512 } = options;
  const [java, libraries] = await Promise.all([java17(), jars('kairosdb', serversHome())]);
  const ports = await freePorts(['http', 'telnet']);
  // Started in its folder, it serves `webroot`, which must exist even when empty.
  await mkdir(join(directory, 'webroot'), { recursive: true });
  await writeLogback(directory);
  const file = join(directory, 'own.conf');
  const lines = [
    `jetty: { port: ${ports.http}, address: "127.0.0.1" }`,
    `telnetserver: { port: ${ports.telnet}, address: "127.0.0.1" }`,
    'service.reporter: "<disabled>"',
    'service.rollups: "org.kairosdb.rollup.RollUpModule"',
    'rollups.server_assignment.check_update_delay_millseconds: 10000',
    ...(store === 'h2' ? h2(directory) : cassandra(store)),
    `queue_processor.queue_path: "${join(directory, 'queue')}"`,
    `query_cache.cache_dir: "${join(directory, 'cache')}"`,
    ...(options.configuration ?? []),
  ];
  await writeFile(file, `kairosdb: {\n${lines.map((line) => `  ${line}\n`).join('')}}\n`);
  const log = join(directory, 'log');
  const output = openSync(log, 'a');
  const parameters = [
    ...opens('java.lang', 'java.util', 'java.net', 'sun.nio.ch'),
    ...[`-Xmx${heapMiB}m`, '-Duser.timezone=UTC', await temporaryFolder(directory)],
    ...['-cp', `${directory}:${libraries}/*`, 'org.kairosdb.core.Main', '-c', 'run', '-p', file],
  ];
  const child = spawn(java, parameters, { cwd: directory, stdio: ['ignore', output, output] });
  closeSync(output);
  const url = `http://127.0.0.1:${ports.http}`;
  const stop = () => end(child);
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await answers(`${url}/api/v1/version`))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(
        `the Java KairosDB did not start:\n${readFileSync(log, 'utf8').slice(-3_000)}`,
      );
    }
    await sleep(200);
  }
  return { url, telnet: `127.0.0.1:${ports.telnet}`, pid: child.pid as number, stop };
}

const h2 = (directory: string): string[] => [
  'service.datastore: "org.kairosdb.datastore.h2.H2Module"',
  `datastore.h2.database_path: "${join(directory, 'h2')}"`,
];

const cassandra = ({ hosts, keyspace }: { hosts: readonly string[]; keyspace: string }) => [
  'service.datastore: "org.kairosdb.datastore.cassandra.CassandraModule"',
  `datastore.cassandra.write_cluster.cql_host_list: [${hosts.map((host) => `"${host}"`).join(', ')}]`,
  `datastore.cassandra.write_cluster.keyspace: "${keyspace}"`,
];

/** SIGTERM, and after ten seconds SIGKILL. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exited;
  clearTimeout(late);
}
