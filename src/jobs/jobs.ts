/**
 * Runs durable jobs: plans each once, does its units with bounded concurrency, tries again what the world was in
 * the way of, and goes on after a restart where the directory says it was. A unit in its backoff keeps its slot:
 * a server that is down gains nothing by being asked for other units.
 */
import { randomUUID } from 'node:crypto';
import { type BackoffPolicy, backoffMs } from '../delivery/index.ts';
import { FatalError, minutes, PoisonError, RetriableError, seconds } from '../model/index.ts';
import { type Clock, type Logger, nearest, random } from '../runtime/index.ts';
import {
  ended,
  type JobKind,
  type JobReport,
  type JobState,
  type JobView,
  type Json,
} from './contract.ts';
import { explain, Stopped, UnitFailed } from './job-ends.ts';
import { JobProgress } from './job-progress.ts';
import { reportOf } from './job-report.ts';
import { type JobRecord, JobStore, type UnitRecord } from './job-store.ts';
import { unitsEnded, unitsRetried } from './telemetry.ts';

export interface JobPolicy extends BackoffPolicy {
  /** Attempts per unit and process before it counts as failed. 0: without limit. */
  readonly attemptsMax: number;
}

export const defaultJobPolicy: JobPolicy = {
  backoff: 'exponential',
  backoffBaseMs: seconds(1),
  backoffCapMs: minutes(1),
  attemptsMax: 10,
};

export interface JobsOptions {
  /** Of the jobs' state; made when missing; for one process at a time. */
  readonly directory: string;
  // biome-ignore lint/suspicious/noExplicitAny: each kind knows its own input.
  readonly kinds: readonly JobKind<any>[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy?: Partial<JobPolicy>;
  /** Jobs that ended and are still listed, at most; the oldest are forgotten. */
  readonly rememberedMax?: number;
}

export interface StartOptions {
  /** Starting an id that is known gives that job, as it stands. Default: a new one. */
  readonly id?: string;
  /** Units at once. Default: the kind's. */
  readonly concurrency?: number;
}

interface Running {
  readonly stop: AbortController;
  readonly progress: JobProgress;
  readonly finished: Promise<void>;
}

/** Units a plan hands to the disk at once. */
const PLAN_UNITS = 250;
const REMEMBERED_MAX = 100;

export class Jobs {
  readonly #options: JobsOptions;
  readonly #policy: JobPolicy;
  readonly #store: JobStore;
  readonly #records = new Map<string, JobRecord>();
  readonly #running = new Map<string, Running>();
  #closed = false;

  private constructor(options: JobsOptions, store: JobStore) {
    this.#options = options;
    this.#policy = { ...defaultJobPolicy, ...options.policy };
    this.#store = store;
    for (const job of store.jobs()) this.#records.set(job.id, job);
  }

  /** Nothing runs yet. @throws FatalError JOBS_IN_USE, DIRECTORY_UNUSABLE. */
  static open(options: JobsOptions): Jobs {
    return new Jobs(options, JobStore.open(options.directory, options.clock.now()));
  }

  get directory(): string {
    return this.#store.directory;
  }

  kinds(): readonly string[] {
    return this.#options.kinds.map(({ name }) => name);
  }

  /** Durable when it resolves. @throws FatalError UNKNOWN_KIND. */
  async start(kind: string, input: Json, options: StartOptions = {}): Promise<JobView> {
    const { unitsAtOnce = 1 } = this.#kind(kind);
    const id = options.id ?? randomUUID();
    if (!this.#records.has(id)) {
      const job: JobRecord = {
        id,
        kind,
        input,
        state: 'planning',
        planned: false,
        concurrency: options.concurrency ?? unitsAtOnce,
        createdAt: this.#options.clock.now(),
        endedAt: null,
        error: null,
        units: { total: 0, done: 0, failed: 0 },
        size: 0,
        done: 0,
      };
      await this.#put(job);
      this.#launch(id);
      await this.#forgetOld();
    }
    return this.get(id) as JobView;
  }

