/**
 * Real servers for tests, without Docker: Kafka, Cassandra, InfluxDB and KairosDB from the registries' own
 * packages, on free loopback ports, beside whatever else runs on the machine. Their data is thrown away at
 * `down`; downloads stay in the cache.
 *
 *   node test/support/servers.ts up [NAME…]      start, wait until ready
 *   node test/support/servers.ts down [NAME…]    stop, delete the data
 *   node test/support/servers.ts status          what runs, and where
 *   node test/support/servers.ts env [NAME…]     addresses as `export` lines:  eval "$(… env)"
 *
 * Needs JDK 17 and Maven; InfluxDB also an influxd 2.x (see servers/influxdb.ts).
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { cassandra } from './servers/cassandra.ts';
import { influxdb } from './servers/influxdb.ts';
import { kafka } from './servers/kafka.ts';
import { kairosdb } from './servers/kairosdb.ts';
import { freePorts } from './servers/ports.ts';
import { type Server, type ServerName, type Site, serverNames } from './servers/server.ts';
import { exclusively, isAlive, readState, remember, serversHome } from './servers/state.ts';

export { type ServerName, serverNames } from './servers/server.ts';

const servers: Readonly<Record<ServerName, Server>> = { kafka, cassandra, influxdb, kairosdb };

const folderOf = (name: ServerName) => join(serversHome(), 'run', name);
const logOf = (name: ServerName) => join(serversHome(), `${name}.log`);

/**
 * Starts what does not run yet, side by side, and resolves with all addresses as environment variables
 * once every one is ready. Rejects with an AggregateError when some did not start; the others stay up.
 */
export async function up(
  names: readonly ServerName[] = serverNames,
  say: (line: string) => void = () => {},
): Promise<Record<string, string>> {
  return exclusively(async () => {
    const starting = new Map<ServerName, Promise<Readonly<Record<string, string>>>>();
    const taken = new Set<number>();
    const start = (name: ServerName): Promise<Readonly<Record<string, string>>> => {
      const under = starting.get(name) ?? startOne(servers[name], start, taken, say);
      starting.set(name, under);
      return under;
    };
    const outcomes = await Promise.allSettled(names.map(start));
    const errors = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason] : [],
    );
    if (errors.length > 0) throw new AggregateError(errors, 'not every server started');
    return env(names);
  });
}

async function startOne(
  server: Server,
  start: (name: ServerName) => Promise<Readonly<Record<string, string>>>,
  taken: Set<number>,
  say: (line: string) => void,
): Promise<Readonly<Record<string, string>>> {
  const running = readState()[server.name];
  const neighbours = Object.assign({}, ...(await Promise.all(server.after.map(start))));
  if (running?.ready && isAlive(running) && isDeepStrictEqual(running.neighbours, neighbours)) {
    say(`${server.name}: already up`);
    return running.addresses;
  }
  await stopOne(server.name);

  const startedAt = performance.now();
  const directory = folderOf(server.name);
  await rm(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const ports = await freePorts(server.ports, taken);
  for (const port of Object.values(ports)) taken.add(port);
  const site: Site = { directory, cache: serversHome(), ports, neighbours, secret: randomUUID() };
  const [command, ...parameters] = await server.prepare(site);

  const log = openSync(logOf(server.name), 'w');
  // Its own process group and no variables but these: neither Ctrl-C here nor a KAIROSDB_… of the
  // caller reaches it.
  const child = spawn(command, parameters, {
    cwd: directory,
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, LANG: 'C.UTF-8' },
  });
  closeSync(log);
  let ended: string | undefined;
  child.on('error', (error) => {
    ended = error.message;
  });
  child.on('exit', (code, signal) => {
    ended = `it ended with ${signal ?? code}`;
  });
  child.unref();
  if (child.pid !== undefined) {
    const entry = { pid: child.pid, ports, neighbours, addresses: server.addresses(site) };
    remember(server.name, { ...entry, ready: false });
    for (let waitedMs = 0; waitedMs < server.readyWithinMs && ended === undefined; ) {
      if (await server.ready(site, readFileSync(logOf(server.name), 'utf8'))) {
        remember(server.name, { ...entry, ready: true });
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
        say(`${server.name}: ready after ${seconds} s on port ${Object.values(ports)[0]}`);
        return entry.addresses;
      }
      await sleep(250);
      waitedMs += 250;
    }
  }
  await stopOne(server.name);
  const tail = existsSync(logOf(server.name))
    ? readFileSync(logOf(server.name), 'utf8').trimEnd().split('\n').slice(-15).join('\n')
    : '';
  const why = ended ?? `not ready after ${server.readyWithinMs / 1000} s`;
  throw new Error(`${server.name}: ${why}; ${logOf(server.name)} ends:\n${tail}`);
}

