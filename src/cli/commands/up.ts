/** `tidemark up`: runs the engine until it is told to stop; then drains and exits 0. */
import { Command } from 'commander';
import { roles } from '../../runtime/index.ts';
import { type CliContext, type SettingsFlags, settingsFrom, withSettings } from '../context.ts';
import { collectOften } from '../heap.ts';
import { untilStopped, write } from '../terminal.ts';
import { collect, UsageError } from '../usage.ts';

interface Flags extends SettingsFlags {
  readonly topology?: readonly string[];
}

export function upCommand(context: CliContext): Command {
  const command = new Command('up')
    .description('run the engine')
    .option('--host <address>', 'address to listen on')
    .option('--telnet-port <port>', 'port of KairosDB’s telnet interface; 0 for none')
    .option('--roles <roles>', 'engine, sinks, ingest, query, api, agent: comma separated')
    .option(
      '--topology <name>',
      'only this topology, or a file (./mine.ts); may be repeated',
      collect,
    );
  return withSettings(command).action((flags: Flags) => up(context, flags));
}

async function up(context: CliContext, flags: Flags): Promise<void> {
  const { terminal } = context;
  const { settings, warnings } = settingsFrom(context, flags);
  for (const warning of warnings) await write(terminal.stderr, `warning: ${warning}\n`);
  if (settings.roles.length === 0)
    throw new UsageError(`--roles: name some of ${roles.join(', ')}`);
  if (!settings.roles.includes('engine')) collectOften();
  const { startEngine } = await context.loadMain();
  const engine = await startEngine(
    settings,
    flags.topology === undefined ? {} : { topologies: flags.topology },
  );
  if (engine.url !== undefined) await write(terminal.stdout, `listening on ${engine.url}\n`);
  await untilStopped(terminal);
  await engine.stop();
}
