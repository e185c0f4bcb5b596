/**
 * Runs rollup tasks when they are due, each once across all processes that share the store. What is due follows from
 * when a task was written, and what is done stands in the ledger: a process that starts, after whatever time, finds
 * what was missed and makes it up in order.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { messageOf } from '../../model/index.ts';
import {
  dueTimes,
  parseRollupTask,
  QueryFailed,
  QueryRefused,
  type RollupTask,
  scheduleFault,
} from '../../query/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import { CLAIM_MS, type Claim, Ledger, type LedgerEntry } from './ledger.ts';
import { type RollupStore, RunFailed, runTask } from './run-task.ts';
import { type LedgerTable, RollupTasks, type StoredTask } from './task-store.ts';
import { runEnded, taskGone, taskSeen, tasksCounted, timeSkipped } from './telemetry.ts';

export interface RollupSchedulerOptions {
  readonly store: RollupStore & { readonly rows: LedgerTable };
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often tasks are looked at. */
  readonly checkIntervalMs: number;
  /** What was due longer ago is given up, counted, and logged. */
  readonly catchUpMs: number;
  /** Runs at once in this process. */
  readonly runsMax: number;
}

export type RollupState =
  | 'waiting'
  | 'due'
  | 'running'
  | 'failing'
  /** Its JSON or its interval is no good: it can't be scheduled. */
  | 'broken'
  /** A Java KairosDB runs it. */
  | 'elsewhere';

export interface RollupView {
  readonly id: string;
  readonly name: string | null;
  readonly state: RollupState;
  /** Who runs it, while it runs. */
  readonly owner: string | null;
  /** Up to where runs are through, ms; null before the first. */
  readonly doneTo: number | null;
  readonly nextRunAt: number | null;
  /** Since when a run is due that is not through, ms; 0 when none is. */
  readonly lagMs: number;
  readonly failures: number;
  readonly error: string | null;
}

const RETRY_BASE_MS = 10_000;
const RETRY_CAP_MS = 900_000;

export class RollupScheduler {
  readonly tasks: RollupTasks;
  readonly #options: RollupSchedulerOptions;
  readonly #ledger: Ledger;
  readonly #host = hostname();
  readonly #stop = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  readonly #parsed = new Map<string, { stored: StoredTask; task: RollupTask | Error }>();
  #loop: Promise<void> | undefined;
  #troubled = false;