/** Stops what runs (asked first, killed after 20 s), and what leans on it, and deletes their data. */
export async function down(
  names: readonly ServerName[] = serverNames,
  say: (line: string) => void = () => {},
): Promise<void> {
  await exclusively(async () => {
    // Those that lean on others go first.
    for (const name of [...serverNames].reverse()) {
      const ending =
        names.includes(name) || servers[name].after.some((under) => names.includes(under));
      if (ending && (await stopOne(name))) say(`${name}: down`);
    }
  });
}

async function stopOne(name: ServerName): Promise<boolean> {
  const running = readState()[name];
  if (running === undefined) return false;
  for (let waitedMs = 0; isAlive(running); waitedMs += 100) {
    if (waitedMs % 20_000 === 0) process.kill(running.pid, waitedMs === 0 ? 'SIGTERM' : 'SIGKILL');
    await sleep(100);
  }
  await rm(folderOf(name), { recursive: true, force: true });
  remember(name, undefined);
  return true;
}

/** What runs and where; `ports` by purpose. */
export function status(): readonly {
  readonly name: ServerName;
  readonly up: boolean;
  readonly ports: Readonly<Record<string, number>>;
}[] {
  const state = readState();
  return serverNames.map((name) => {
    const running = state[name];
    const isUp = running?.ready === true && isAlive(running);
    return { name, up: isUp, ports: isUp ? running.ports : {} };
  });
}

/** Addresses of those that are up, as environment variables. */
export function env(names: readonly ServerName[] = serverNames): Record<string, string> {
  const state = readState();
  const addresses: Record<string, string> = {};
  for (const name of names) {
    const running = state[name];
    if (running?.ready && isAlive(running)) Object.assign(addresses, running.addresses);
  }
  return addresses;
}

const usage = `usage: servers up|down|status|env [${serverNames.join('|')}…]`;

async function main(verb: string | undefined, words: readonly string[]): Promise<number> {
  const unknown = words.find((word) => !serverNames.includes(word as ServerName));
  const names = words.length > 0 ? (words as readonly ServerName[]) : serverNames;
  const say = (line: string) => process.stderr.write(`${line}\n`);
  if (unknown !== undefined) {
    say(`servers: unknown name ${unknown}\n${usage}`);
    return 2;
  }
  switch (verb) {
    case 'up':
      try {
        await up(names, say);
        return 0;
      } catch (error) {
        const all = error instanceof AggregateError ? error.errors : [error];
        for (const each of all) say(each instanceof Error ? each.message : String(each));
        return 1;
      }
    case 'down':
      await down(names, say);
      return 0;
    case 'status':
      for (const server of status()) {
        const ports = Object.entries(server.ports).map(([what, port]) => `${what} ${port}`);
        process.stdout.write(`${server.name}: ${server.up ? `up, ${ports.join(', ')}` : 'down'}\n`);
      }
      return 0;
    case 'env':
      for (const [name, value] of Object.entries(env(names))) {
        process.stdout.write(`export ${name}=${value}\n`);
      }
      return 0;
    default:
      say(usage);
      return 2;
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  process.exitCode = await main(process.argv[2], process.argv.slice(3));
}
