/** `tidemark config print|check`: what the settings are and where each comes from; secrets stay hidden. */
import { Command } from 'commander';
import type { SettingsFlags } from '../context.ts';
import { type CliContext, settingsFrom, withSettings } from '../context.ts';
import { renderTable } from '../table.ts';
import { write } from '../terminal.ts';

export function configCommand(context: CliContext): Command {
  const command = new Command('config').description('settings: print or check them');
  command.addCommand(
    withSettings(new Command('print').description('every setting with its origin, secrets hidden'))
      .option('--json', 'print JSON')
      .action((flags: SettingsFlags & { json?: boolean }) => print(context, flags)),
  );
  command.addCommand(
    withSettings(new Command('check').description('whether the settings are right')).action(
      (flags: SettingsFlags) => check(context, flags),
    ),
  );
  return command;
}

async function print(
  context: CliContext,
  flags: SettingsFlags & { json?: boolean },
): Promise<void> {
  const { values, warnings } = settingsFrom(context, flags);
  const { stdout, stderr } = context.terminal;
  if (flags.json) {
    const entries = values.map(({ setting, value, origin }) => [
      setting.path,
      { value: value ?? null, origin },
    ]);
    await write(stdout, `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`);
  } else {
    const rows = values.map(({ setting, value, origin }) => [setting.path, shown(value), origin]);
    await write(stdout, renderTable(['setting', 'value', 'origin'], rows));
  }
  for (const warning of warnings) await write(stderr, `warning: ${warning}\n`);
}

async function check(context: CliContext, flags: SettingsFlags): Promise<void> {
  const { values, warnings } = settingsFrom(context, flags);
  const given = values.filter(({ origin }) => origin !== 'default').length;
  for (const warning of warnings) await write(context.terminal.stderr, `warning: ${warning}\n`);
  await write(
    context.terminal.stdout,
    `settings are right: ${given} given, ${values.length - given} by default\n`,
  );
}

function shown(value: unknown): string {
  if (value === undefined) return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(String).join(',');
  return String(value);
}
