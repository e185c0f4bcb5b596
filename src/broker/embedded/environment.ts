/**
 * Copies of LMDB environments: taken while their owner writes, proved by hash. LMDB lets a reader of another process
 * see one transaction's state for as long as it likes, so a copy is a consistent cut of its environment, however long
 * it takes.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open as openFile, readdir, rename, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { FatalError, messageOf } from '../../model/index.ts';

/** What a copy holds, so that whoever restores it can tell that it is whole. */
export interface EnvironmentProof {
  /** SHA-256 of the data file, hex: tells a damaged file before LMDB trusts its pages. */
  readonly fileHash: string;
  /** SHA-256 over every table's name, keys and values in order, hex: what is in it, however the file lies. */
  readonly contentHash: string;
  readonly entries: number;
  readonly bytes: number;
}

const DATA_FILE = 'data.mdb';
const CLAIMS = 'claims';
const TABLE_RECORD_BYTES = 48;
/** Entries hashed before others get their turn. */
const HASHED_IN_A_TURN = 2_000;
const binary = { keyEncoding: 'binary', encoding: 'binary' } as const;

/** Every environment below a directory, as relative paths; the log first, then by name. Symbolic links and names that begin with a dot are left out. */
export async function environmentsBelow(directory: string): Promise<readonly string[]> {
  const found: string[] = [];
  const look = async (folder: string): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true });
    if (entries.some((entry) => entry.isFile() && entry.name === DATA_FILE))
      found.push(relative(directory, folder) || '.');
    for (const entry of entries)
      if (entry.isDirectory() && !entry.name.startsWith('.')) await look(join(folder, entry.name));
  };
  try {
    await look(directory);
  } catch (error) {
    throw new FatalError(
      `The data directory ${directory} can't be read: ${messageOf(error)}. Give the directory that an engine runs or ran on.`,
      { code: 'DIRECTORY_UNUSABLE', cause: error, context: { directory } },
    );
  }
  return found.sort((a, b) => Number(b === 'log') - Number(a === 'log') || (a < b ? -1 : 1));
}

/**
 * Copies an environment into the folder `to`, which must not exist: whole and on the disk when it resolves, or not
 * there at all. The copy has no owner, whoever runs on the original.
 */
export async function copyEnvironment(from: string, to: string): Promise<EnvironmentProof> {
  const beside = `${to}.partial`;
  await rm(beside, { recursive: true, force: true });
  await mkdir(beside, { recursive: true });
  const source = openEnvironment(from, true);
  try {
    await source.backup(beside, true);
  } finally {
    await source.close();
  }
  await disown(beside);
  const proof = await proveEnvironment(beside);
  await flushToDisk(join(beside, DATA_FILE));
  await rename(beside, to);
  await flushToDisk(join(to, '..'));
  return proof;
}

/** Reads all of it. Rejects with FatalError BACKUP_DAMAGED when LMDB can't. */
export async function proveEnvironment(path: string): Promise<EnvironmentProof> {
  const fileHash = await hashOfFile(join(path, DATA_FILE));
  return { fileHash, ...(await contentOf(path)) };
}

async function contentOf(path: string): Promise<Omit<EnvironmentProof, 'fileHash'>> {
  const content = createHash('sha256');
  const length = Buffer.alloc(4);
  const take = (bytes: Buffer) => {
    length.writeUInt32BE(bytes.length);
    content.update(length).update(bytes);
  };
  let entries = 0;
  let bytes = 0;
  const root = openEnvironment(path, true);
  try {
    const hash = async (table: Pick<RootDatabase<Buffer, Buffer>, 'getRange'>) => {
      for (const { key, value } of table.getRange()) {
        take(key as Buffer);
        take(value);
        bytes += (key as Buffer).length + value.length;
        if (++entries % HASHED_IN_A_TURN === 0) await new Promise((done) => setImmediate(done));
      }
    };
    const names = tablesOf(root);
    for (const name of names) {
      take(Buffer.from(name));
      await hash(root.openDB<Buffer, Buffer>({ name, ...binary }));
    }
    // An environment of one table keeps its entries in the root, where others keep their tables' names.
    if (names.length === 0) await hash(root);
  } catch (error) {
    throw new FatalError(
      `The environment in ${path} can't be read: ${messageOf(error)}. It is damaged; use another backup.`,
      { code: 'BACKUP_DAMAGED', cause: error, context: { path } },
    );
  } finally {
    await root.close();
  }
  return { contentHash: content.digest('hex'), entries, bytes };
}

/**
 * Names of the tables in an environment; none when its root keeps plain entries. LMDB keeps a table under its name
 * (lmdb-js ends it with a zero byte) as a record of 48 bytes, whose page numbers differ from copy to copy.
 */
function tablesOf(root: RootDatabase<Buffer, Buffer>): readonly string[] {
  const names: string[] = [];
  for (const { key, value } of root.getRange()) {
    const name = key as Buffer;
    if (value.length !== TABLE_RECORD_BYTES || name.at(-1) !== 0) return [];
    names.push(name.toString('utf8', 0, name.length - 1));
  }
  return names;
}

/** The log of a running engine carries its owner's claim; a copy of it belongs to nobody. */
async function disown(path: string): Promise<void> {
  const root = openEnvironment(path, false);
  try {
    if (!tablesOf(root).includes(CLAIMS)) return;
    const claims = root.openDB<Buffer, Buffer>({ name: CLAIMS, ...binary, useVersions: true });
    for (const { key, version } of claims.getRange({ versions: true }))
      await claims.put(key as Buffer, Buffer.alloc(0), (version ?? 0) + 1);
  } finally {
    await root.close();
    await rm(join(path, 'lock.mdb'), { force: true });
  }
}

function openEnvironment(path: string, readOnly: boolean): RootDatabase<Buffer, Buffer> {
  try {
    return open<Buffer, Buffer>({ path, ...binary, noSubdir: false, readOnly, maxDbs: 64 });
  } catch (error) {
    throw new FatalError(`The environment in ${path} can't be opened: ${messageOf(error)}.`, {
      code: 'DIRECTORY_UNUSABLE',
      cause: error,
      context: { path },
    });
  }
}

/** SHA-256, hex. */
export async function hashOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2 }))
    hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function flushToDisk(path: string): Promise<void> {
  const file = await openFile(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
