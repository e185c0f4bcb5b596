/** Options of the commands that are durable jobs between two servers, stated once: how hard to try, and where it is kept. */
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Settings } from '../runtime/index.ts';
import type { SettingsFlags } from './context.ts';
import type { JobRun } from './run-job.ts';
import { UsageError, wholeNumber } from './usage.ts';

export interface JobFlags extends Pick<SettingsFlags, 'config' | 'data'> {
  readonly concurrency: number;
  readonly attempts: number;
  readonly backoffBaseMs: number;
  readonly state?: string;
  readonly fresh?: boolean;
  readonly json?: boolean;
}

export interface JobOptions {
  /** What there may be several of at once: `queries to the source`. */
  readonly concurrently: string;
  readonly concurrency: number;
  /** What `--json` prints. */
  readonly json: string;
}

export const withJob = (
  command: Command,
  { concurrently, concurrency, json }: JobOptions,
): Command =>
  command
    .option('--concurrency <n>', `${concurrently} at once`, wholeNumber(1), concurrency)
    .option(
      '--attempts <n>',
      'attempts per unit before it is listed as failed; 0: for ever',
      wholeNumber(0),
      10,
    )
    .option('--backoff-base-ms <ms>', 'first wait after a failure', wholeNumber(0), 1_000)
    .option('--state <directory>', `where the job is kept (default: ${command.name()} in --data)`)
    .option('--fresh', 'forget what an earlier run of the same command did')
    .option('--config <file>', 'configuration file (default: tidemark.config.json)')
    .option('--data <directory>', 'data directory')
    .option('--json', json);

export const runOf = (
  name: string,
  flags: JobFlags,
  settings: Settings,
): Pick<JobRun<never>, 'directory' | 'policy' | 'fresh' | 'json'> => ({
  directory: flags.state ?? join(settings.data, name),
  policy: { attemptsMax: flags.attempts, backoffBaseMs: flags.backoffBaseMs },
  fresh: flags.fresh,
  json: flags.json,
});

/** ms; undefined where nothing was given. */
export async function timeOf(
  option: string,
  given: string | undefined,
): Promise<number | undefined> {
  if (given === undefined) return undefined;
  // Loaded here, since that room brings the HTTP server with it.
  const { parseTime } = await import('../api/index.ts');
  const time = parseTime(given);
  if (time !== undefined) return time;
  throw new UsageError(`${option} takes ms or ISO 8601 such as 2026-01-31, not ${given}`);
}
