/**
 * Votes of another program's database into the log, so that they are rolled up as live votes are [V7]. A unit is an
 * hour of event time, read in order of time; hours follow one another, so that no vote comes late.
 *
 * Each unit keeps where the log ended before its first vote: a later attempt looks what came behind that and leaves
 * out what is there already. Where live votes are already newer than those migrated, all would be late: they go to a
 * topic of their own then, and a last unit has it replayed into every sink (decision 0031).
 */
import { FatalError, PoisonError } from '../model/index.ts';
import type { JobKind, Json, UnitContext, UnitOutcome } from './contract.ts';

export interface MigratedVote {
  readonly validator: string;
  readonly voteAccount: string;
  readonly network: string;
  readonly votedSlot: number;
  readonly landedSlot: number;
  readonly timestamp: number;
  readonly slotMs?: number;
}

export interface VoteHour {
  /** ms; a whole hour. */
  readonly startMs: number;
  readonly rows: number;
  readonly firstRow: number;
  readonly lastRow: number;
}

export interface VoteDatabase {
  /** By time. Rows without a usable time are no hour's. */
  hours(): Promise<{ readonly hours: readonly VoteHour[]; readonly rowsWithoutTime: number }>;
  /** By time, then by row. `finer`: the time was finer than a millisecond. */
  votes(hour: VoteHour): Iterable<{ readonly vote: MigratedVote; readonly finer: boolean }>;
}

export interface LoggedVote extends MigratedVote {
  readonly offset: number;
}

export interface VoteLog {
  /** Makes the topic when it is missing; its partitions' next offsets. */
  ends(topic: string): Promise<readonly number[]>;
  /** Newest event time in the topic; undefined when it is empty. */
  newest(topic: string): Promise<number | undefined>;
  /** Durable when it resolves. */
  append(topic: string, votes: readonly MigratedVote[]): Promise<void>;
  /** What stands at and behind these offsets. */
  read(topic: string, ends: readonly number[], signal: AbortSignal): AsyncIterable<LoggedVote>;
  /** Has a topic's votes rolled up and written into every sink, apart from live ones. */
  replay(signal: AbortSignal, progress: (records: number) => void): Promise<number>;
}

export type MigrateInput = { readonly database: string; readonly topic: string };

type Work =
  | { readonly hour: VoteHour & Record<string, Json>; readonly topic: string }
  | { readonly missing: number }
  | { readonly replay: true };

type Kept = { readonly ends: readonly number[] };

export const LIVE_TOPIC = 'votes';
export const MIGRATED_TOPIC = 'votes.migrated';

const HOUR_MS = 3_600_000;
const APPEND_VOTES = 2_000;
/** Votes of an hour that are compared field by field. */
const SPOT_CHECKS = 20;

export function migrateVotes(database: VoteDatabase, log: VoteLog): JobKind<MigrateInput> {
  return {
    name: 'migrate-votes',
    noun: 'votes',
    title: (input) => `${input.database} → ${input.topic}`,
    async *plan(input) {
      const { hours, rowsWithoutTime } = await database.hours();
      if (rowsWithoutTime > 0) {
        const work = { missing: rowsWithoutTime };
        yield { name: 'rows without a time', work, size: 0 };
      }
      const [first] = hours;
      if (first === undefined) return;
      const newest = input.topic === 'auto' ? await log.newest(LIVE_TOPIC) : undefined;
      const isBehind = newest !== undefined && newest >= first.startMs;
      const topic = input.topic !== 'auto' ? input.topic : isBehind ? MIGRATED_TOPIC : LIVE_TOPIC;
      for (const hour of hours) {
        const work = { hour: { ...hour }, topic };
        yield { name: new Date(hour.startMs).toISOString().slice(0, 13), work, size: hour.rows };
      }
      if (topic === MIGRATED_TOPIC) {
        yield { name: 'into the sinks', work: { replay: true }, size: 0 };
      }
    },
    async run(unit, _, context) {
      const work = unit.work as Work;
      if ('missing' in work) {
        throw new PoisonError(`${work.missing} rows have no time that can be read`, {
          code: 'TIME_MISSING',
        });
      }
      if ('replay' in work) {
        const records = await log.replay(context.signal, () => {});
        return { done: 0, notes: [`${records} votes were replayed into the sinks`] };
      }
      return migrateHour(database, log, work, context);
    },
    summary: (outcomes) => {
      let [votes, hours, finer] = [0, 0, 0];
      for (const { result } of outcomes) {
        const counts = result as { votes: number; finer: number } | undefined;
        if (counts === undefined) continue;
        hours++;
        votes += counts.votes;
        finer += counts.finer;
      }
      return [
        `${hours} hours with ${votes} votes: as many in the log as in the database, hour by hour`,
        finer === 0
          ? 'all times are whole milliseconds'
          : `${finer} times were finer than a millisecond and are cut to it`,
      ];
    },
  };
}

