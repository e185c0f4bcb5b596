/**
 * Ends a durable job's process ten times with kill -9, wherever it stands. Kills are tied to the job's own progress
 * and not to a clock, so that a quick machine kills a working job as often as a slow one does.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { expect } from 'vitest';
import { seededRandom } from '../../src/collect/index.ts';
import { systemClock } from '../../src/runtime/index.ts';

export const KILLS = 10;
/** Every fifth life ends while it starts, or soon after. */
const START_MS_MIN = 100;
const START_MS_MAX = 900;
/** From the goal to the kill, so that it falls anywhere in a unit. */
const AFTERWARDS_MS_MAX = 10;
const LOOK_MS = 1;
/** The last fifth of the job is nobody's goal: who looks late, on a busy machine, finds a life that is still at work. */
const SHARE = 0.8;

export interface Killable {
  readonly isAlive: boolean;
  kill(): Promise<void>;
}

interface KilledJob {
  /** Begins the job, or goes on with it. */
  readonly begin: () => Promise<Killable> | Killable;
  /** Of the whole job, 0 to 1; undefined while nobody knows. */
  readonly progress: () => Promise<number | undefined> | number | undefined;
  /** Progress outlives the process: each life then ends within a part of its own. */
  readonly isKept: boolean;
  /** Instead, of a job of few units: how far each life gets. */
  readonly goals?: readonly number[];
  readonly seed: number;
  /** What the target holds, after each life. */
  readonly held: () => Promise<number>;
}

/** Resolves with what the target held after each of ten lives, all of which were killed while they worked. */
export async function killTenTimes(job: KilledJob): Promise<readonly number[]> {
  const random = seededRandom(job.seed);
  const held: number[] = [];
  for (let life = 0; life < KILLS; life++) {
    const since = job.isKept ? (SHARE * life) / KILLS : 0;
    const step = (SHARE * (random() % 1_000)) / 1_000;
    const goal = job.goals?.[life] ?? since + (job.isKept ? step / KILLS : step);
    const startMs = START_MS_MIN + (random() % (START_MS_MAX - START_MS_MIN));
    const afterwardsMs = random() % AFTERWARDS_MS_MAX;
    const process = await job.begin();
    const began = performance.now();
    const isTime = () => life % 5 === 4 && performance.now() - began >= startMs;
    while (process.isAlive && !isTime() && ((await job.progress()) ?? -1) < goal) {
      await systemClock.sleep(LOOK_MS);
    }
    await systemClock.sleep(afterwardsMs);
    expect(process.isAlive, `life ${life} ended before it was killed`).toBe(true);
    await process.kill();
    held.push(await job.held());
  }
  return held;
}

/** Some life ended with the work half done: else the kills would have shown nothing. */
export const halfDone = (held: readonly number[], all: number): readonly number[] =>
  held.filter((count) => count > 0 && count < all);

/** LMDB's two first pages come in one write; opening the file before that ends the process with SIGSEGV. */
const HEAD_BYTES = 8_192;

const isMade = (file: string): boolean =>
  (statSync(file, { throwIfNoEntry: false })?.size ?? 0) >= HEAD_BYTES;

/** The share of units done of the only job of a directory, read beside the process that works on it. */
export class UnitsDone {
  readonly #directory: string;
  #db: RootDatabase | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  read(): number | undefined {
    if (this.#db === undefined) {
      if (!isMade(join(this.#directory, 'data.mdb'))) return undefined;
      try {
        this.#db = open({
          path: this.#directory,
          noSubdir: false,
          encoding: 'json',
          readOnly: true,
        });
      } catch {
        // It is being made right now.
        return undefined;
      }
    }
    const range = { start: ['job', ''], end: ['job', '\uffff'] };
    for (const { value } of this.#db.getRange(range)) {
      const { planned, units } = value as {
        planned: boolean;
        units: { total: number; done: number };
      };
      return planned ? units.done / units.total : undefined;
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.#db?.close();
  }
}
