/**
 * What runs, remembered in `state.json` of the servers' home folder, so that `down`, `status` and `env` of
 * a later process find it. One `up` or `down` at a time: they take turns by a lock file.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerName } from './server.ts';

/** TIDEMARK_SERVERS_HOME, or `~/.cache/tidemark-servers`. */
export function serversHome(): string {
  return process.env.TIDEMARK_SERVERS_HOME ?? join(homedir(), '.cache', 'tidemark-servers');
}

export interface RunningServer {
  readonly pid: number;
  readonly ports: Readonly<Record<string, number>>;
  readonly addresses: Readonly<Record<string, string>>;
  /** Addresses of those it was started on: when they changed, it must start anew. */
  readonly neighbours: Readonly<Record<string, string>>;
  /** False from spawn until clients can work. */
  readonly ready: boolean;
}

export type State = Partial<Record<ServerName, RunningServer>>;

const statePath = () => join(serversHome(), 'state.json');

export function readState(): State {
  if (!existsSync(statePath())) return {};
  return JSON.parse(readFileSync(statePath(), 'utf8')) as State;
}

/** Sets or, with undefined, forgets one server. */
export function remember(name: ServerName, server: RunningServer | undefined): void {
  const { [name]: _, ...others } = readState();
  const state = server === undefined ? others : { ...others, [name]: server };
  mkdirSync(serversHome(), { recursive: true });
  const partial = `${statePath()}.partial`;
  // It holds the token of the test InfluxDB: for the owner's eyes.
  writeFileSync(partial, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(partial, statePath());
}

/**
 * Whether the process is alive and still ours: after a reboot its number may be somebody else's. Every
 * server's command line names its folder, which only Linux lets us read without another program.
 */
export function isAlive(server: RunningServer): boolean {
  try {
    process.kill(server.pid, 0);
  } catch {
    return false;
  }
  if (!existsSync('/proc/self/cmdline')) return true;
  try {
    return readFileSync(`/proc/${server.pid}/cmdline`, 'utf8').includes(serversHome());
  } catch {
    return false;
  }
}

/** Runs `work` while no other process does the like; waits at most ten minutes for its turn. */
export async function exclusively<T>(work: () => Promise<T>): Promise<T> {
  mkdirSync(serversHome(), { recursive: true });
  const path = join(serversHome(), 'lock');
  for (let waitedMs = 0; !takeLock(path); waitedMs += 250) {
    if (waitedMs >= 600_000) throw new Error(`${path} is held for ten minutes; remove it if stale`);
    await sleep(250);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function takeLock(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  try {
    process.kill(Number(readFileSync(path, 'utf8')), 0);
  } catch (error) {
    // Its holder died without letting go.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') rmSync(path, { force: true });
  }
  return false;
}
