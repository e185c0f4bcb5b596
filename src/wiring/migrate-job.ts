/**
 * migrate-votes as a job of the engine. It reads only files below the folder that the settings name, wherever links
 * lead: who may call the service may not read whatever the engine may.
 */
import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import type { Static } from 'typebox';
import { type EngineView, readPage } from '../api/index.ts';
import {
  acceptedAs,
  type JobKind,
  type MigratedVote,
  type MigrateInput,
  migrateVotes,
} from '../jobs/index.ts';
import { FatalError, RetriableError } from '../model/index.ts';
import { type Clock, type Settings, Type } from '../runtime/index.ts';
import { sqliteVotes } from './sqlite-votes.ts';
import { type LogDoor, voteLog } from './vote-log.ts';

const text = Type.String({ minLength: 1, maxLength: 1_000 });

const requestSchema = Type.Object(
  {
    /** Below the folder. */
    file: text,
    table: Type.Optional(text),
    map: Type.Optional(Type.Record(Type.String(), text)),
    network: Type.Optional(text),
    topic: Type.Optional(text),
  },
  { additionalProperties: false },
);

type Request = Static<typeof requestSchema>;

type Input = MigrateInput & {
  readonly table: string | null;
  readonly map: Readonly<Record<string, string>>;
  readonly network: string | null;
};

export interface MigrateJobOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly view: Pick<
    EngineView,
    'broker' | 'keyField' | 'topologies' | 'backlog' | 'blocked' | 'replays'
  >;
}

export function migrateJob({ settings, clock, view }: MigrateJobOptions): JobKind<Input> {
  const log = voteLog(doorOf(view), clock);
  const { directory } = settings.migrate;
  const open = ({ database: file, table, map, network }: Input) =>
    sqliteVotes({
      file: fileBelow(directory, file),
      table: table ?? undefined,
      map,
      network: network ?? undefined,
    });
  const { name, noun, title, summary } = migrateVotes(nothing, log);
  return {
    name,
    noun,
    title,
    ...(summary === undefined ? {} : { summary }),
    // Two that write hours of one topic in turns would make votes of the one late by the other.
    runningMax: { jobs: 1, code: 'TOO_MANY_JOBS' },
    async accept(asked) {
      const { file, table, map, network, topic }: Request = acceptedAs(requestSchema, asked);
      const input = {
        database: file,
        topic: topic ?? 'auto',
        table: table ?? null,
        map: map ?? {},
        network: network ?? null,
      };
      open(input).close();
      return input;
    },
    async *plan(input, context) {
      const database = open(input);
      try {
        yield* migrateVotes(database, log).plan(input, context);
      } finally {
        database.close();
      }
    },
    async run(unit, input, context) {
      const database = open(input);
      try {
        return await migrateVotes(database, log).run(unit, input, context);
      } finally {
        database.close();
      }
    },
  };
}

/** For what of a kind does not depend on its database. */
const nothing = { hours: async () => ({ hours: [], rowsWithoutTime: 0 }), votes: () => [] };

/** @throws FatalError JOB_NOT_OFFERED, FILE_NOT_OFFERED. */
export function fileBelow(directory: string | undefined, file: string): string {
  if (directory === undefined) {
    throw new FatalError(
      'this engine reads no SQLite files: set TIDEMARK_MIGRATE_DIRECTORY, the folder below which they may lie',
      { code: 'JOB_NOT_OFFERED' },
    );
  }
  try {
    const folder = realpathSync(directory);
    const real = realpathSync(resolve(folder, file));
    const way = relative(folder, real);
    const isBelow = way !== '' && way.split(sep)[0] !== '..' && !isAbsolute(way);
    if (isBelow && statSync(real).isFile()) return real;
  } catch {
    // Not there, or not to be looked at: no other answer, which would tell what lies outside.
  }
  throw new FatalError(
    `there is no file ${JSON.stringify(file)} below the folder of TIDEMARK_MIGRATE_DIRECTORY`,
    { code: 'FILE_NOT_OFFERED' },
  );
}

function doorOf(view: MigrateJobOptions['view']): LogDoor {
  return {
    topics: () => view.broker.describeTopics(),
    page: async ({ from, ...range }) =>
      JSON.parse(await readPage(view.broker, { ...range, from: String(from) })),
    async append(topic, votes) {
      const full = view.blocked(topic);
      if (full !== undefined) throw new RetriableError(full, { code: 'BACKLOG_FULL' });
      const field = view.keyField(topic) ?? 'validator';
      await view.broker.append(
        topic,
        votes.map((vote) => ({
          key: String(vote[field as keyof MigratedVote]),
          value: JSON.stringify(vote),
        })),
      );
    },
    async names() {
      const sinks = await view.backlog();
      return [...view.topologies().map(({ name }) => name), ...sinks.map(({ sink }) => sink)];
    },
    startReplay: (request) => view.replays.start(request),
    async replay(id) {
      const job = view.replays.get(id);
      if (job !== undefined) return job;
      throw new RetriableError(`the replay ${id} is not known any more`, { code: 'REPLAY_FAILED' });
    },
  };
}
