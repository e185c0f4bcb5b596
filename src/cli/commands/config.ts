/** `tidemark config print|check`: what the settings are and where each comes from; secrets stay hidden. */
import { Command } from 'commander';
import type { SettingsFlags } from '../context.ts';
import { type CliContext, settingsFrom, withSettings } from '../context.ts';
import { convertKairosConfig } from '../kairosdb-config/convert.ts';
import { renderTable } from '../table.ts';
import { write } from '../terminal.ts';

export function configCommand(context: CliContext): Command {
  const command = new Command('config').description(
    'settings: print or check them, or make them of a KairosDB’s',
  );
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
  command.addCommand(
    new Command('from-kairosdb')
      .argument('<file>', 'kairosdb.conf or kairosdb.properties')
      .description('print the settings that do what a Java KairosDB’s file says, and what has none')
      .action((file: string) => fromKairosdb(context, file)),
  );
  return command;
}

/** Settings to stdout, so that they can be kept in a file; what needs a hand to stderr. */
async function fromKairosdb(context: CliContext, file: string): Promise<void> {
  const { stdout, stderr } = context.terminal;
  const { config, findings, taken, needless } = convertKairosConfig(
    file,
    context.terminal.environment,
  );
  await write(stdout, `${JSON.stringify(config, null, 2)}\n`);
  for (const { file: where, line, key, kind, message } of findings) {
    await write(stderr, `${where}:${line}: ${key}: ${kind}: ${message}\n`);
  }
  const left = findings.filter(({ kind }) => kind !== 'note').length;
  await write(
    stderr,
    `${taken} keys taken over, ${needless} need nothing, ${left} have no counterpart\n`,
  );
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
  // Only here: what rules and channels stand on would be loaded with every command.
  const { loadAlertConfig } = await import('../../alerts/index.ts');
  const { settings, values, warnings } = settingsFrom(context, flags);
  const { rules, channels } = loadAlertConfig({
    ...settings.alerts,
    environment: context.terminal.environment,
  });
  const given = values.filter(({ origin }) => origin !== 'default').length;
  for (const warning of warnings) await write(context.terminal.stderr, `warning: ${warning}\n`);
  await write(
    context.terminal.stdout,
    `settings are right: ${given} given, ${values.length - given} by default\n`,
  );
  await write(
    context.terminal.stdout,
    `alerts are right: ${rules.length} rules; channels: ${channels.map(({ name }) => name).join(', ')}\n`,
  );
}

function shown(value: unknown): string {
  if (value === undefined) return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(String).join(',');
  return String(value);
}
