/**
 * A durable job in the foreground: begins it, or goes on with what its directory knows of it, shows progress, puts
 * it down at the first Ctrl-C, and prints the report. The same command line is the same job.
 */
import { createHash } from 'node:crypto';
import type { JobKind, JobPolicy, JobReport, Jobs, JobView, Json } from '../jobs/index.ts';
import { FatalError } from '../model/index.ts';
import { silentLogger } from '../runtime/index.ts';
import type { CliContext } from './context.ts';
import { showProgress } from './progress.ts';
import { isLively, write } from './terminal.ts';

export interface JobRun<I extends Json> {
  /** Of the job's state. */
  readonly directory: string;
  readonly kind: JobKind<I>;
  readonly input: I;
  /** What makes it the same job again; default: the input. */
  readonly identity?: Json;
  readonly concurrency?: number;
  readonly policy?: Partial<JobPolicy>;
  /** Forget what is known of it and begin again. */
  readonly fresh?: boolean | undefined;
  readonly json?: boolean | undefined;
}

const POLL_MS = 200;
/** Where no bar can be shown, a line now and then. */
const LINE_MS = 10_000;

/** Resolves with the report, printed already; the exit code tells whether all of it is done. */
export async function runJob<I extends Json>(
  context: CliContext,
  run: JobRun<I>,
): Promise<JobReport> {
  const { terminal } = context;
  const { Jobs, reportText } = await import('../jobs/foreground/index.ts');
  const jobs = Jobs.open({
    directory: run.directory,
    kinds: [run.kind],
    clock: terminal.clock,
    logger: silentLogger,
    ...(run.policy === undefined ? {} : { policy: run.policy }),
  });
  try {
    const job = await begin(context, jobs, run);
    await follow(context, jobs, job.id);
    const report = jobs.report(job.id) as JobReport;
    await write(
      terminal.stdout,
      run.json ? `${JSON.stringify(report)}\n` : `${reportText(report)}\n`,
    );
    if (report.state !== 'done') await sayHowToGoOn(context, report, run.directory);
    return report;
  } finally {
    await jobs.close();
  }
}

async function begin<I extends Json>(
  { terminal }: CliContext,
  jobs: Jobs,
  { kind, input, identity, concurrency, fresh }: JobRun<I>,
): Promise<JobView> {
  const what = JSON.stringify(identity ?? input);
  const id = `${kind.name}-${createHash('sha256').update(what).digest('hex').slice(0, 16)}`;
  if (fresh) await jobs.forget(id);
  const known = jobs.get(id);
  if (known === undefined) {
    return jobs.start(kind.name, input, {
      id,
      ...(concurrency === undefined ? {} : { concurrency }),
    });
  }
  if (known.state === 'done') {
    await write(
      terminal.stderr,
      `this job was done ${new Date(known.endedAt ?? 0).toISOString()}; --fresh does all of it again\n`,
    );
    return known;
  }
  const { units } = known;
  await write(
    terminal.stderr,
    `going on with the job of ${new Date(known.createdAt).toISOString()}: ${units.done} of ${units.total} units are done\n`,
  );
  const again = known.state === 'failed' || known.state === 'cancelled' ? 'retry' : 'resume';
  return (await jobs[again](id)) as JobView;
}

async function follow({ terminal }: CliContext, jobs: Jobs, id: string): Promise<void> {
  const { noun } = jobs.get(id) as JobView;
  const bar = await showProgress(terminal, noun);
  let ended = false;
  const settled = jobs.settled(id).then(() => {
    ended = true;
  });
  let saidAt = terminal.clock.now();
  while (!ended && !terminal.stopped.aborted) {
    const job = jobs.get(id) as JobView;
    if (job.state !== 'planning') bar.update(job.progress.done, job.progress.total);
    if (!isLively(terminal, 'stderr') && terminal.clock.now() - saidAt >= LINE_MS) {
      saidAt = terminal.clock.now();
      await write(terminal.stderr, `${lineOf(job)}\n`);
    }
    await Promise.race([settled, terminal.clock.sleep(POLL_MS, terminal.stopped).catch(() => {})]);
  }
  bar.stop();
  if (!ended) await jobs.pause(id);
}

/** `copy-influx: 12000 of 50000 points, 4 of 24 units, 3512 points/s, 11 s left`. */
export function lineOf(job: JobView): string {
  const { kind, state, progress, units, noun, perSecond, etaMs, error } = job;
  const trouble = error === null ? '' : `; ${error.message}`;
  if (state === 'planning') return `${kind}: planning, ${units.total} units so far${trouble}`;
  const rate = perSecond === null ? '' : `, ${Math.round(perSecond)} ${noun}/s`;
  const eta = etaMs === null ? '' : `, ${Math.round(etaMs / 1_000)} s left`;
  return `${kind}: ${progress.done} of ${progress.total} ${noun}, ${units.done} of ${units.total} units${rate}${eta}${trouble}`;
}

async function sayHowToGoOn(
  context: CliContext,
  { state, units, error }: JobReport,
  directory: string,
): Promise<void> {
  const again = `the same command goes on (its state is in ${directory})`;
  if (state === 'paused') {
    throw new FatalError(`put down after ${units.done} of ${units.total} units; ${again}`, {
      code: 'JOB_INTERRUPTED',
    });
  }
  if (state === 'stopped') {
    throw new FatalError(`${error?.message}; once that is mended, ${again}`, {
      code: error?.code ?? 'JOB_STOPPED',
    });
  }
  context.fail();
  await write(
    context.terminal.stderr,
    `${units.failed} units failed; the same command tries those again\n`,
  );
}
