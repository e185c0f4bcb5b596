/**
 * `tidemark backup` and `tidemark restore`: a data directory, copied while an engine runs on it, and InfluxDB's
 * buckets; back into an empty directory, proved by hash.
 */
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { type CliContext, type SettingsFlags, settingsFrom, withSettings } from '../context.ts';
import { runJob } from '../run-job.ts';
import { collect } from '../usage.ts';

interface Flags extends SettingsFlags {
  readonly bucket?: readonly string[];
  readonly influx: boolean;
  readonly json?: boolean;
}

export function backupCommand(context: CliContext): Command {
  return withSettings(new Command('backup'))
    .description(
      'back up a data directory, also while an engine runs on it, and InfluxDB’s buckets',
    )
    .argument('<directory>', 'where the backup goes; empty, or a backup that was interrupted')
    .option('--bucket <name>', 'bucket to back up (default: those that setup makes)', collect)
    .option('--no-influx', 'leave InfluxDB out, even when it is configured')
    .option('--json', 'print the report as JSON')
    .action(async (directory: string, flags: Flags) => {
      const { settings } = settingsFrom(context, flags);
      const { backupKind } = await import('../../jobs/index.ts');
      const { bucketsOf } = await import('../../wiring/backup-buckets.ts');
      const into = resolve(directory);
      await runJob(context, {
        directory: join(into, '.job'),
        kind: backupKind(flags.influx ? bucketsOf(settings, flags.bucket) : undefined),
        input: { data: resolve(settings.data), into },
        // The log first, and stores after it.
        concurrency: 1,
        json: flags.json,
      });
    });
}

export function restoreCommand(context: CliContext): Command {
  return withSettings(new Command('restore'))
    .description('restore a backup into an empty data directory, and its buckets into InfluxDB')
    .argument('<directory>', 'what `tidemark backup` filled')
    .option('--no-influx', 'leave the backup’s buckets out')
    .option('--json', 'print the report as JSON')
    .action(async (directory: string, flags: Flags) => {
      const { settings } = settingsFrom(context, flags);
      const { restoreKind } = await import('../../jobs/index.ts');
      const { bucketsOf } = await import('../../wiring/backup-buckets.ts');
      const into = resolve(settings.data);
      await runJob(context, {
        directory: join(into, '.restore-job'),
        kind: restoreKind(flags.influx ? bucketsOf(settings) : undefined),
        input: { from: resolve(directory), into },
        concurrency: 1,
        json: flags.json,
      });
    });
}
