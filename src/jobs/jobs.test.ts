import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FatalError, PoisonError, RetriableError } from '../model/index.ts';
import { silentLogger, systemClock } from '../runtime/index.ts';
import {
  type JobKind,
  type JobPolicy,
  Jobs,
  type JobView,
  reportText,
  type UnitContext,
} from './index.ts';

let folder: string;
let open: Jobs[] = [];
/** Every attempt, by unit, over all processes. */
let attempts: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-jobs-'));
  open = [];
  attempts = [];
});

afterEach(async () => {
  for (const jobs of open) await jobs.close();
  await rm(folder, { recursive: true, force: true });
});

type Work = (unit: string, context: UnitContext) => Promise<void>;

/** `n` units of ten rows each. */
const counting = (work: Work = async () => {}): JobKind<{ n: number }> => ({
  name: 'count',
  noun: 'rows',
  title: ({ n }) => `to ${n}`,
  async *plan({ n }) {
    for (let i = 0; i < n; i++) yield { name: `u${i}`, work: i, size: 10 };
  },
  async run({ name }, _, context) {
    attempts.push(name);
    await work(name, context);
    return { done: 10, notes: name === 'u1' ? ['u1 is odd'] : [], result: { name } };
  },
  summary: (outcomes) => [`${[...outcomes].length} counted`],
});

function openJobs(kind: JobKind<{ n: number }>, policy: Partial<JobPolicy> = {}): Jobs {
  const jobs = Jobs.open({
    directory: join(folder, 'jobs'),
    kinds: [kind],
    clock: systemClock,
    logger: silentLogger,
    policy: { backoffBaseMs: 1, backoffCapMs: 2, ...policy },
  });
  open.push(jobs);
  return jobs;
}

const never = (context: UnitContext) =>
  new Promise<void>((_, reject) =>
    context.signal.addEventListener('abort', () => reject(context.signal.reason), { once: true }),
  );

const until = async (holds: () => boolean) => {
  while (!holds()) await systemClock.sleep(2);
};

