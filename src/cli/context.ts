/** What every command gets, and the options that all share. */
import type { Command } from 'commander';
import { type LoadedSettings, loadSettings } from '../runtime/index.ts';
import type { Client } from './client.ts';
import { connect } from './connection.ts';
import type { MainModule } from './engine.ts';
import type { Terminal } from './terminal.ts';

export interface CliContext {
  readonly terminal: Terminal;
  readonly loadMain: () => Promise<MainModule>;
  /** Set by commands that ended well but found something wrong (a diff): the exit code. */
  fail(): void;
}

export interface SettingsFlags {
  readonly config?: string;
  readonly data?: string;
  readonly port?: string;
  readonly host?: string;
  readonly roles?: string;
  readonly telnetPort?: string;
}

export interface ReachFlags extends SettingsFlags {
  readonly url?: string;
  readonly json?: boolean;
}

/** Where settings come from. */
export const withSettings = (command: Command): Command =>
  command
    .option('--config <file>', 'configuration file (default: tidemark.config.json)')
    .option('--data <directory>', 'data directory of the embedded log and store')
    .option('--port <port>', 'port of the HTTP service');

/** How a command reaches the engine, and prints for scripts. */
export const withReach = (command: Command): Command =>
  withSettings(command)
    .option('--url <address>', 'address of a running engine')
    .option('--json', 'print JSON');

export function settingsFrom(context: CliContext, flags: SettingsFlags): LoadedSettings {
  const { config, data, port, host, roles, telnetPort } = flags;
  return loadSettings({
    environment: context.terminal.environment,
    configFile: config,
    flags: { data, port, host, roles, 'telnet.port': telnetPort },
  });
}

/** Runs with a client of the running engine, or of one started for the purpose. */
export async function withClient<T>(
  context: CliContext,
  flags: ReachFlags,
  run: (client: Client) => Promise<T>,
): Promise<T> {
  const loaded = settingsFrom(context, flags);
  const client = await connect({ url: flags.url, loaded, loadMain: context.loadMain });
  try {
    return await run(client);
  } finally {
    await client.close();
  }
}
