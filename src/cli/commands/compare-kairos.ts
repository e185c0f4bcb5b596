/** `tidemark compare-kairos A B`: every difference between the points of two KairosDB servers, as a durable job. */
import { join } from 'node:path';
import { Command } from 'commander';
import { type CliContext, settingsFrom } from '../context.ts';
import { runJob } from '../run-job.ts';
import { collect, UsageError, wholeNumber } from '../usage.ts';

interface Flags {
  readonly data?: string;
  readonly metric?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly sliceHours: number;
  readonly concurrency: number;
  readonly fresh?: boolean;
  readonly json?: boolean;
}

const HOUR_MS = 3_600_000;

export const compareKairosCommand = (context: CliContext): Command =>
  new Command('compare-kairos')
    .description('compare the points of two KairosDB servers; exit code 1 when they differ')
    .argument('<a>', 'address of one server, as http://[USER:PASSWORD@]HOST:PORT')
    .argument('<b>', 'address of the other; a password without a user is a bearer token')
    .option('--metric <prefix>', 'only metrics that begin so; may be repeated', collect)
    .option('--from <time>', 'ms or ISO 8601 (default: the first point)')
    .option('--to <time>', 'ms or ISO 8601, exclusive (default: behind the last point)')
    .option('--slice-hours <hours>', 'length of the slices', wholeNumber(1), 24)
    .option('--concurrency <slices>', 'slices at once', wholeNumber(1), 2)
    .option('--data <directory>', 'data directory; what is done already is kept there')
    .option('--fresh', 'forget what is done already')
    .option('--json', 'differences as NDJSON, then the report as JSON')
    .action(async (a: string, b: string, flags: Flags) => {
      const jobs = await import('../../jobs/index.ts');
      const servers = { a: new jobs.KairosServer(a), b: new jobs.KairosServer(b) };
      const { stdout } = context.terminal;
      let differences = 0;
      const kind = jobs.compareKairosKind({
        ...servers,
        found(difference) {
          const line = flags.json
            ? jobs.differenceJson(difference)
            : jobs.differenceText(difference);
          stdout.write(`${line}\n`);
        },
        total(total) {
          differences = total.differences;
        },
      });
      const { settings } = settingsFrom(context, { ...(flags.data && { data: flags.data }) });
      await runJob(context, {
        directory: join(settings.data, 'compare-kairos'),
        kind,
        input: {
          a: servers.a.url,
          b: servers.b.url,
          prefixes: flags.metric ?? [],
          fromMs: await timeOf('--from', flags.from, jobs.EARLIEST_MS),
          toMs: await timeOf('--to', flags.to, jobs.LATEST_MS),
          sliceMs: flags.sliceHours * HOUR_MS,
        },
        concurrency: flags.concurrency,
        fresh: flags.fresh,
        json: flags.json,
      });
      if (differences > 0) context.fail();
    });

async function timeOf(option: string, given: string | undefined, otherwise: number) {
  if (given === undefined) return otherwise;
  // Loaded here, since that room brings the HTTP server with it.
  const { parseTime } = await import('../../api/index.ts');
  const time = parseTime(given);
  if (time === undefined) {
    throw new UsageError(`${option} takes ms or ISO 8601 such as 2026-01-31, not ${given}`);
  }
  return time;
}
