/** `tidemark lag`: how far each topology and sink is behind the end of what it reads. */
import { Command } from 'commander';
import type { BacklogView, TopologyView } from '../../api/index.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { renderTable } from '../table.ts';
import { write } from '../terminal.ts';

interface LagRow {
  readonly kind: 'topology' | 'sink';
  readonly name: string;
  readonly topic: string;
  /** null for a sink: its lag is over all partitions. */
  readonly partition: number | null;
  readonly nextOffset: number | null;
  readonly endOffset: number | null;
  readonly lag: number;
}

export function lagCommand(context: CliContext): Command {
  const command = new Command('lag').description('records that topologies and sinks are behind');
  return withReach(command).action((flags: ReachFlags) =>
    withClient(context, flags, async (client) => {
      const { topologies } = await client.get<{ topologies: TopologyView[] }>('/v1/topologies');
      const { sinks } = await client.get<{ sinks: BacklogView[] }>('/v1/backlog');
      const rows = [...topologies.flatMap(topologyRows), ...sinks.map(sinkRow)];
      const text = flags.json
        ? `${JSON.stringify({ lag: rows })}\n`
        : renderTable(
            ['kind', 'name', 'topic', 'partition', 'position', 'end', 'lag'],
            rows.map((r) => [
              r.kind,
              r.name,
              r.topic,
              r.partition,
              r.nextOffset,
              r.endOffset,
              r.lag,
            ]),
          );
      await write(context.terminal.stdout, text);
    }),
  );
}

const topologyRows = ({ name, tasks }: TopologyView): LagRow[] =>
  tasks.flatMap((task) =>
    task.offsets.map(({ topic, partition, nextOffset, endOffset, lag }) => ({
      kind: 'topology' as const,
      name,
      topic,
      partition,
      nextOffset,
      endOffset,
      lag,
    })),
  );

const sinkRow = ({ sink, topic, points }: BacklogView): LagRow => ({
  kind: 'sink',
  name: sink,
  topic,
  partition: null,
  nextOffset: null,
  endOffset: null,
  lag: points,
});
