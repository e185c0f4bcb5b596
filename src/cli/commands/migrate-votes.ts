/** `tidemark migrate-votes FILE`: a SQLite database of votes into the log, and so into every sink. */
import { join } from 'node:path';
import { Command } from 'commander';
import type { BacklogView, ReplayJob, TopologyView } from '../../api/index.ts';
import type { LoggedVote, MigratedVote, VoteLog } from '../../jobs/index.ts';
import { FatalError, RetriableError, TidemarkError } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
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

const PAGE_RECORDS = 10_000;
const POLL_MS = 200;

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
  const database = sqliteVotes({
    file,
    table: flags.table,
    map: mapOf(flags.map ?? []),
    network: flags.network,
  });
  try {
    if (flags.dryRun) {
      const { hours, rowsWithoutTime } = database.hours();
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
        kind: migrateVotes(database, logOf(client, context.terminal.clock)),
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

interface Page {
  readonly records: readonly { readonly offset: number; readonly value: MigratedVote }[];
  readonly next: number;
}

/** The log behind an engine's HTTP service; an engine that is away may come back. */
function logOf(client: Client, clock: Clock): VoteLog {
  const patiently = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      const passing =
        error instanceof TidemarkError &&
        /^(ENGINE_UNREACHABLE|UNAVAILABLE|RATE_LIMITED|HTTP_50\d)$/.test(error.code);
      if (!passing) throw error;
      throw new RetriableError(error.message, { code: error.code, cause: error });
    }
  };
  const partitionsOf = async (topic: string) => {
    const { topics } = await patiently(() =>
      client.get<{
        topics: {
          name: string;
          partitions: { partition: number; firstOffset: number; nextOffset: number }[];
        }[];
      }>('/v1/topics'),
    );
    return topics.find(({ name }) => name === topic)?.partitions;
  };
  const pageOf = (topic: string, partition: number, from: number, limit: number) =>
    patiently(() =>
      client.get<Page>(
        `/v1/topics/${encodeURIComponent(topic)}/records?partition=${partition}&from=${from}&limit=${limit}`,
      ),
    );
  return {
    async ends(topic) {
      const partitions = await partitionsOf(topic);
      if (partitions === undefined) {
        throw new FatalError(
          `there is no topic ${topic}; tidemark setup makes votes and votes.migrated, others are made by who runs the log`,
          { code: 'UNKNOWN_TOPIC' },
        );
      }
      return partitions.map(({ nextOffset }) => nextOffset);
    },
    async newest(topic) {
      let newest: number | undefined;
      for (const { partition, firstOffset, nextOffset } of (await partitionsOf(topic)) ?? []) {
        if (nextOffset === firstOffset) continue;
        const { records } = await pageOf(
          topic,
          partition,
          Math.max(firstOffset, nextOffset - 200),
          200,
        );
        for (const { value } of records) {
          if (typeof value?.timestamp === 'number' && value.timestamp > (newest ?? 0)) {
            newest = value.timestamp;
          }
        }
      }
      return newest;
    },
    async append(topic, votes) {
      const lines = Buffer.from(votes.map((vote) => `${JSON.stringify(vote)}\n`).join(''));
      await patiently(() =>
        client.postLines(`/v1/topics/${encodeURIComponent(topic)}/records`, lines),
      );
    },
    async *read(topic, ends, signal) {
      for (const [partition, from] of ends.entries()) {
        for (let at = from; ; ) {
          signal.throwIfAborted();
          const { records, next } = await pageOf(topic, partition, at, PAGE_RECORDS);
          for (const { offset, value } of records) yield { offset, ...value } as LoggedVote;
          if (records.length === 0 || next <= at) break;
          at = next;
        }
      }
    },
    async replay(signal) {
      const { topologies } = await client.get<{ topologies: TopologyView[] }>('/v1/topologies');
      const { sinks } = await client.get<{ sinks: BacklogView[] }>('/v1/backlog');
      const names = new Set([
        ...topologies.map(({ name }) => name),
        ...sinks.map(({ sink }) => sink),
      ]);
      const known = [...names];
      const rollups = known.filter((name) =>
        /^(history|kairos\.rollups|influx\.(rollups-5m|validator-metrics))$/.test(name),
      );
      const raw = known.filter((name) => /^(kairos|influx)\.votes$/.test(name));
      let records = 0;
      const runs = [
        { name: 'vote-latency.migrated', into: rollups },
        ...raw.map((name) => ({ name: `${name}.migrated`, into: undefined })),
      ];
      for (const { name, into } of runs) {
        if (into?.length === 0) continue;
        let job = await patiently(() =>
          client.post<ReplayJob>('/v1/replays', {
            name,
            from: { offset: 0 },
            ...(into === undefined ? {} : { into }),
          }),
        );
        while (job.state === 'running') {
          await clock.sleep(POLL_MS, signal);
          job = await patiently(() => client.get<ReplayJob>(`/v1/replays/${job.id}`));
        }
        if (job.state !== 'done') {
          throw new RetriableError(
            `the replay of ${name} ${job.state}: ${job.error?.message ?? ''}`,
            {
              code: job.error?.code ?? 'REPLAY_FAILED',
            },
          );
        }
        records = Math.max(records, job.progress.total);
      }
      return records;
    },
  };
}
