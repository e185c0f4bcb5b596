/**
 * Who runs on a data directory. The claim is a record inside the log itself, taken under LMDB's own write lock,
 * which the kernel gives back when its holder is killed: two starters can't both win, and a claim whose process is
 * gone (same pid and same start time count as the same process) is taken over. Should that be wrong (containers that
 * don't see each other's processes), the one taken over is fenced at its next write. `engine.json` tells others.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FatalError } from '../../model/index.ts';
import { incarnationOf } from '../../runtime/index.ts';
import type { Storage } from './storage.ts';

/** The running engine of a directory, as `engine.json` tells it. */
export interface EngineOwner {
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  /** HTTP port, once announced. */
  readonly port?: number;
}

interface OwnerRecord extends EngineOwner {
  /** Boot and start time of the process; null where the system does not tell (no /proc). */
  readonly incarnation: string | null;
}

const fileOf = (directory: string) => join(directory, 'engine.json');

const isAlive = (owner: OwnerRecord): boolean => {
  const incarnation = incarnationOf(owner.pid);
  return incarnation !== undefined && incarnation === owner.incarnation;
};

/** The engine running on a directory, or undefined when none is (a stale file is not believed). */
export async function readOwner(directory: string): Promise<EngineOwner | undefined> {
  let owner: OwnerRecord;
  try {
    owner = JSON.parse(await readFile(fileOf(directory), 'utf8')) as OwnerRecord;
  } catch {
    return undefined;
  }
  if (!isAlive(owner)) return undefined;
  const { pid, startedAt, port } = owner;
  return { pid, startedAt, ...(port === undefined ? {} : { port }) };
}

/** A claimed directory. */
export interface Ownership {
  /** Writes the port into `engine.json`, for commands that look for the running engine. */
  announcePort(port: number): void;
  release(): void;
}

/**
 * Claims a directory for this process. Throws FatalError DIRECTORY_IN_USE when a live process (or this one, a
 * second time) holds it.
 */
export function claimDirectory(directory: string, storage: Storage, nowMs: number): Ownership {
  const owner: OwnerRecord = {
    pid: process.pid,
    startedAt: new Date(nowMs).toISOString(),
    incarnation: incarnationOf(process.pid) ?? null,
  };
  storage.claim((present) => {
    const holder = present && (JSON.parse(present.toString()) as OwnerRecord);
    if (holder && isAlive(holder)) throw inUse(directory, holder);
    return Buffer.from(JSON.stringify(owner));
  });
  writeOwner(directory, owner);
  return {
    announcePort: (port) => writeOwner(directory, { ...owner, port }),
    release: () => {
      if (storage.unclaim()) rmSync(fileOf(directory), { force: true });
    },
  };
}

/** Whole or not at all: readers never see half a file. */
function writeOwner(directory: string, owner: OwnerRecord): void {
  const temporary = `${fileOf(directory)}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(owner)}\n`);
  renameSync(temporary, fileOf(directory));
}

function inUse(directory: string, holder: OwnerRecord): FatalError {
  let port: number | undefined;
  try {
    const told = JSON.parse(readFileSync(fileOf(directory), 'utf8')) as OwnerRecord;
    if (told.pid === holder.pid) port = told.port;
  } catch {
    // Without the file the port is unknown; the claim itself is what counts.
  }
  const who =
    holder.pid === process.pid
      ? 'this process already'
      : `process ${holder.pid}${port === undefined ? '' : ` (http port ${port})`}`;
  const cure =
    holder.pid === process.pid
      ? 'Close the first broker before opening another, or give another directory.'
      : `Talk to that engine${port === undefined ? '' : ` at http://127.0.0.1:${port}`}, stop it (kill ${holder.pid}), or give another --data directory.`;
  return new FatalError(
    `The data directory ${directory} is in use by ${who}, since ${holder.startedAt}. ${cure}`,
    {
      code: 'DIRECTORY_IN_USE',
      context: { directory, pid: holder.pid, ...(port === undefined ? {} : { port }) },
    },
  );
}
