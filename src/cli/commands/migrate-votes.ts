/** `tidemark migrate-votes FILE`: a SQLite database of votes into the log, and so into every sink. */
import { join } from 'node:path';
import { Command } from 'commander';
import type { BacklogView, ReplayJob, TopologyView } from '../../api/index.ts';
import type { LogDoor } from '../../wiring/vote-log.ts';
import type { Client } from '../client.ts';
import {
  type CliContext,
  type ReachFlags,
  settingsFrom,
  withClient,
  withReach,
} from '../context.ts';
import { runJob } from '../run-job.ts';
import { renderTable } from '../table.ts';
import { write } from '../terminal.ts';
import { collect, UsageError } from '../usage.ts';

interface Flags extends ReachFlags {
  readonly table?: string;
  readonly map?: readonly string[];
  readonly network?: string;
  readonly topic: string;
  readonly state?: string;
  readonly dryRun?: boolean;
  readonly fresh?: boolean;
}

export function migrateVotesCommand(context: CliContext): Command {
  const command = new Command('migrate-votes')
    .description('a SQLite database of votes into the log, and so into every sink; resumable')
    .argument('<file>', 'the SQLite database')
    .option('--table <name>', 'table of votes (default: the one that looks like it)')
    .option(
      '--map <field=column>',
      'column of a field, where its name is not known; may be repeated',
      collect,
    )
    .option('--network <name>', 'network of all votes, where no column tells')
    .option(
      '--topic <name>',
      'topic they go to (auto: votes, or votes.migrated beside newer live votes)',
      'auto',
    )
    .option('--state <directory>', 'where the job is kept (default: migrate-votes in --data)')
    .option('--dry-run', 'print the hours that would be migrated')
    .option('--fresh', 'forget what an earlier run of the same command did');
  return withReach(command).action((file: string, flags: Flags) => migrate(context, file, flags));
}

async function migrate(context: CliContext, file: string, flags: Flags): Promise<void> {
  const { settings } = settingsFrom(context, flags);
  const { sqliteVotes } = await import('../../wiring/sqlite-votes.ts');
  const { migrateVotes } = await import('../../jobs/index.ts');
  const { voteLog } = await import('../../wiring/vote-log.ts');
  const database = sqliteVotes({
    file,
    table: flags.table,
    map: mapOf(flags.map ?? []),
    network: flags.network,
  });
  try {
    if (flags.dryRun) {
      const { hours, rowsWithoutTime } = await database.hours();
      const rows = hours.reduce((sum, hour) => sum + hour.rows, 0);
      await write(
        context.terminal.stdout,
        flags.json
          ? `${JSON.stringify({ hours, rows, rowsWithoutTime })}\n`
          : `${renderTable(
              ['hour', 'votes'],
              hours.map(({ startMs, rows }) => [new Date(startMs).toISOString(), rows]),
            )}would migrate ${rows} votes; ${rowsWithoutTime} rows have no time\n`,
      );
      return;
    }
    if (flags.url === undefined) {
      const { setUpTopics } = await import('../../wiring/set-up.ts');
      await setUpTopics(settings);
    }
    await withClient(context, flags, (client) =>
      runJob(context, {
        directory: flags.state ?? join(settings.data, 'migrate-votes'),
        kind: migrateVotes(database, voteLog(doorOf(client), context.terminal.clock)),
        input: { database: file, topic: flags.topic },
        fresh: flags.fresh,
        json: flags.json,
      }),
    );
  } finally {
    database.close();
  }
}

function mapOf(given: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (const each of given) {
    const [field, column] = each.split(/=(.*)/s);
    if (!field || !column) throw new UsageError(`--map: expected FIELD=COLUMN, got ${each}`);
    map[field] = column;
  }
  return map;
}

/** The engine's HTTP service. */
function doorOf(client: Client): LogDoor {
  return {
    topics: async () => (await client.get<{ topics: Topics }>('/v1/topics')).topics,
    page: ({ topic, partition, from, limit }) =>
      client.get(
        `/v1/topics/${encodeURIComponent(topic)}/records?partition=${partition}&from=${from}&limit=${limit}`,
      ),
    async append(topic, votes) {
      const lines = Buffer.from(votes.map((vote) => `${JSON.stringify(vote)}\n`).join(''));
      await client.postLines(`/v1/topics/${encodeURIComponent(topic)}/records`, lines);
    },
    async names() {
      const { topologies } = await client.get<{ topologies: TopologyView[] }>('/v1/topologies');
      const { sinks } = await client.get<{ sinks: BacklogView[] }>('/v1/backlog');
      return [...topologies.map(({ name }) => name), ...sinks.map(({ sink }) => sink)];
    },
    startReplay: (request) => client.post<ReplayJob>('/v1/replays', request),
    replay: (id) => client.get<ReplayJob>(`/v1/replays/${id}`),
  };
}

type Topics = Awaited<ReturnType<LogDoor['topics']>>;