  constructor(options: RollupSchedulerOptions) {
    const { rows } = options.store;
    this.#options = options;
    this.tasks = new RollupTasks(rows);
    this.#ledger = new Ledger(rows, options.clock, `${this.#host} ${randomUUID().slice(0, 8)}`);
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Runs under way are cut after the bucket they are at; whoever comes next goes on there. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopping'));
    await this.#loop;
    await Promise.all(this.#running.values());
  }

  /** One look at all tasks; resolves when everything that was begun by it is through. For tests, and by `start`'s loop. */
  async check(): Promise<void> {
    await this.#look();
    await Promise.all(this.#running.values());
  }

  async list(): Promise<readonly RollupView[]> {
    await this.#options.store.connect();
    const views: RollupView[] = [];
    for (const stored of await this.tasks.list()) views.push(await this.#view(stored));
    return views;
  }

  async #run(): Promise<void> {
    const { clock, checkIntervalMs, logger } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#look();
        if (this.#troubled) logger.info({}, 'rollup tasks can be read again');
        this.#troubled = false;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        // Once per outage: the next look comes soon, and the store's own health is shown elsewhere.
        if (!this.#troubled) logger.warn({ err: error }, 'rollup tasks can’t be read; trying on');
        this.#troubled = true;
      }
      await clock.sleep(checkIntervalMs, this.#stop.signal).catch(() => {});
    }
  }

  async #look(): Promise<void> {
    await this.#options.store.connect(this.#stop.signal);
    const stored = await this.tasks.list();
    let broken = 0;
    for (const each of stored) {
      if (this.#stop.signal.aborted) return;
      if (await this.#consider(each)) broken++;
    }
    tasksCounted(stored.length - broken, broken);
    await this.#forgetGone(new Set(stored.map(({ id }) => id)));
  }

  /** Says whether the task is broken. */
  async #consider(stored: StoredTask): Promise<boolean> {
    const { clock, runsMax } = this.#options;
    const task = this.#taskOf(stored);
    if (task instanceof Error || scheduleFault(task) !== undefined) return true;
    const found = await this.#ledger.read(stored.id);
    const entry = await this.#entryFor(stored, found?.entry);
    const nowMs = clock.now();
    const { lastMs } = dueTimes(task, stored.writtenAtMs, nowMs);
    const isDue = lastMs !== undefined && lastMs > entry.doneMs;
    taskSeen(stored.id, { failures: entry.failures, lagMs: lagOf(task, stored, entry, nowMs) });
    if (!isDue || this.#running.has(stored.id) || this.#running.size >= runsMax) return false;
    if ((entry.retryAtMs ?? 0) > nowMs) return false;
    if (found !== undefined && this.#ledger.isClaimed(found.entry)) return false;
    if ((await this.tasks.javaOwner(stored.id, nowMs)) !== undefined) return false;
    const claim = await this.#ledger.claim(stored.id, found?.text, entry);
    if (claim === undefined) return false;
    const run = this.#execute(stored, task, claim, lastMs).finally(() =>
      this.#running.delete(stored.id),
    );
    this.#running.set(stored.id, run);
    return false;
  }

  async #execute(stored: StoredTask, task: RollupTask, claim: Claim, dueMs: number): Promise<void> {
    const { store, clock } = this.#options;
    const startedMs = clock.now();
    const signal = AbortSignal.any([this.#stop.signal, claim.lost]);
    const endRenewals = clock.every(CLAIM_MS / 4, () => void claim.keep().catch(() => {}));
    const ended = (outcome: 'done' | 'failed' | 'lost') =>
      runEnded(outcome, clock.now() - startedMs);
    try {
      const { fromMs, toMs, at } = this.#rangeOf(stored, task, claim.entry, dueMs);
      if (at === undefined) await claim.keep({ at: {} });
      const assertMayWrite = () => claim.assertHeld();
      const statuses = await runTask(
        task,
        { fromMs, toMs, ...(at === undefined ? {} : { at }) },
        { store, clock, signal, assertMayWrite },
        (place) => claim.keep({ at: place }),
      );
      claim.assertHeld();
      const nextScheduledMs = dueTimes(task, stored.writtenAtMs, clock.now()).nextMs;
      await this.tasks.putStatus(stored.id, {
        statuses,
        executingHost: this.#host,
        nextScheduledMs,
      });
      await claim.release({ ...cleared, doneMs: toMs, failures: 0 });
      ended('done');
    } catch (error) {
      await this.#failed(stored, task, claim, error).then(ended);
    } finally {
      endRenewals();
    }
  }

  /** A run that was cut goes on where it was, and to what is due by now. */
  #rangeOf(stored: StoredTask, task: RollupTask, entry: LedgerEntry, toMs: number) {
    const { catchUpMs, logger } = this.#options;
    const { writtenAtMs, id } = stored;
    const firstDueMs = dueTimes(task, writtenAtMs, writtenAtMs).nextMs;
    const sinceMs = entry.doneMs === 0 ? firstDueMs : entry.doneMs;
    const earliestMs = toMs - catchUpMs;
    if (sinceMs < earliestMs && entry.at === undefined) {
      timeSkipped(earliestMs - sinceMs);
      logger.warn(
        { task: id, name: task.name, fromMs: sinceMs, toMs: earliestMs },
        'a rollup task was away too long: this time is not caught up with; backfill it by hand',
      );
    }
    const fromMs = Math.max(sinceMs, earliestMs);
    return { fromMs: entry.doneMs === 0 ? { firstDueMs: fromMs } : fromMs, toMs, at: entry.at };
  }

  async #failed(
    stored: StoredTask,
    task: RollupTask,
    claim: Claim,
    error: unknown,
  ): Promise<'failed' | 'lost'> {
    const { clock, logger } = this.#options;
    const context = { task: stored.id, name: task.name };
    if (claim.lost.aborted) {
      logger.warn(context, 'a rollup task was taken by another process while it ran here');
      return 'lost';
    }
    if (this.#stop.signal.aborted) {
      await claim.release({}).catch(() => {});
      return 'lost';
    }
    const failures = claim.entry.failures + 1;
    const waitMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(failures - 1, 20));
    logger.warn({ ...context, err: error, failures, waitMs }, 'a rollup task failed');
    const message = messageOf(error).slice(0, 1_000);
    const retryAtMs = clock.now() + waitMs;
    try {
      if (error instanceof RunFailed) {
        await this.tasks.putStatus(stored.id, {
          // What KairosDB takes for the last execution must not move on.
          statuses: error.statuses.map((each) => ({
            ...each,
            lastExecutionTime: claim.entry.doneMs,
          })),
          executingHost: this.#host,
          nextScheduledMs: retryAtMs,
        });
      }
      await claim.release({ failures, retryAtMs, error: message });
    } catch (also) {
      // The store is away: the claim runs out by itself, and the run is tried again.
      logger.warn({ ...context, err: also }, 'the failure of a rollup task could not be noted');
    }
    taskSeen(stored.id, {
      failures,
      lagMs: lagOf(task, stored, { ...claim.entry, failures }, clock.now()),
    });
    return 'failed';
  }

  /** A new task begins where a Java server's status says it came to, or at its first due time. */
  async #entryFor(stored: StoredTask, entry: LedgerEntry | undefined): Promise<LedgerEntry> {
    const { writtenAtMs: taskWrittenAtMs } = stored;
    if (entry !== undefined && entry.taskWrittenAtMs === taskWrittenAtMs) {
      const { claim: _, ...rest } = entry;
      return rest;
    }
    const status = entry === undefined ? await this.tasks.status(stored.id) : undefined;
    const javaDoneMs = Math.max(
      0,
      ...(status?.statuses ?? []).map((each) => each.lastExecutionTime || 0),
    );
    return { taskWrittenAtMs, doneMs: entry?.doneMs ?? javaDoneMs, failures: 0 };
  }

  #taskOf(stored: StoredTask): RollupTask | Error {
    const known = this.#parsed.get(stored.id);
    if (known?.stored.json === stored.json && known.stored.writtenAtMs === stored.writtenAtMs) {
      return known.task;
    }
    let task: RollupTask | Error;
    try {
      task = parseRollupTask(stored.json, stored.writtenAtMs).task;
    } catch (error) {
      if (!(error instanceof QueryRefused || error instanceof QueryFailed)) throw error;
      this.#options.logger.warn({ task: stored.id, err: error }, 'a rollup task makes no sense');
      task = error;
    }
    this.#parsed.set(stored.id, { stored, task });
    return task;
  }