describe('a job', () => {
  it('does every unit once, in order, and reports', async () => {
    const jobs = openJobs(counting());
    const { id, state } = await jobs.start('count', { n: 3 });
    expect(state).toBe('planning');
    expect(await jobs.settled(id)).toMatchObject({
      state: 'done',
      title: 'to 3',
      units: { total: 3, done: 3, failed: 0, running: 0 },
      progress: { done: 30, total: 30 },
      error: null,
    });
    expect(attempts).toEqual(['u0', 'u1', 'u2']);
    const report = jobs.report(id);
    expect(report).toMatchObject({ notes: ['u1 is odd'], noteCount: 1, failures: [] });
    expect(report?.results.map(({ unit }) => unit)).toEqual(['u0', 'u1', 'u2']);
    expect(reportText(report!)).toBe(
      'count to 3: done\n  30 rows in 3 of 3 units\n  3 counted\n  to be known:\n    u1 is odd',
    );
  });

  it('without any unit is done', async () => {
    const jobs = openJobs(counting());
    const { id } = await jobs.start('count', { n: 0 });
    expect(await jobs.settled(id)).toMatchObject({ state: 'done', units: { total: 0 } });
  });

  it('runs as many units at once as allowed, and no more', async () => {
    let running = 0;
    let most = 0;
    const jobs = openJobs(
      counting(async () => {
        most = Math.max(most, ++running);
        await systemClock.sleep(3);
        running--;
      }),
    );
    const { id } = await jobs.start('count', { n: 20 }, { concurrency: 3 });
    expect(await jobs.settled(id)).toMatchObject({ state: 'done' });
    expect(most).toBe(3);
    expect(attempts).toHaveLength(20);
  });

  it('never counts a unit twice, whenever it is asked', async () => {
    const jobs = openJobs(counting(async (_, { progress }) => progress(10)));
    const { id } = await jobs.start('count', { n: 40 });
    const seen: number[] = [];
    let over = false;
    const end = jobs.settled(id).then(() => {
      over = true;
    });
    while (!over) {
      seen.push(jobs.get(id)?.progress.done ?? -1);
      await systemClock.sleep(0);
    }
    await end;
    seen.push(jobs.get(id)?.progress.done ?? -1);
    expect(seen.length).toBeGreaterThan(10);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(400);
  });

  it('tries again what the world was in the way of, and what it did before is not counted', async () => {
    const jobs = openJobs(
      counting(async (unit, { attempt, progress }) => {
        progress(7);
        if (unit === 'u1' && attempt < 4) throw new RetriableError('away', { code: 'AWAY' });
      }),
    );
    const { id } = await jobs.start('count', { n: 3 });
    expect(await jobs.settled(id)).toMatchObject({
      state: 'done',
      progress: { done: 30, total: 30 },
      error: null,
    });
    expect(attempts.filter((unit) => unit === 'u1')).toHaveLength(4);
  });

  it('lists a unit that can never be done, with the reason, and does the others; retry takes it up', async () => {
    let broken = true;
    const jobs = openJobs(
      counting(async (unit) => {
        if (unit === 'u1' && broken) throw new PoisonError('it is rotten', { code: 'ROTTEN' });
      }),
    );
    const { id } = await jobs.start('count', { n: 3 });
    expect(await jobs.settled(id)).toMatchObject({
      state: 'failed',
      units: { done: 2, failed: 1 },
    });
    expect(jobs.report(id)?.failures).toEqual([
      { unit: 'u1', code: 'ROTTEN', message: 'it is rotten', attempts: 1 },
    ]);
    expect(reportText(jobs.report(id)!)).toContain('u1: it is rotten [ROTTEN] after 1 attempts');
    broken = false;
    await jobs.retry(id);
    expect(await jobs.settled(id)).toMatchObject({ state: 'done', units: { done: 3, failed: 0 } });
    expect(attempts).toEqual(['u0', 'u1', 'u2', 'u1']);
  });

  it('gives a unit up after the attempts allowed', async () => {
    const jobs = openJobs(
      counting(async (unit) => {
        if (unit === 'u0') throw new RetriableError('away', { code: 'AWAY' });
      }),
      { attemptsMax: 3 },
    );
    const { id } = await jobs.start('count', { n: 2 });
    expect(await jobs.settled(id)).toMatchObject({
      state: 'failed',
      units: { done: 1, failed: 1 },
    });
    expect(jobs.report(id)?.failures[0]).toMatchObject({ code: 'AWAY', attempts: 3 });
  });

  it('stops at what concerns all of it, leaves the rest waiting, and goes on when told', async () => {
    let locked = true;
    const jobs = openJobs(
      counting(async (unit) => {
        if (unit === 'u1' && locked) throw new FatalError('who are you?', { code: 'NO_TOKEN' });
      }),
    );
    const { id } = await jobs.start('count', { n: 3 });
    expect(await jobs.settled(id)).toMatchObject({
      state: 'stopped',
      units: { done: 1, failed: 0 },
      error: { code: 'NO_TOKEN', message: 'who are you?' },
    });
    locked = false;
    await jobs.resume(id);
    expect(await jobs.settled(id)).toMatchObject({
      state: 'done',
      units: { done: 3 },
      error: null,
    });
  });

  it('pauses and goes on where it was', async () => {
    let slow = true;
    const jobs = openJobs(
      counting(async (unit, context) => {
        if (unit === 'u2' && slow) await never(context);
      }),
    );
    const { id } = await jobs.start('count', { n: 4 });
    await until(() => attempts.includes('u2'));
    expect(await jobs.pause(id)).toMatchObject({ state: 'paused', units: { done: 2, running: 0 } });
    slow = false;
    await jobs.resume(id);
    expect(await jobs.settled(id)).toMatchObject({ state: 'done' });
    expect(attempts).toEqual(['u0', 'u1', 'u2', 'u2', 'u3']);
  });

  it('that is cancelled stays so', async () => {
    const jobs = openJobs(counting(async (_, context) => never(context)));
    const { id } = await jobs.start('count', { n: 4 });
    await until(() => attempts.length > 0);
    expect(await jobs.cancel(id)).toMatchObject({ state: 'cancelled' });
    expect(await jobs.resume(id)).toMatchObject({ state: 'cancelled' });
    expect(jobs.get(id)?.endedAt).not.toBeNull();
  });
});

