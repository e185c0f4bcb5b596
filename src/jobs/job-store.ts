/**
 * Jobs on disk: what was asked, and every unit in exactly one of three tables. Moving a unit is one commit, so
 * whoever opens the directory after a crash sees each unit as to do, done or failed and none twice.
 *
 *   [job, id] → JobRecord      [todo | done | failed, id, number] → UnitRecord      [owner] → who works here
 *
 * Everything is JSON: a job outlives the version that began it, and a person can read it with LMDB's own tools.
 */
import { open, type RootDatabase } from 'lmdb';
import { FatalError, messageOf } from '../model/index.ts';
import { incarnationOf, makeDirectory } from '../runtime/index.ts';
import type { JobFailure, JobState, Json, PlannedUnit, UnitOutcome } from './contract.ts';

export interface JobRecord {
  readonly id: string;
  readonly kind: string;
  readonly input: Json;
  readonly state: JobState;
  /** All its units are on disk. */
  readonly planned: boolean;
  readonly concurrency: number;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly units: { readonly total: number; readonly done: number; readonly failed: number };
  /** Sums over units: planned sizes, and what was done. */
  readonly size: number;
  readonly done: number;
}

export interface UnitRecord extends PlannedUnit {
  readonly number: number;
  readonly kept?: Json;
  readonly outcome?: UnitOutcome;
  readonly failure?: JobFailure;
}

export type UnitTable = 'todo' | 'done' | 'failed';

type Key = ['owner'] | ['job', string] | [UnitTable, string, number];

interface Owner {
  readonly pid: number;
  readonly since: string;
  readonly incarnation: string | null;
}

/** Units put in one transaction, which holds the event loop for some 2 ms. */
const PUT_UNITS = 250;
const OWNER: Key = ['owner'];

export class JobStore {
  readonly directory: string;
  readonly #db: RootDatabase<unknown, Key>;

  private constructor(directory: string, db: RootDatabase<unknown, Key>) {
    this.directory = directory;
    this.#db = db;
  }

  /**
   * Opens or makes the directory and claims it for this process.
   * @throws FatalError JOBS_IN_USE while another process (or this one) works on it; DIRECTORY_UNUSABLE.
   */
  static open(directory: string, nowMs: number): JobStore {
    let db: RootDatabase<unknown, Key>;
    try {
      makeDirectory(directory);
      // A commit then resolves once it is on the disk, not before.
      db = open<unknown, Key>({
        path: directory,
        noSubdir: false,
        encoding: 'json',
        overlappingSync: false,
      });
    } catch (error) {
      throw new FatalError(
        `the jobs in ${directory} can't be opened: ${messageOf(error)}. Give a directory that this user may write, on a local disk.`,
        { code: 'DIRECTORY_UNUSABLE', cause: error, context: { directory } },
      );
    }
    try {
      db.transactionSync(() => {
        const holder = db.get(OWNER) as Owner | undefined;
        if (holder !== undefined && isAlive(holder)) throw inUse(directory, holder);
        const owner: Owner = {
          pid: process.pid,
          since: new Date(nowMs).toISOString(),
          incarnation: incarnationOf(process.pid) ?? null,
        };
        db.putSync(OWNER, owner);
      });
    } catch (error) {
      void db.close();
      throw error;
    }
    return new JobStore(directory, db);
  }

  jobs(): readonly JobRecord[] {
    const range = { start: ['job', ''] as Key, end: ['job', '\uffff'] as Key };
    return [...this.#db.getRange(range)].map(({ value }) => value as JobRecord);
  }

  job(id: string): JobRecord | undefined {
    return this.#db.get(['job', id]) as JobRecord | undefined;
  }

  /** Durable when it resolves, as everything below. */
  async putJob(job: JobRecord): Promise<void> {
    await this.#db.put(['job', job.id], job);
  }

  async addUnits(id: string, units: readonly UnitRecord[]): Promise<void> {
    for (let from = 0; from < units.length; from += PUT_UNITS) {
      await this.#db.transaction(() => {
        for (const unit of units.slice(from, from + PUT_UNITS)) {
          void this.#db.put(['todo', id, unit.number], unit);
        }
      });
    }
  }

  async keep(id: string, unit: UnitRecord): Promise<void> {
    await this.#db.put(['todo', id, unit.number], unit);
  }

  /** A unit leaves the queue and the job's sums say so, in one commit. */
  async settle(job: JobRecord, unit: UnitRecord): Promise<void> {
    const into = unit.failure === undefined ? 'done' : 'failed';
    await this.#db.transaction(() => {
      void this.#db.remove(['todo', job.id, unit.number]);
      void this.#db.put([into, job.id, unit.number], unit);
      void this.#db.put(['job', job.id], job);
    });
  }

  /** All failed units go back into the queue. */
  async requeueFailed(job: JobRecord): Promise<void> {
    const failed = [...this.units(job.id, 'failed')];
    await this.#db.transaction(() => {
      for (const { failure: _, ...unit } of failed) {
        void this.#db.remove(['failed', job.id, unit.number]);
        void this.#db.put(['todo', job.id, unit.number], unit);
      }
      void this.#db.put(['job', job.id], job);
    });
  }

  /** In the order of the plan, from `after` on, exclusive. */
  *units(id: string, table: UnitTable, after = -1): Generator<UnitRecord> {
    const range = {
      start: [table, id, after + 1] as Key,
      end: [table, id, Number.MAX_SAFE_INTEGER] as Key,
    };
    for (const { value } of this.#db.getRange(range)) yield value as UnitRecord;
  }

  next(id: string, after: number): UnitRecord | undefined {
    for (const unit of this.units(id, 'todo', after)) return unit;
    return undefined;
  }

  async forgetUnits(id: string): Promise<void> {
    for (const table of ['todo', 'done', 'failed'] as const) {
      for (;;) {
        const range = {
          start: [table, id, -1] as Key,
          end: [table, id, Number.MAX_SAFE_INTEGER] as Key,
          limit: PUT_UNITS,
        };
        const keys = [...this.#db.getKeys(range)];
        if (keys.length === 0) break;
        await this.#db.transaction(() => {
          for (const key of keys) void this.#db.remove(key);
        });
      }
    }
  }

  async forget(id: string): Promise<void> {
    await this.forgetUnits(id);
    await this.#db.remove(['job', id]);
  }

  async close(): Promise<void> {
    await this.#db.remove(OWNER);
    await this.#db.close();
  }
}

const isAlive = (owner: Owner): boolean => {
  const incarnation = incarnationOf(owner.pid);
  return incarnation !== undefined && incarnation === owner.incarnation;
};

function inUse(directory: string, { pid, since }: Owner): FatalError {
  const who = pid === process.pid ? 'this process already' : `process ${pid}`;
  return new FatalError(
    `the jobs in ${directory} are worked on by ${who}, since ${since}. Wait for it, stop it (kill ${pid}), or give another directory.`,
    { code: 'JOBS_IN_USE', context: { directory, pid } },
  );
}