  /** Starts what a caller from outside asks for. @throws FatalError UNKNOWN_KIND, and what the kind refuses with. */
  async submit(kind: string, asked: unknown): Promise<JobView> {
    const { accept, runningMax } = this.#kind(kind);
    if (accept === undefined) {
      throw new FatalError(
        `jobs of the kind ${kind} are started on the command line: tidemark ${kind}`,
        {
          code: 'UNKNOWN_KIND',
        },
      );
    }
    const input = await accept(asked);
    const running = [...this.#records.values()].filter(
      (job) => job.kind === kind && this.#running.has(job.id),
    ).length;
    if (runningMax !== undefined && running >= runningMax.jobs) {
      throw new FatalError(
        `${running} jobs of the kind ${kind} run already; wait for one or cancel it`,
        { code: runningMax.code },
      );
    }
    return this.start(kind, input);
  }

  /** Takes up what a process before this one had begun and nobody paused. */
  resumeAll(): void {
    for (const { id, state, kind } of this.#records.values()) {
      if ((state === 'planning' || state === 'running') && this.kinds().includes(kind)) {
        this.#launch(id);
      }
    }
  }

  list(): readonly JobView[] {
    return [...this.#records.values()]
      .sort((a, b) => a.createdAt - b.createdAt)
      .map((job) => this.#view(job));
  }

  get(id: string): JobView | undefined {
    const job = this.#records.get(id);
    return job && this.#view(job);
  }

  /** Ends no unit in the middle that can be ended at a boundary: the kind's signal tells it. */
  async pause(id: string): Promise<JobView | undefined> {
    return this.#interrupt(id, 'paused');
  }

  async cancel(id: string): Promise<JobView | undefined> {
    return this.#interrupt(id, 'cancelled');
  }

  /** Goes on with a job that was paused, stopped, or left by a process that died. */
  async resume(id: string): Promise<JobView | undefined> {
    const job = this.#records.get(id);
    if (job === undefined) return undefined;
    if (!ended(job.state) && !this.#running.has(id)) {
      this.#kind(job.kind);
      await this.#put({ ...job, state: job.planned ? 'running' : 'planning', error: null });
      this.#launch(id);
    }
    return this.get(id);
  }

  /** Failed units once more, and whatever else is left, also of a job that was cancelled. */
  async retry(id: string): Promise<JobView | undefined> {
    const job = this.#records.get(id);
    if (job === undefined || job.state === 'done' || this.#running.has(id)) return this.get(id);
    this.#kind(job.kind);
    const again: JobRecord = {
      ...job,
      state: job.planned ? 'running' : 'planning',
      endedAt: null,
      error: null,
      units: { ...job.units, failed: 0 },
    };
    await this.#store.requeueFailed(again);
    this.#records.set(id, again);
    this.#launch(id);
    return this.get(id);
  }

  /** Cancels it and keeps nothing of it. */
  async forget(id: string): Promise<void> {
    await this.cancel(id);
    this.#records.delete(id);
    await this.#store.forget(id);
  }

  /** Resolves once the job ended, was paused or stopped. */
  async settled(id: string): Promise<JobView | undefined> {
    await this.#running.get(id)?.finished;
    return this.get(id);
  }

  report(id: string): JobReport | undefined {
    const job = this.#records.get(id);
    if (job === undefined) return undefined;
    const kind = this.#options.kinds.find(({ name }) => name === job.kind);
    return reportOf(this.#view(job), this.#store, kind);
  }

  /** Puts everything down; what ran is taken up by `resumeAll` of the next process. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const running = [...this.#running.values()];
    for (const { stop } of running) stop.abort(new Stopped());
    await Promise.all(running.map(({ finished }) => finished));
    await this.#store.close();
  }

  async #interrupt(id: string, state: 'paused' | 'cancelled'): Promise<JobView | undefined> {
    const job = this.#records.get(id);
    if (job === undefined) return undefined;
    const running = this.#running.get(id);
    if (running !== undefined) {
      running.stop.abort(new Stopped(state));
      await running.finished;
    } else if (!ended(job.state) && (state === 'cancelled' || job.state !== 'stopped')) {
      await this.#put({ ...job, ...this.#ending(state) });
    }
    return this.get(id);
  }

  #launch(id: string): void {
    if (this.#running.has(id) || this.#closed) return;
    const stop = new AbortController();
    const progress = new JobProgress(this.#options.clock);
    const finished = this.#carry(id, stop.signal, progress).finally(() => this.#running.delete(id));
    this.#running.set(id, { stop, progress, finished });
  }

  /** Never rejects: whatever ends a job is in its record. */
  async #carry(id: string, signal: AbortSignal, progress: JobProgress): Promise<void> {
    const { logger } = this.#options;
    // The caller of `start` sees the job before anything can have happened to it.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      if (!this.#job(id).planned) await this.#plan(id, signal);
      await this.#work(id, signal, progress);
      const job = this.#job(id);
      await this.#put({ ...job, ...this.#ending(job.units.failed > 0 ? 'failed' : 'done') });
    } catch (error) {
      const job = this.#job(id);
      if (signal.aborted && signal.reason instanceof Stopped) {
        const { state } = signal.reason;
        if (state !== undefined) {
          // A job that is not planned yet plans again when it goes on.
          await this.#put({ ...job, ...this.#ending(state) });
        }
        return;
      }
      const { code, message } = explain(error instanceof UnitFailed ? error.cause : error);
      await this.#put({ ...job, state: 'stopped', error: { code, message } }).catch(() => {});
      logger.error({ job: id, kind: job.kind, code, error: message }, 'a job stopped');
    }
  }

  #ending(state: JobState): Pick<JobRecord, 'state' | 'endedAt'> {
    return { state, endedAt: ended(state) ? this.#options.clock.now() : null };
  }

  async #plan(id: string, signal: AbortSignal): Promise<void> {
    const job = this.#job(id);
    const kind = this.#kind(job.kind);
    let units: UnitRecord[] = [];
    let total = 0;
    let size = 0;
    const flush = async () => {
      await this.#store.addUnits(id, units);
      units = [];
      this.#records.set(id, { ...job, units: { ...job.units, total }, size });
    };
    await this.#patiently(id, signal, 'the plan', async () => {
      await this.#store.forgetUnits(id);
      [units, total, size] = [[], 0, 0];
      for await (const unit of kind.plan(job.input, { signal })) {
        signal.throwIfAborted();
        units.push({ ...unit, number: total++ });
        size += unit.size;
        if (units.length >= PLAN_UNITS) await flush();
      }
    });
    signal.throwIfAborted();
    await flush();
    await this.#put({
      ...job,
      state: 'running',
      planned: true,
      units: { total, done: 0, failed: 0 },
      size,
    });
  }

  async #work(id: string, signal: AbortSignal, progress: JobProgress): Promise<void> {
    let at = -1;
    const all = new AbortController();
    const inner = AbortSignal.any([signal, all.signal]);
    const lane = async () => {
      for (;;) {
        inner.throwIfAborted();
        const unit = this.#store.next(id, at);
        if (unit === undefined) return;
        at = unit.number;
        await this.#unit(id, unit, inner, progress);
      }
    };
    const lanes = Array.from({ length: this.#job(id).concurrency }, () =>
      lane().catch((error: unknown) => {
        all.abort(error);
        throw error;
      }),
    );
    const [failed] = (await Promise.allSettled(lanes)).filter(
      ({ status }) => status === 'rejected',
    );
    signal.throwIfAborted();
    if (failed !== undefined) throw all.signal.reason;
  }

  async #unit(
    id: string,
    unit: UnitRecord,
    signal: AbortSignal,
    progress: JobProgress,
  ): Promise<void> {
    const kind = this.#kind(this.#job(id).kind);
    let { kept } = unit;
    const work = progress.begin();
    try {
      const outcome = await this.#patiently(id, signal, unit.name, (attempt) => {
        work.restart();
        return kind.run(unit, this.#job(id).input, {
          signal,
          attempt,
          progress: (done) => work.add(done),
          kept,
          keep: async (note) => {
            kept = note;
            await this.#store.keep(id, { ...unit, kept: note });
          },
        });
      });
      // What was done counts even when the job is told to stop at this very moment.
      const settled = this.#settle(id, { ...unit, outcome });
      // The job's record counts it from this line on, before the commit: here it must count no more.
      work.end(outcome.done);
      await settled;
      unitsEnded(kind.name, 'done');
    } catch (error) {
      work.drop();
      if (!(error instanceof UnitFailed)) throw error;
      const { code, message } = explain(error.cause);
      const failure = { unit: unit.name, code, message, attempts: error.attempts };
      await this.#settle(id, { ...unit, failure });
      unitsEnded(kind.name, 'failed');
      this.#options.logger.warn(
        { job: id, unit: unit.name, code, error: message },
        'a unit of a job failed',
      );
    }
  }

  /** @throws UnitFailed for what concerns this unit only; anything else stops the job. */
  async #patiently<T>(
    id: string,
    signal: AbortSignal,
    what: string,
    run: (attempt: number) => Promise<T>,
  ): Promise<T> {
    const { clock, logger } = this.#options;
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        const value = await run(attempt);
        if (attempt > 1) this.#say(id, null);
        return value;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (error instanceof PoisonError) throw new UnitFailed(error, attempt);
        if (!(error instanceof RetriableError)) throw error;
        const { attemptsMax } = this.#policy;
        if (attemptsMax > 0 && attempt >= attemptsMax) throw new UnitFailed(error, attempt);
        const { retryAfterMs } = error;
        const waitMs = backoffMs(this.#policy, { attempt, random, retryAfterMs });
        unitsRetried(this.#job(id).kind);
        this.#say(id, explain(error));
        logger.debug({ job: id, unit: what, attempt, waitMs, error: error.message }, 'again');
        await clock.sleep(waitMs, signal);
      }
    }
  }

  async #settle(id: string, unit: UnitRecord): Promise<void> {
    const job = this.#job(id);
    const { units } = job;
    const failed = unit.failure !== undefined;
    const next: JobRecord = {
      ...job,
      units: {
        total: units.total,
        done: units.done + (failed ? 0 : 1),
        failed: units.failed + (failed ? 1 : 0),
      },
      done: job.done + (unit.outcome?.done ?? 0),
    };
    // Before the commit, so that two units that end together don't count from the same sums.
    this.#records.set(id, next);
    await this.#store.settle(next, unit);
  }

  /** Only in memory: a passing trouble is no part of what must survive. */
  #say(id: string, error: JobRecord['error']): void {
    this.#records.set(id, { ...this.#job(id), error });
  }

  async #put(job: JobRecord): Promise<void> {
    this.#records.set(job.id, job);
    await this.#store.putJob(job);
  }

  #job(id: string): JobRecord {
    return this.#records.get(id) as JobRecord;
  }

  #kind(name: string): JobKind {
    const found = this.#options.kinds.find((kind) => kind.name === name);
    if (found !== undefined) return found;
    const known = this.kinds();
    throw new FatalError(
      `no job is of the kind ${JSON.stringify(name)}; did you mean ${nearest(name, known)}? There are: ${known.join(', ')}`,
      { code: 'UNKNOWN_KIND' },
    );
  }

  #view(job: JobRecord): JobView {
    const { id, kind: kindName, input, state, units, createdAt, endedAt, error } = job;
    const kind = this.#options.kinds.find(({ name }) => name === kindName);
    const running = this.#running.get(id)?.progress;
    const done = job.done + (running?.inFlight ?? 0);
    const total = state === 'done' ? done : Math.max(job.size, done);
    return {
      id,
      kind: kindName,
      title: kind?.title(input) ?? kindName,
      state,
      input,
      noun: kind?.noun ?? 'units',
      units: { ...units, running: running?.units ?? 0 },
      progress: { done, total },
      perSecond: running?.perSecond() ?? null,
      etaMs: running?.etaMs(total - done) ?? null,
      createdAt,
      endedAt,
      error,
    };
  }

  async #forgetOld(): Promise<void> {
    const over = [...this.#records.values()]
      .filter(({ state }) => ended(state))
      .sort((a, b) => b.createdAt - a.createdAt)
      .slice(this.#options.rememberedMax ?? REMEMBERED_MAX);
    for (const { id } of over) {
      this.#records.delete(id);
      await this.#store.forget(id);
    }
  }
}
