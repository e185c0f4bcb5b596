/**
 * The one door to LMDB: its tables, one atomic and synced write at a time, and its failures in our words.
 * `overlappingSync` stays off: then a batch's promise means that LMDB's fsync has returned, not only that
 * other readers see it.
 */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import {
  FatalError,
  FencedError,
  messageOf,
  RetriableError,
  type TidemarkError,
} from '../../model/index.ts';
import { makeDirectory, mapBytes } from '../../runtime/index.ts';

export type Table = Database<Buffer, Buffer>;

/** A write that fails with EIO while less than this is free failed because the disk is full. */
const NEARLY_FULL_BYTES = 64 * 1024 ** 2;

const tableNames = [
  'meta',
  'topics',
  'heads',
  'log',
  'times',
  'groups',
  'ledgers',
  'changelogs',
  'state',
  'redo',
  'trash',
] as const;

const CLAIM = Buffer.from('claim');

export type Tables = { readonly [name in (typeof tableNames)[number]]: Table };

/** One put, or a removal when the value is null. */
export interface Write {
  readonly table: Table;
  readonly key: Buffer;
  readonly value: Buffer | null;
}

export class Storage {
  readonly tables: Tables;
  readonly path: string;
  readonly #root: RootDatabase<Buffer, Buffer>;
  /** One entry, whose version counts up with every change of owner. */
  readonly #claims: Table;
  #claim: number | undefined;

  private constructor(
    path: string,
    root: RootDatabase<Buffer, Buffer>,
    tables: Tables,
    claims: Table,
  ) {
    this.path = path;
    this.#root = root;
    this.tables = tables;
    this.#claims = claims;
  }

  /** Opens or makes `<directory>/log`. Rejects with FatalError DIRECTORY_UNUSABLE when that can't be. */
  static async open(directory: string): Promise<Storage> {
    const path = join(directory, 'log');
    try {
      makeDirectory(path);
      const binary = { keyEncoding: 'binary', encoding: 'binary' } as const;
      const root = open<Buffer, Buffer>({
        path,
        ...binary,
        noSubdir: false,
        maxDbs: tableNames.length + 2,
        mapSize: mapBytes,
        overlappingSync: false,
        eventTurnBatching: false,
      });
      const tables = Object.fromEntries(
        tableNames.map((name) => [name, root.openDB<Buffer, Buffer>({ name, ...binary })]),
      ) as unknown as Tables;
      const claims = root.openDB<Buffer, Buffer>({ name: 'claims', ...binary, useVersions: true });
      return new Storage(path, root, tables, claims);
    } catch (error) {
      throw new FatalError(
        `The log in ${path} can't be opened: ${messageOf(error)}. Give a directory that this user may write, on a local disk.`,
        { code: 'DIRECTORY_UNUSABLE', cause: error, context: { path } },
      );
    }
  }

  /** Runs `action` holding LMDB's write lock, which other processes wait for and a killed one gives back. */
  exclusively<T>(action: () => T): T {
    return this.#root.transactionSync(action);
  }

  /**
   * Replaces the directory's claim by what `decide` makes of the present one (it throws to leave it). From then on
   * writes happen only while this claim stands: LMDB checks its version inside each transaction.
   */
  claim(decide: (present: Buffer | undefined) => Buffer): void {
    this.exclusively(() => {
      const present = this.#claims.getEntry(CLAIM);
      const version = (present?.version ?? 0) + 1;
      const value = decide(present?.value.length ? present.value : undefined);
      this.#claims.putSync(CLAIM, value, version);
      this.#claim = version;
    });
  }

  /** Gives the claim up; false when somebody else has it by now. */
  unclaim(): boolean {
    return this.exclusively(() => {
      const claim = this.#claim;
      if (claim === undefined || this.#claims.getEntry(CLAIM)?.version !== claim) return false;
      // Not removed: a version is never given twice.
      this.#claims.putSync(CLAIM, Buffer.alloc(0), claim + 1);
      return true;
    });
  }

  /**
   * All or none, on disk when it resolves. Rejects with RetriableError LOG_FULL or LOG_WRITE_FAILED, or with
   * FencedError when another process claimed the directory.
   */
  async write(writes: readonly Write[]): Promise<void> {
    const putAll = () => {
      for (const { table, key, value } of writes) {
        if (value === null) void table.remove(key);
        else void table.put(key, value);
      }
    };
    let owned: boolean;
    try {
      owned =
        this.#claim === undefined
          ? await this.#root.batch(putAll)
          : await this.#claims.ifVersion(CLAIM, this.#claim, putAll);
    } catch (error) {
      throw this.#translate(await causeOf(error));
    }
    if (!owned)
      throw new FencedError(
        `Another process took over ${this.path}, so this one no longer writes there: stop it, and find out why two were started.`,
        { context: { path: this.path } },
      );
  }

  /** Bytes of pages in use, without what LMDB keeps free for reuse. O(1). */
  usedBytes(): number {
    let pages = 0;
    let pageSize = 4096;
    for (const name of tableNames) {
      const stats = this.tables[name].getStats() as PageStats;
      pageSize = stats.pageSize;
      pages += stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
    }
    return pages * pageSize;
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  #translate(cause: Error & { code?: number | string }): TidemarkError {
    const context = { path: this.path };
    const full =
      /MDB_MAP_FULL|ENOSPC|EDQUOT|EFBIG|No space left|quota/i.test(cause.message) ||
      (/Input\/output error|EIO/.test(cause.message) && this.#freeBytes() < NEARLY_FULL_BYTES);
    if (full)
      return new RetriableError(
        `The disk of ${this.path} is full: nothing of this write happened. Free some space or lower retention; writing goes on by itself.`,
        { code: 'LOG_FULL', cause, context },
      );
    if (/MDB_CORRUPTED|MDB_PANIC|MDB_PAGE_NOTFOUND|MDB_INVALID/.test(cause.message))
      return new FatalError(
        `The log in ${this.path} is damaged (${cause.message}): restore a backup of the data directory, or start with an empty one.`,
        { code: 'LOG_CORRUPT', cause, context },
      );
    return new RetriableError(
      `Writing the log in ${this.path} failed (${cause.message}): nothing of this write happened. Look at the disk and its file size limits; writing goes on by itself.`,
      { code: 'LOG_WRITE_FAILED', cause, context },
    );
  }

  #freeBytes(): number {
    try {
      const { bavail, bsize } = statfsSync(this.path);
      return bavail * bsize;
    } catch {
      return Number.POSITIVE_INFINITY;
    }
  }
}

/** `getStats` is typed as an empty object. */
interface PageStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** lmdb-js rejects with "Commit failed"; the reason comes as a second, also rejecting promise. */
async function causeOf(error: unknown): Promise<Error> {
  const reason = (error as { commitError?: Promise<never> }).commitError;
  if (reason)
    try {
      await reason;
    } catch (cause) {
      if (cause instanceof Error) return cause;
    }
  return error instanceof Error ? error : new Error(String(error));
}