async function migrateHour(
  database: VoteDatabase,
  log: VoteLog,
  { hour, topic }: Extract<Work, { topic: string }>,
  { signal, progress, kept, keep }: UnitContext,
): Promise<UnitOutcome> {
  const begun = kept as Kept | undefined;
  const ends = begun?.ends ?? (await log.ends(topic));
  if (begun === undefined) await keep({ ends } satisfies Kept as unknown as Json);
  const there =
    begun === undefined ? new Map<string, number>() : await present(log, topic, hour, ends, signal);
  let finerCount = 0;
  let rows = 0;
  const samples: MigratedVote[] = [];
  const every = Math.max(1, Math.floor(hour.rows / SPOT_CHECKS));
  let batch: MigratedVote[] = [];
  const flush = async () => {
    if (batch.length > 0) await log.append(topic, batch);
    batch = [];
  };
  for (const { vote, finer } of database.votes(hour)) {
    if (finer) finerCount++;
    if (rows++ % every === 0) samples.push(vote);
    const identity = identityOf(vote);
    const copies = there.get(identity) ?? 0;
    if (copies > 0) there.set(identity, copies - 1);
    else batch.push(vote);
    if (batch.length >= APPEND_VOTES) {
      signal.throwIfAborted();
      await flush();
    }
    if (rows % APPEND_VOTES === 0) progress(APPEND_VOTES);
  }
  await flush();
  await check(log, topic, hour, { ends, rows, samples }, signal);
  return { done: rows, result: { votes: rows, finer: finerCount } };
}

/** Votes of the hour behind these offsets, with how often each is there. */
async function present(
  log: VoteLog,
  topic: string,
  hour: VoteHour,
  ends: readonly number[],
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const there = new Map<string, number>();
  for await (const vote of log.read(topic, ends, signal)) {
    if (!isIn(hour, vote)) continue;
    const identity = identityOf(vote);
    there.set(identity, (there.get(identity) ?? 0) + 1);
  }
  return there;
}

async function check(
  log: VoteLog,
  topic: string,
  hour: VoteHour,
  {
    ends,
    rows,
    samples,
  }: {
    readonly ends: readonly number[];
    readonly rows: number;
    readonly samples: readonly MigratedVote[];
  },
  signal: AbortSignal,
): Promise<void> {
  const wanted = new Map(samples.map((vote) => [identityOf(vote), vote]));
  let found = 0;
  for await (const { offset: _, ...vote } of log.read(topic, ends, signal)) {
    if (!isIn(hour, vote)) continue;
    found++;
    const sample = wanted.get(identityOf(vote));
    if (sample !== undefined && JSON.stringify(sample) === JSON.stringify(vote)) {
      wanted.delete(identityOf(vote));
    }
  }
  if (found !== rows) {
    throw new PoisonError(`the log has ${found} votes of this hour, the database ${rows}`, {
      code: 'MIGRATION_DIFFERENT',
    });
  }
  const [missing] = wanted.values();
  if (missing !== undefined) {
    throw new PoisonError(`a vote is not in the log as it should be: ${JSON.stringify(missing)}`, {
      code: 'MIGRATION_DIFFERENT',
    });
  }
}

const isIn = ({ startMs }: VoteHour, { timestamp }: MigratedVote): boolean =>
  timestamp >= startMs && timestamp < startMs + HOUR_MS;

const identityOf = (vote: MigratedVote): string =>
  `${vote.voteAccount}:${vote.votedSlot}:${vote.landedSlot}:${vote.timestamp}`;

/** What a program may have called the columns; the first that is there is taken. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  validator: ['validator', 'validator_id', 'validator_pubkey', 'identity', 'node_pubkey', 'pubkey'],
  voteAccount: [
    'vote_account',
    'voteaccount',
    'vote_pubkey',
    'vote_account_pubkey',
    'vote_account_id',
  ],
  network: ['network', 'cluster'],
  votedSlot: ['voted_slot', 'votedslot', 'voted_on_slot', 'vote_slot', 'slot'],
  landedSlot: ['landed_slot', 'landedslot', 'landed_on_slot', 'landing_slot'],
  latencySlots: ['latency_slots', 'latency', 'vote_latency'],
  timestamp: ['timestamp', 'time', 'ts', 'created_at', 'recorded_at', 'block_time'],
  slotMs: ['slot_ms', 'slotms', 'slot_time_ms'],
};

export type VoteColumns = Readonly<Partial<Record<string, string>>>;

/**
 * Which column holds what: `given` first, the rest by name.
 * @throws FatalError COLUMNS_UNKNOWN naming what is missing and what there is.
 */
export function voteColumns(
  columns: readonly string[],
  given: Readonly<Record<string, string>>,
  network: string | undefined,
): VoteColumns {
  const found: Record<string, string> = {};
  for (const [field, names] of Object.entries(NAMES)) {
    const wanted = given[field];
    const column =
      wanted ??
      names
        .map((name) => columns.find((c) => c.toLowerCase() === name))
        .find((c) => c !== undefined);
    if (column === undefined) continue;
    if (!columns.includes(column)) throw unknown(`there is no column ${column}`, columns);
    found[field] = column;
  }
  for (const field of Object.keys(given)) {
    if (!(field in NAMES)) throw unknown(`a vote has no field ${field}`, Object.keys(NAMES));
  }
  for (const field of ['validator', 'voteAccount', 'votedSlot', 'timestamp'] as const) {
    if (found[field] === undefined)
      throw unknown(`no column is known for ${field}`, columns, field);
  }
  if (found.landedSlot === undefined && found.latencySlots === undefined) {
    throw unknown('no column is known for landedSlot or latencySlots', columns, 'landedSlot');
  }
  if (found.network === undefined && network === undefined) {
    throw unknown('no column tells the network', columns, 'network', ' or give --network');
  }
  return found;
}

const unknown = (what: string, known: readonly string[], field?: string, or = '') =>
  new FatalError(
    `${what}; there are: ${known.join(', ')}.${field === undefined ? '' : ` Say --map ${field}=COLUMN${or}`}`,
    { code: 'COLUMNS_UNKNOWN' },
  );
