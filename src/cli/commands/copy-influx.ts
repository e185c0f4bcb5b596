/** `tidemark copy-influx`: an InfluxDB 1.x (or 2.x) into a 1.8 or 2.x, exactly, resumable, read back and compared. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { FatalError, messageOf } from '../../model/index.ts';
import { type CliContext, type SettingsFlags, settingsFrom } from '../context.ts';
import { type JobFlags, runOf, timeOf, withJob } from '../job-options.ts';
import { runJob } from '../run-job.ts';
import { renderTable } from '../table.ts';
import { write } from '../terminal.ts';
import { collect, UsageError, wholeNumber } from '../usage.ts';

interface Flags extends JobFlags {
  readonly from?: string;
  readonly database: string;
  readonly retentionPolicy?: string;
  readonly fromUser?: string;
  readonly fromPasswordFile?: string;
  readonly fromTokenFile?: string;
  readonly into?: string;
  readonly org?: string;
  readonly bucket?: string;
  readonly tokenFile?: string;
  readonly createBucket?: boolean;
  readonly measurement?: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly maxRows: number;
  readonly ca?: string;
  readonly dryRun?: boolean;
}

export function copyInfluxCommand(context: CliContext): Command {
  const command = new Command('copy-influx')
    .description('copy an InfluxDB 1.x database into InfluxDB 1.8 or 2.x, exactly and resumably')
    .option('--from <address>', 'the source, such as http://old:8086 (default: COPY_FROM_URL)')
    .requiredOption('--database <name>', 'the database to copy')
    .option('--retention-policy <name>', 'of the source (default: the database’s default)')
    .option('--from-user <name>', 'user of the source; its password is in COPY_FROM_PASSWORD')
    .option('--from-password-file <file>', 'file that holds the password, instead')
    .option('--from-token-file <file>', 'file that holds a token (also COPY_FROM_TOKEN)')
    .option('--into <address>', 'the target (default: INFLUX_URL)')
    .option('--org <name>', 'organisation of the target (default: INFLUX_ORG)')
    .option('--bucket <name>', 'bucket of the target (default: the database’s name)')
    .option('--token-file <file>', 'file that holds the target’s token (default: INFLUX_TOKEN)')
    .option('--create-bucket', 'make the bucket, keeping points for ever, when it is missing')
    .option('--measurement <name>', 'only these; * stands for anything; may be repeated', collect)
    .option('--since <time>', 'from here on, ms or ISO 8601 (default: the first point)')
    .option('--until <time>', 'up to here, exclusive (default: now, at the first start)')
    .option(
      '--max-rows <n>',
      'rows that one query asks the source for, at most',
      wholeNumber(1),
      50_000,
    )
    .option('--ca <file>', 'PEM file of the authority that signed a server’s certificate')
    .option('--dry-run', 'print what would be copied');
  return withJob(command, {
    concurrently: 'queries to the source',
    concurrency: 1,
    json: 'print the report as JSON',
  }).action((flags: Flags) => copy(context, flags));
}

async function copy(context: CliContext, flags: Flags): Promise<void> {
  const { terminal } = context;
  const { bucketFor, copyInput, joinInfluxes, planned } = await import(
    '../../wiring/copy-influx.ts'
  );
  const { settings } = settingsFrom(context, {
    config: flags.config,
    data: flags.data,
  } as SettingsFlags);
  const { influx, copy: source } = settings;
  const from = flags.from ?? source.url;
  if (from === undefined) throw new UsageError('give the source: --from or COPY_FROM_URL');
  const url = flags.into ?? influx.url;
  if (url === undefined) throw new UsageError('give the target: --into or INFLUX_URL');
  const token = secretOf('--token-file', flags.tokenFile) ?? influx.token?.reveal();
  if (token === undefined)
    throw new UsageError('give the target’s token: --token-file or INFLUX_TOKEN');
  const options = {
    source: {
      url: from,
      database: flags.database,
      retentionPolicy: flags.retentionPolicy,
      user: flags.fromUser ?? source.user,
      password:
        secretOf('--from-password-file', flags.fromPasswordFile) ?? source.password?.reveal(),
      token: secretOf('--from-token-file', flags.fromTokenFile) ?? source.token?.reveal(),
    },
    target: {
      url,
      org: flags.org ?? influx.org ?? '-',
      token,
      bucket: flags.bucket ?? bucketFor(flags.database, flags.retentionPolicy),
    },
    ca: flags.ca,
    createBucket: flags.createBucket,
    queriesMax: flags.concurrency,
    maxRows: flags.maxRows,
  };
  const nsOf = async (name: string, given: string | undefined): Promise<string | null> => {
    const ms = await timeOf(name, given);
    return ms === undefined ? null : String(BigInt(ms) * 1_000_000n);
  };
  const { copySeries, unitsAtOnce } = await import('../../jobs/foreground/index.ts');
  const until = await nsOf('--until', flags.until);
  const input = copyInput(options, {
    measurements: flags.measurement ?? [],
    since: await nsOf('--since', flags.since),
    until: until ?? String(BigInt(terminal.clock.now()) * 1_000_000n),
  });
  const kind = copySeries(await joinInfluxes(options));
  if (flags.dryRun) {
    const plan = await planned(kind.plan(input, { signal: terminal.stopped }));
    await write(
      terminal.stdout,
      flags.json
        ? `${JSON.stringify({ measurements: plan })}\n`
        : `${renderTable(
            ['measurement', 'units', 'points', 'from', 'to'],
            plan.map((m) => [m.measurement, m.units, m.points, m.first, m.last]),
          )}would copy about ${plan.reduce((sum, m) => sum + m.points, 0)} points\n`,
    );
    return;
  }
  await runJob(context, {
    ...runOf('copy-influx', flags, settings),
    kind,
    input,
    // Without --until, now is another time at each start, and yet it is the same job.
    identity: { ...input, until },
    concurrency: unitsAtOnce(flags.concurrency),
  });
}

function secretOf(name: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new FatalError(`${name}: ${messageOf(error)}`, {
      code: 'CONFIG_INVALID',
      context: { name },
    });
  }
}