  async #forgetGone(ids: ReadonlySet<string>): Promise<void> {
    for (const id of this.#parsed.keys()) {
      if (ids.has(id)) continue;
      this.#parsed.delete(id);
      taskGone(id);
    }
    for (const id of await this.#ledger.ids()) {
      if (!ids.has(id)) await this.#ledger.forget(id);
    }
  }

  async #view(stored: StoredTask): Promise<RollupView> {
    const nowMs = this.#options.clock.now();
    const task = this.#taskOf(stored);
    const found = (await this.#ledger.read(stored.id))?.entry;
    const entry = await this.#entryFor(stored, found);
    const fault = task instanceof Error ? task.message : scheduleFault(task);
    const common = {
      id: stored.id,
      name: task instanceof Error ? null : task.name,
      owner: null,
      doneTo: entry.doneMs === 0 ? null : entry.doneMs,
      failures: entry.failures,
      error: entry.error ?? null,
      nextRunAt: null,
      lagMs: 0,
    };
    if (fault !== undefined || task instanceof Error) {
      return { ...common, state: 'broken', error: fault ?? null };
    }
    const lagMs = lagOf(task, stored, entry, nowMs);
    const { lastMs, nextMs } = dueTimes(task, stored.writtenAtMs, nowMs);
    const isDue = lastMs !== undefined && lastMs > entry.doneMs;
    const nextRunAt = isDue ? Math.max(nowMs, entry.retryAtMs ?? 0) : nextMs;
    const timed = { ...common, lagMs, nextRunAt };
    if (found !== undefined && this.#ledger.isClaimed(found)) {
      return { ...timed, state: 'running', owner: found.claim?.owner ?? null };
    }
    const owner = (await this.tasks.javaOwner(stored.id, nowMs)) ?? null;
    if (owner !== null) return { ...timed, state: 'elsewhere', owner };
    if (entry.failures > 0) return { ...timed, state: 'failing' };
    return { ...timed, state: isDue ? 'due' : 'waiting' };
  }
}

/** What a run that came through leaves behind of itself: nothing. */
const cleared = {
  at: undefined,
  retryAtMs: undefined,
  error: undefined,
} as unknown as Partial<LedgerEntry>;

function lagOf(task: RollupTask, stored: StoredTask, entry: LedgerEntry, nowMs: number): number {
  const { lastMs } = dueTimes(task, stored.writtenAtMs, nowMs);
  if (lastMs === undefined || lastMs <= entry.doneMs) return 0;
  const first = dueTimes(task, stored.writtenAtMs, Math.max(entry.doneMs, stored.writtenAtMs));
  return Math.max(0, nowMs - first.nextMs);
}
