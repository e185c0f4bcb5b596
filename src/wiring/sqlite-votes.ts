/** A SQLite table of votes, read only. */
import { DatabaseSync } from 'node:sqlite';
import { type MigratedVote, type VoteDatabase, type VoteHour, voteColumns } from '../jobs/index.ts';
import { FatalError, messageOf } from '../model/index.ts';
import { threadTurns } from '../runtime/index.ts';

export interface SqliteVotesOptions {
  readonly file: string;
  /** Default: the one table whose columns are those of votes. */
  readonly table?: string | undefined;
  /** Field → column. */
  readonly map: Readonly<Record<string, string>>;
  /** Of all votes, where no column tells. */
  readonly network?: string | undefined;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const HOUR_MS = 3_600_000;
/** Rows looked at without a pause: some 20 ms. */
const SCAN_ROWS = 50_000;
/** From each end of the table, to tell the unit of its times. */
const SAMPLE_ROWS = 1_000;
/** Times below this are seconds, then milliseconds, microseconds, nanoseconds: each reaches beyond the year 5000. */
const UNITS = [
  { below: 1e11, perSecond: 1n },
  { below: 1e14, perSecond: 1_000n },
  { below: 1e17, perSecond: 1_000_000n },
  { below: Number.POSITIVE_INFINITY, perSecond: 1_000_000_000n },
] as const;

/** @throws FatalError DATABASE_UNUSABLE, TABLE_UNKNOWN, COLUMNS_UNKNOWN. */
export function sqliteVotes(options: SqliteVotesOptions): VoteDatabase & { close(): void } {
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(options.file, { readOnly: true });
    db.prepare('SELECT count(*) FROM sqlite_master').get();
  } catch (error) {
    throw new FatalError(
      `${options.file} can't be read as a SQLite database: ${messageOf(error)}`,
      {
        code: 'DATABASE_UNUSABLE',
        cause: error,
      },
    );
  }
  const { table, columns } = chosen(db, options);
  const column = (field: string) =>
    columns[field] === undefined ? 'NULL' : quoted(columns[field] as string);
  const time = column('timestamp');
  const from = quoted(table);
  const someTimes = (order: string) =>
    `SELECT * FROM (SELECT ${time} AS time FROM ${from} WHERE ${time} IS NOT NULL ORDER BY rowid ${order} LIMIT ${SAMPLE_ROWS})`;
  const sample = db
    .prepare(
      `SELECT typeof(time) AS type, CAST(max(time) AS REAL) AS most FROM (${someTimes('ASC')} UNION ALL ${someTimes('DESC')})`,
    )
    .get() as { type: string | null; most: number | string | null } | undefined;
  const isText = sample?.type === 'text';
  const perSecond =
    UNITS.find(({ below }) => Math.abs(Number(sample?.most ?? 0)) < below)?.perSecond ?? 1_000n;
  const hour = perSecond * 3_600n;
  // Integers stay integers, since a double would round nanoseconds across an hour's bound.
  const hourOf = isText
    ? `CAST(floor(unixepoch(${time}) / 3600.0) AS INTEGER)`
    : `CASE typeof(${time}) WHEN 'integer' THEN (${time} - ((${time} % ${hour} + ${hour}) % ${hour})) / ${hour} ELSE CAST(floor(${time} / ${hour}.0) AS INTEGER) END`;
  const wanted = ['validator', 'voteAccount', 'network', 'votedSlot', 'landedSlot', 'latencySlots'];
  const select = [...wanted, 'timestamp', 'slotMs'].map((f) => `${column(f)} AS ${f}`).join(', ');
  return {
    async hours() {
      const stretch = db.prepare(
        `SELECT max(id) AS last FROM (SELECT rowid AS id FROM ${from} WHERE rowid > ? ORDER BY rowid LIMIT ${SCAN_ROWS})`,
      );
      const count = db.prepare(
        `SELECT ${hourOf} AS hour, count(*) AS n, min(rowid) AS a, max(rowid) AS b FROM ${from} WHERE rowid > ? AND rowid <= ? GROUP BY 1`,
      );
      const found = new Map<number, VoteHour>();
      let rowsWithoutTime = 0;
      for (let after = Number.MIN_SAFE_INTEGER; ; ) {
        const { last } = stretch.get(after) as { last: number | null };
        if (last === null) break;
        for (const row of count.all(after, last)) {
          const { hour, n, a, b } = row as { hour: number | null; n: number; a: number; b: number };
          if (hour === null) rowsWithoutTime += n;
          else {
            const known = found.get(hour);
            const [rows, firstRow] = [(known?.rows ?? 0) + n, known?.firstRow ?? a];
            found.set(hour, { startMs: hour * HOUR_MS, rows, firstRow, lastRow: b });
          }
        }
        after = last;
        // Whoever shares the thread, an engine, has its turn.
        await threadTurns.next();
      }
      const hours = [...found.values()].sort((one, other) => one.startMs - other.startMs);
      return { hours, rowsWithoutTime };
    },
    *votes(hour) {
      const query = db.prepare(
        `SELECT ${select} FROM ${from} WHERE rowid BETWEEN ? AND ? AND ${hourOf} = ? ORDER BY ${time}, rowid`,
      );
      query.setReadBigInts(true);
      const rows = query.iterate(hour.firstRow, hour.lastRow, hour.startMs / HOUR_MS);
      for (const row of rows as Iterable<Record<string, unknown>>) {
        yield voteOf(row, perSecond, options.network);
      }
    },
    close: () => db.close(),
  };
}

