/** `tidemark topics`: every topic with its offsets and watermarks. */
import { Command } from 'commander';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { renderTable, timeText } from '../table.ts';
import { write } from '../terminal.ts';

interface Listing {
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly firstOffset: number;
      readonly nextOffset: number;
      readonly watermark: number | null;
    }[];
  }[];
}

interface Flags extends ReachFlags {
  readonly internal?: boolean;
}

export function topicsCommand(context: CliContext): Command {
  const command = new Command('topics')
    .description('list topics with offsets and watermarks')
    .option('--internal', 'also the engine’s own topics');
  return withReach(command).action((flags: Flags) =>
    withClient(context, flags, async (client) => {
      const listing = await client.get<Listing>(`/v1/topics?internal=${flags.internal === true}`);
      const rows = listing.topics.flatMap(({ name, partitions }) =>
        partitions.map((p) => [
          name,
          p.partition,
          p.firstOffset,
          p.nextOffset,
          timeText(p.watermark),
        ]),
      );
      const text = flags.json
        ? `${JSON.stringify(listing)}\n`
        : renderTable(['topic', 'partition', 'first', 'next', 'watermark'], rows);
      await write(context.terminal.stdout, text);
    }),
  );
}
