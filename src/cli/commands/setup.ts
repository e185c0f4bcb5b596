/** `tidemark setup`: makes topics, buckets and keyspace where they are missing; may be run again. */
import { Command } from 'commander';
import { type CliContext, type SettingsFlags, settingsFrom, withSettings } from '../context.ts';
import { write } from '../terminal.ts';

export function setupCommand(context: CliContext): Command {
  const command = new Command('setup').description(
    'make topics, buckets and keyspace where they are missing',
  );
  command.option('--flux-tasks', 'have InfluxDB make rollups of its own too, by tasks');
  return withSettings(command).action(async (flags: SettingsFlags & { fluxTasks?: boolean }) => {
    const { settings, warnings } = settingsFrom(context, flags);
    for (const warning of warnings) await write(context.terminal.stderr, `warning: ${warning}\n`);
    const { setUp } = await context.loadMain();
    for (const { what, outcome } of await setUp(settings, {
      fluxTasks: flags.fluxTasks,
    })) {
      await write(context.terminal.stdout, `${outcome.padEnd(4)}  ${what}\n`);
    }
  });
}