function voteOf(
  row: Record<string, unknown>,
  perSecond: bigint,
  network: string | undefined,
): { vote: MigratedVote; finer: boolean } {
  const votedSlot = Number(row.votedSlot);
  const landed = row.landedSlot ?? null;
  const { ms, finer } = timeOf(row.timestamp, perSecond);
  const vote: MigratedVote = {
    validator: String(row.validator),
    voteAccount: String(row.voteAccount),
    network: String(row.network ?? network),
    votedSlot,
    landedSlot: landed === null ? votedSlot + Number(row.latencySlots) : Number(landed),
    timestamp: ms,
    ...(row.slotMs === null ? {} : { slotMs: Number(row.slotMs) }),
  };
  return { vote, finer };
}

function timeOf(given: unknown, perSecond: bigint): { ms: number; finer: boolean } {
  if (typeof given === 'bigint') {
    if (perSecond <= 1_000n) return { ms: Number((given * 1_000n) / perSecond), finer: false };
    const per = perSecond / 1_000n;
    const rest = ((given % per) + per) % per;
    return { ms: Number((given - rest) / per), finer: rest !== 0n };
  }
  if (typeof given === 'number') {
    const exact = (given * 1_000) / Number(perSecond);
    const ms = Math.floor(exact + 1e-3);
    return { ms, finer: exact - ms > 2e-3 };
  }
  const text = String(given);
  const zoned = /(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text.replace(' ', 'T')}Z`;
  return { ms: Date.parse(zoned), finer: /\.\d{3}\d*[1-9]/.test(text) };
}

function chosen(db: DatabaseSync, options: SqliteVotesOptions) {
  const tables = (
    db
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
      .all() as { name: string }[]
  ).map(({ name }) => name);
  const columnsOf = (table: string) =>
    (db.prepare(`PRAGMA table_info(${quoted(table)})`).all() as { name: string }[]).map(
      ({ name }) => name,
    );
  const fitted = (table: string) => voteColumns(columnsOf(table), options.map, options.network);
  if (options.table !== undefined) {
    if (!tables.includes(options.table)) {
      throw new FatalError(
        `there is no table ${options.table}; there are: ${tables.join(', ') || 'none'}`,
        { code: 'TABLE_UNKNOWN' },
      );
    }
    return { table: options.table, columns: fitted(options.table) };
  }
  if (tables.length === 1)
    return { table: tables[0] as string, columns: fitted(tables[0] as string) };
  const fitting = tables.flatMap((table) => {
    try {
      return [{ table, columns: fitted(table) }];
    } catch {
      return [];
    }
  });
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only;
  throw new FatalError(
    `${fitting.length === 0 ? 'no table has' : 'several tables have'} the columns of votes; say --table: ${tables.join(', ') || 'there is none'}`,
    { code: 'TABLE_UNKNOWN' },
  );
}
