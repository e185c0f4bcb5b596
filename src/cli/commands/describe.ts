/** `tidemark describe NAME`: a topology as text, Mermaid or JSON, without running it. */
import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { write } from '../terminal.ts';
import { oneOf } from '../usage.ts';

const formats = ['text', 'mermaid', 'json'] as const;
type Format = (typeof formats)[number];

export function describeCommand(context: CliContext): Command {
  return new Command('describe')
    .description('draw a topology without running it')
    .argument('<name>', 'a topology, or a file: ./mine.ts')
    .option('--format <format>', formats.join(', '), oneOf(formats), 'text')
    .action(async (name: string, { format }: { format: Format }) => {
      const { loadTopologies } = await import('../../wiring/load-topologies.ts');
      const { describeJson, describeMermaid, describeText } = await import('../../stream/index.ts');
      const draw: Record<Format, (topology: Parameters<typeof describeText>[0]) => string> = {
        text: describeText,
        mermaid: describeMermaid,
        json: (topology) => `${JSON.stringify(describeJson(topology), null, 2)}\n`,
      };
      for (const topology of await loadTopologies([name])) {
        await write(context.terminal.stdout, draw[format](topology));
      }
    });
}