describe('after the process ended', () => {
  it('a job goes on with what is left, with what its unit had kept', async () => {
    let block = true;
    let isKept = false;
    let found: unknown;
    const kind = counting(async (unit, context) => {
      if (unit !== 'u2') return;
      if (block) {
        await context.keep({ at: 5 });
        isKept = true;
        await never(context);
      }
      found = context.kept;
    });
    const first = openJobs(kind);
    const { id } = await first.start('count', { n: 4 });
    await until(() => isKept);
    await first.close();
    block = false;
    const second = openJobs(kind);
    expect(second.get(id)).toMatchObject({ state: 'running', units: { done: 2 } });
    second.resumeAll();
    expect(await second.settled(id)).toMatchObject({ state: 'done', progress: { done: 40 } });
    expect(attempts).toEqual(['u0', 'u1', 'u2', 'u2', 'u3']);
    expect(found).toEqual({ at: 5 });
  });

  it('a plan that had not ended is made again', { tags: 'heavy' }, async () => {
    let planning = 0;
    const kind: JobKind<{ n: number }> = {
      ...counting(),
      async *plan({ n }, { signal }) {
        planning++;
        for (let i = 0; i < n; i++) {
          if (i === 600 && planning === 1) {
            await new Promise((_, reject) =>
              signal.addEventListener('abort', () => reject(signal.reason)),
            );
          }
          yield { name: `u${i}`, work: i, size: 10 };
        }
      },
    };
    const first = openJobs(kind);
    const { id } = await first.start('count', { n: 700 });
    await until(() => (first.get(id)?.units.total ?? 0) >= 500);
    await first.close();
    const second = openJobs(kind);
    second.resumeAll();
    expect(await second.settled(id)).toMatchObject({
      state: 'done',
      units: { total: 700, done: 700 },
    });
    expect(new Set(attempts).size).toBe(700);
    expect(attempts).toHaveLength(700);
  });

  it('a paused job stays paused', async () => {
    const kind = counting(async (_, context) => never(context));
    const first = openJobs(kind);
    const { id } = await first.start('count', { n: 4 });
    await until(() => attempts.length > 0);
    await first.pause(id);
    await first.close();
    const second = openJobs(kind);
    second.resumeAll();
    expect(second.get(id)).toMatchObject({ state: 'paused' });
  });
});

describe('the directory', () => {
  it('is for one at a time, and says who has it', () => {
    openJobs(counting());
    expect(() => openJobs(counting())).toThrow(/are worked on by this process already, since 20/);
  });

  it('forgets the oldest of the jobs that ended', async () => {
    const jobs = Jobs.open({
      directory: join(folder, 'few'),
      kinds: [counting()],
      clock: systemClock,
      logger: silentLogger,
      rememberedMax: 2,
    });
    open.push(jobs);
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      const job: JobView = await jobs.start('count', { n: 1 });
      await jobs.settled(job.id);
      await systemClock.sleep(2);
      ids.push(job.id);
    }
    expect(jobs.list().map(({ id }) => id)).toEqual(ids.slice(2));
  });

  it('knows no kind that was not given, and names the nearest', async () => {
    const jobs = openJobs(counting());
    await expect(jobs.start('cuont', {})).rejects.toThrow(/did you mean count\?/);
    await expect(jobs.submit('count', {})).rejects.toThrow(/on the command line/);
  });
});
