/** An InfluxDB 1.x of a test's own, which may be killed and started again on its data. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { influxd1 } from './servers/influxdb1.ts';
import { freePorts } from './servers/ports.ts';
import { serversHome } from './servers/state.ts';

export class OldInflux {
  readonly url: string;
  readonly #program: string;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(program: string, folder: string, port: number) {
    this.#program = program;
    this.#folder = folder;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** `storesSoon`: what it took moves from its write-ahead log to its files after a second without writes, not ten minutes. */
  static async start({ auth = false, storesSoon = false } = {}): Promise<OldInflux> {
    const program = await influxd1(serversHome());
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-influx1-'));
    const ports = await freePorts(['http', 'rpc'], new Set());
    await writeFile(
      join(folder, 'influxdb.conf'),
      `reporting-disabled = true
bind-address = "127.0.0.1:${ports.rpc}"
[meta]
  dir = "${folder}/meta"
[data]
  dir = "${folder}/data"
  wal-dir = "${folder}/wal"
  query-log-enabled = false
  cache-snapshot-write-cold-duration = "${storesSoon ? '1s' : '10m'}"
[http]
  bind-address = "127.0.0.1:${ports.http}"
  auth-enabled = ${auth}
  log-enabled = false
[monitor]
  store-enabled = false
`,
    );
    const server = new OldInflux(program, folder, ports.http as number);
    await server.restart();
    return server;
  }

  get pid(): number {
    return this.#child?.pid as number;
  }

  /** Memory of the process, bytes. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1_024;
  }

  /** Resolves once its write-ahead log is empty: started again, it then has nothing to read from there. */
  async stored(): Promise<void> {
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 200) {
      const entries = await readdir(join(this.#folder, 'wal'), {
        recursive: true,
        withFileTypes: true,
      });
      const files = entries.filter((entry) => entry.isFile());
      const sizes = await Promise.all(
        files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
      );
      if (sizes.every((size) => size === 0)) return;
      await sleep(200);
    }
    throw new Error('influxd 1.x still has its write-ahead log');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    this.#child = undefined;
  }

  async restart(): Promise<void> {
    await this.kill();
    this.#child = spawn(this.#program, ['run', '-config', join(this.#folder, 'influxdb.conf')], {
      stdio: 'ignore',
    });
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 100) {
      const up = await fetch(`${this.url}/ping`).catch(() => undefined);
      if (up?.status === 204) return;
      await sleep(100);
    }
    throw new Error('influxd 1.x did not start');
  }

  async query(text: string, database = '', login = ''): Promise<string> {
    const options = new URLSearchParams({ db: database, epoch: 'ns', q: text });
    const headers: Record<string, string> = login
      ? { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
      : {};
    const reply = await fetch(`${this.url}/query?${options}`, { method: 'POST', headers });
    return reply.text();
  }

  async write(database: string, lines: readonly string[], login = ''): Promise<void> {
    const headers: Record<string, string> = login
      ? { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
      : {};
    for (let at = 0; at < lines.length; at += 10_000) {
      const reply = await fetch(`${this.url}/write?db=${database}`, {
        method: 'POST',
        headers,
        body: lines.slice(at, at + 10_000).join('\n'),
      });
      if (reply.status !== 204) throw new Error(`write: ${reply.status} ${await reply.text()}`);
    }
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
