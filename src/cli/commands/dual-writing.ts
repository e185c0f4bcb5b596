/** `tidemark dual-writing [MODE]`: which databases are written, and the switch between all and one alone [V8]. */
import { Command } from 'commander';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { renderTable } from '../table.ts';
import { write } from '../terminal.ts';
import { oneOf } from '../usage.ts';

interface DualWriting {
  readonly mode: string;
  readonly sinks: readonly { readonly sink: string; readonly paused: boolean }[];
}

const modes = ['dual', 'influx', 'kairos'] as const;

export function dualWritingCommand(context: CliContext): Command {
  return withReach(
    new Command('dual-writing')
      .description('which databases are written: all (dual), or influx or kairos alone')
      .argument('[mode]', 'dual, influx or kairos; absent: show', oneOf(modes)),
  ).action(async (mode: string | undefined, flags: ReachFlags) => {
    await withClient(context, flags, async (client) => {
      const state =
        mode === undefined
          ? await client.get<DualWriting>('/v1/dual-writing')
          : await client.put<DualWriting>('/v1/dual-writing', { mode });
      const rows = state.sinks.map(({ sink, paused }) => [sink, paused ? 'waits' : 'written']);
      const text = flags.json
        ? `${JSON.stringify(state)}\n`
        : `mode: ${state.mode}\n${renderTable(['sink', 'state'], rows)}`;
      await write(context.terminal.stdout, text);
    });
  });
}
