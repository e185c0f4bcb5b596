/** `tidemark compare-kairos A B`: every difference between the points of two KairosDB servers, as a durable job. */
import { Command } from 'commander';
import { messageOf } from '../../model/index.ts';
import { type CliContext, type SettingsFlags, settingsFrom } from '../context.ts';
import { type JobFlags, runOf, timeOf, withJob } from '../job-options.ts';
import { runJob } from '../run-job.ts';
import { collect, UsageError, wholeNumber } from '../usage.ts';

interface Flags extends JobFlags {
  readonly metric?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly sliceHours: number;
}

const HOUR_MS = 3_600_000;

export function compareKairosCommand(context: CliContext): Command {
  const command = new Command('compare-kairos')
    .description('compare the points of two KairosDB servers; exit code 1 when they differ')
    .argument('<a>', 'address of one server, as http://[USER:PASSWORD@]HOST:PORT')
    .argument('<b>', 'address of the other; a password without a user is a bearer token')
    .option('--metric <prefix>', 'only metrics that begin so; may be repeated', collect)
    .option('--from <time>', 'ms or ISO 8601 (default: the first point)')
    .option('--to <time>', 'ms or ISO 8601, exclusive (default: behind the last point)')
    .option('--slice-hours <hours>', 'length of the slices', wholeNumber(1), 24);
  return withJob(command, {
    concurrently: 'slices',
    concurrency: 2,
    json: 'differences as NDJSON, then the report as JSON',
  }).action(async (a: string, b: string, flags: Flags) => {
    const jobs = await import('../../jobs/index.ts');
    const serverAt = (address: string) => {
      try {
        return new jobs.KairosServer(address);
      } catch (error) {
        throw new UsageError(messageOf(error));
      }
    };
    const servers = { a: serverAt(a), b: serverAt(b) };
    const fromMs = (await timeOf('--from', flags.from)) ?? jobs.EARLIEST_MS;
    const toMs = (await timeOf('--to', flags.to)) ?? jobs.LATEST_MS;
    if (fromMs >= toMs) throw new UsageError('--to must be later than --from');
    const { stdout } = context.terminal;
    let differences = 0;
    const kind = jobs.compareKairosKind({
      ...servers,
      found(difference) {
        const line = flags.json ? jobs.differenceJson(difference) : jobs.differenceText(difference);
        stdout.write(`${line}\n`);
      },
      total(total) {
        differences = total.differences;
      },
    });
    const { settings } = settingsFrom(context, {
      config: flags.config,
      data: flags.data,
    } as SettingsFlags);
    await runJob(context, {
      ...runOf('compare-kairos', flags, settings),
      kind,
      input: {
        a: servers.a.url,
        b: servers.b.url,
        prefixes: flags.metric ?? [],
        fromMs,
        toMs,
        sliceMs: flags.sliceHours * HOUR_MS,
      },
      concurrency: flags.concurrency,
    });
    if (differences > 0) context.fail();
  });
}
