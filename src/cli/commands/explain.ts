/** `tidemark explain POINT`: is a stored rollup right? Exit code 1 when it is not. */
import { Command } from 'commander';
import type { Explanation } from '../../jobs/index.ts';
import { TidemarkError } from '../../model/index.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { write } from '../terminal.ts';
import { UsageError } from '../usage.ts';

export function explainCommand(context: CliContext): Command {
  const command = new Command('explain')
    .description('compute a stored rollup again from the records it was made of, and compare')
    .argument('<point>', 'TOPIC/KEY@TIME (the window’s start), or TOPIC:PARTITION:OFFSET');
  return withReach(command).action((point: string, flags: ReachFlags) =>
    withClient(context, flags, async (client) => {
      const path = `/v1/explain?point=${encodeURIComponent(point)}`;
      const found = await client.get<Explanation>(path).catch((error: unknown) => {
        if (error instanceof TidemarkError && error.code === 'FIELD_INVALID')
          throw new UsageError(error.message);
        throw error;
      });
      const text = flags.json ? `${JSON.stringify(found)}\n` : textOf(found);
      await write(context.terminal.stdout, text);
      if (!found.match) context.fail();
    }),
  );
}

function textOf({
  point,
  match,
  differences,
  offsets,
  topology,
  recordsRead,
}: Explanation): string {
  const from = offsets.map((o) => `${o.topic}/${o.partition} ${o.from}–${o.to - 1}`).join(', ');
  const lines = [
    `${point}: ${match ? 'match' : 'different'}`,
    `  made by ${topology} of ${from}; ${recordsRead} records read again`,
    ...differences.map(
      ({ field, stored, recomputed }) =>
        `  ${field}: stored ${JSON.stringify(stored)}, recomputed ${JSON.stringify(recomputed)}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}
