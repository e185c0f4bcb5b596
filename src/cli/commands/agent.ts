/** `tidemark agent`: this host's readings into an engine, until told to stop; what can't be handed over waits on disk. */
import { Command } from 'commander';
import { createLogger, silentLogger } from '../../runtime/index.ts';
import { type CliContext, type SettingsFlags, settingsFrom, withSettings } from '../context.ts';
import { untilStopped, write } from '../terminal.ts';
import { wholeNumber } from '../usage.ts';

interface Flags extends SettingsFlags {
  readonly to?: string;
  readonly interval?: number;
}

export function agentCommand(context: CliContext): Command {
  const command = new Command('agent')
    .description('publish this host’s cpu, memory, disks, network and processes')
    .option(
      '--to <address>',
      'engine to publish to (default: Kafka when KAFKA_BROKERS is set, else the engine on this machine)',
    )
    .option('--interval <ms>', 'time between readings', wholeNumber(100));
  return withSettings(command).action((flags: Flags) => agent(context, flags));
}

async function agent(context: CliContext, flags: Flags): Promise<void> {
  const { terminal } = context;
  const { settings, warnings } = settingsFrom(context, flags);
  for (const warning of warnings) await write(terminal.stderr, `warning: ${warning}\n`);
  const { startAgent } = await import('../../wiring/agent.ts');
  const { interval = settings.agent.intervalMs } = flags;
  const running = await startAgent({
    settings: { ...settings, agent: { ...settings.agent, intervalMs: interval } },
    clock: terminal.clock,
    logger:
      settings.logLevel === 'silent' ? silentLogger : createLogger({ level: settings.logLevel }),
    ...(flags.to === undefined ? {} : { to: flags.to }),
  });
  await write(terminal.stdout, `reading this host each ${interval} ms\n`);
  await untilStopped(terminal);
  await running.stop();
}
