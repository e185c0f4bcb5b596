/**
 * Any InfluxDB through its InfluxQL door, which 1.4 – 1.8 and 2.x share: what is in a database, and its points in
 * pages of a bounded number of rows. One query at a time per call; nothing is held but a chunk.
 */
import {
  CHECKSUM_MODULO,
  FatalError,
  floorTo,
  HOUR_NS,
  messageOf,
  type Point,
  RetriableError,
  type TidemarkError,
} from '../../model/index.ts';
import type { InfluxConfig } from './config.ts';
import { LineEncoder } from './line-encoder.ts';
import { DocumentSplitter } from './msgpack.ts';
import { type Cell, type ReplyPart, type ReplySeries, type Rows, readPart } from './query-reply.ts';

export interface InfluxqlConfig {
  readonly url: string;
  /** 1.x: the database; 2.x: the bucket. */
  readonly database: string;
  /** Absent: the database's default. */
  readonly retentionPolicy?: string;
  /** Replies may come packed. Where there is no network between it costs both ends more than it saves. */
  readonly gzip: boolean;
  /** The Authorization header; absent: none. */
  readonly authorization?: string;
  /** For messages: `the source`. */
  readonly who: string;
}

export interface MeasurementSchema {
  readonly fields: readonly string[];
  readonly tags: readonly string[];
}

export interface PointsSlice {
  readonly measurement: string;
  readonly schema: MeasurementSchema;
  /** Half-open. */
  readonly fromNs: bigint;
  readonly toNs: bigint;
  /** No query asks for more rows than this. */
  readonly maxRows: number;
}

/** Some points of a slice, as bytes; values are made of them only where somebody asks. */
export interface LinesPart {
  readonly count: number;
  readonly firstNs: bigint;
  /** Of all its checksums, modulo CHECKSUM_MODULO. */
  readonly sum: number;
  /** All of them as line protocol, series by series; undefined: one of them can't be written just as it is. */
  readonly bodies: readonly Uint8Array<ArrayBuffer>[] | undefined;
  points(): readonly Point[];
  /** One for each point: the CRC-32 of its row. */
  sums(): readonly number[];
}

/** Rows and the sum of their checksums, in any order. */
export interface PointsDigest {
  readonly rows: number;
  readonly sum: number;
}

/** In which a measurement's fullest field is looked for. */
const SAMPLE_NS = HOUR_NS / 12n;
/** Rows in one chunk of a reply, at most. */
const CHUNK_ROWS = 10_000;
/** What is written as one part: the more rows, the more of each series one after another. */
const PART_ROWS_MAX = 50_000;
/** Rows above this are a part of their own. */
const PART_BYTES = 8 * 1_048_576;

export class InfluxqlReader {
  readonly #config: InfluxqlConfig;
  /** The field by which a measurement's points are counted. */
  readonly #fullest = new Map<string, string>();

  constructor(config: InfluxqlConfig) {
    this.#config = config;
  }

  async measurements(signal: AbortSignal): Promise<readonly string[]> {
    const found = await this.#column('SHOW MEASUREMENTS', 'name', signal);
    if (found.length === 0) await this.#expectDatabase(signal);
    return found.sort();
  }

  /** A 1.x says of a database that it has not only that it is empty. */
  async #expectDatabase(signal: AbortSignal): Promise<void> {
    const { database, who, url } = this.#config;
    const known = await this.#column('SHOW DATABASES', 'name', signal);
    if (known.includes(database)) return;
    throw new FatalError(
      `${who} at ${url} has no database ${JSON.stringify(database)}; this user sees: ${known.join(', ') || 'none'}`,
      { code: 'INFLUX_NOT_FOUND' },
    );
  }

  async schema(measurement: string, signal: AbortSignal): Promise<MeasurementSchema> {
    const from = this.#from(measurement);
    const fields = await this.#column(`SHOW FIELD KEYS FROM ${from}`, 'fieldKey', signal);
    const tags = await this.#column(`SHOW TAG KEYS FROM ${from}`, 'tagKey', signal);
    // A field of several types is told once for each.
    return { fields: [...new Set(fields)].sort(), tags: tags.sort() };
  }

  /** Times of the first and the last point within the range. */
  async span(
    measurement: string,
    { fromNs, toNs }: { readonly fromNs: bigint | undefined; readonly toNs: bigint },
    signal: AbortSignal,
  ): Promise<{ readonly firstNs: bigint; readonly lastNs: bigint } | undefined> {
    const where = `time < ${toNs}${fromNs === undefined ? '' : ` AND time >= ${fromNs}`}`;
    const one = async (order: 'ASC' | 'DESC') => {
      const query = `SELECT * FROM ${this.#from(measurement)} WHERE ${where} ORDER BY time ${order} LIMIT 1`;
      const [series] = await this.#all(query, signal);
      return series?.rows.timeNs(0);
    };
    const firstNs = await one('ASC');
    const lastNs = firstNs === undefined ? undefined : await one('DESC');
    return firstNs === undefined || lastNs === undefined ? undefined : { firstNs, lastNs };
  }

  /**
   * Hours of the range that hold points, with how many their fullest field has. Counting all fields reads all that the
   * server has of them, so that is done for some minutes; the one that was the fullest there is counted in all hours,
   * here and whenever it is asked again, and all fields only in the stretch of hours in which that one has gaps.
   */
  async hours(
    measurement: string,
    { fromNs, toNs }: { readonly fromNs: bigint; readonly toNs: bigint },
    signal: AbortSignal,
  ): Promise<readonly { readonly startNs: bigint; readonly points: number }[]> {
    const count = (what: string, from: bigint, to: bigint) =>
      this.#countByHour(measurement, { what, fromNs: from, toNs: to < toNs ? to : toNs }, signal);
    const remember = (field: string | undefined) =>
      field === undefined ? undefined : this.#fullest.set(measurement, field);
    if (!this.#fullest.has(measurement)) {
      remember((await count('*', fromNs, fromNs + SAMPLE_NS)).fullest);
    }
    const field = this.#fullest.get(measurement);
    const one =
      field === undefined ? [] : (await count(`${identifier(field)}::field`, fromNs, toNs)).hours;
    const found = new Map(one.map((hour) => [hour.startNs, hour]));
    const gaps: bigint[] = [];
    for (let hour = floorTo(fromNs, HOUR_NS); hour < toNs; hour += HOUR_NS) {
      if (!found.has(hour)) gaps.push(hour);
    }
    const [gap] = gaps;
    if (gap !== undefined) {
      const all = await count('*', gap < fromNs ? fromNs : gap, (gaps.at(-1) as bigint) + HOUR_NS);
      for (const hour of all.hours) found.set(hour.startNs, hour);
      if (one.length === 0) remember(all.fullest);
    }
    return [...found.values()].sort((a, b) => (a.startNs < b.startNs ? -1 : 1));
  }

  async #countByHour(
    measurement: string,
    {
      what,
      fromNs,
      toNs,
    }: { readonly what: string; readonly fromNs: bigint; readonly toNs: bigint },
    signal: AbortSignal,
  ): Promise<{
    readonly hours: readonly { readonly startNs: bigint; readonly points: number }[];
    /** The field that has most points in all of them, when all were counted. */
    readonly fullest: string | undefined;
  }> {
    const query = `SELECT count(${what}) FROM ${this.#from(measurement)} WHERE time >= ${fromNs} AND time < ${toNs} GROUP BY time(1h) fill(none)`;
    const hours: { startNs: bigint; points: number }[] = [];
    const totals = new Map<string, number>();
    for (const { rows, columns } of await this.#all(query, signal)) {
      for (const [time, ...counts] of rows) {
        const numbers = counts.map((count) => Number(count ?? 0));
        const points = Math.max(0, ...numbers);
        if (points > 0) hours.push({ startNs: time as bigint, points });
        for (const [i, number] of numbers.entries()) {
          const column = columns[i + 1] as string;
          totals.set(column, (totals.get(column) ?? 0) + number);
        }
      }
    }
    const [fullest] = [...totals].sort((a, b) => b[1] - a[1])[0] ?? [];
    return { hours, fullest: fullest?.replace(/^count_/, '') };
  }

  /** All points of the slice, by time. */
  async *points(slice: PointsSlice, signal: AbortSignal): AsyncGenerator<readonly Point[]> {
    for await (const blocks of this.#pages(slice, signal)) yield pointsOf(slice, blocks);
  }

  /** The same, ready to be written into another one: at most a page's rows in one part, in memory all at once. */
  async *lines(slice: PointsSlice, signal: AbortSignal): AsyncGenerator<LinesPart> {
    const { measurement, schema } = slice;
    const encoder = new LineEncoder(measurement, schema.fields, schema.tags);
    const partOf = (blocks: readonly Rows[]): LinesPart => ({
      ...encoder.encode(blocks),
      count: rowsOf(blocks),
      firstNs: (blocks[0] as Rows).timeNs(0),
      points: () => pointsOf(slice, blocks),
      sums: () => blocks.flatMap(checksumsOf),
    });
    const rowsMax = Math.min(slice.maxRows, PART_ROWS_MAX);
    let held: Rows[] = [];
    let bytes = 0;
    for await (const blocks of this.#pages(slice, signal)) {
      if (held.length > 0 && (bytes > PART_BYTES || rowsOf(held) + rowsOf(blocks) > rowsMax)) {
        yield partOf(held);
        [held, bytes] = [[], 0];
      }
      held.push(...blocks);
      for (const block of blocks) bytes += block.byteLength;
    }
    if (held.length > 0) yield partOf(held);
  }

  /**
   * Reads the slice without keeping any of it. It is one query: who must not ask for too much asks slice by slice.
   */
  async digest(slice: Omit<PointsSlice, 'maxRows'>, signal: AbortSignal): Promise<PointsDigest> {
    let rows = 0;
    let sum = 0;
    for await (const part of this.#query(this.#select(slice), signal, slice.schema.fields.length)) {
      for (const series of part.series) {
        rows += series.rows.count;
        sum = (sum + series.rows.sum()) % CHECKSUM_MODULO;
      }
    }
    return { rows, sum };
  }

  /**
   * Page after page by time. Rows of a full page's last instant are read again with the next page, which begins
   * there; an instant that fills a page alone is paged by OFFSET.
   */
  async *#pages(slice: PointsSlice, signal: AbortSignal): AsyncGenerator<readonly Rows[]> {
    const { maxRows, toNs } = slice;
    let fromNs = slice.fromNs;
    while (fromNs < toNs) {
      let seen = 0;
      let given = 0;
      let held: Held = { blocks: [], timeNs: fromNs };
      for await (const rows of this.#rows(slice, { fromNs, toNs, offset: 0 }, signal)) {
        seen += rows.count;
        const cut = cutAtLastTime(rows, held);
        held = cut.held;
        given += cut.whole.length;
        if (cut.whole.length > 0) yield cut.whole;
      }
      if (seen < maxRows) {
        if (held.blocks.length > 0) yield held.blocks;
        return;
      }
      if (given > 0) {
        fromNs = held.timeNs;
        continue;
      }
      yield* this.#instant(slice, held, signal);
      fromNs = held.timeNs + 1n;
    }
  }

  /** The rest of an instant whose first page is held. */
  async *#instant(
    slice: PointsSlice,
    { blocks, timeNs }: Held,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Rows[]> {
    yield blocks;
    const range = { fromNs: timeNs, toNs: timeNs + 1n };
    for (let offset = slice.maxRows; ; ) {
      let seen = 0;
      for await (const rows of this.#rows(slice, { ...range, offset }, signal)) {
        seen += rows.count;
        yield [rows];
      }
      offset += seen;
      if (seen < slice.maxRows) return;
    }
  }

  async *#rows(
    { measurement, schema, maxRows }: PointsSlice,
    {
      offset,
      ...range
    }: { readonly fromNs: bigint; readonly toNs: bigint; readonly offset: number },
    signal: AbortSignal,
  ): AsyncGenerator<Rows> {
    const page = `LIMIT ${maxRows}${offset > 0 ? ` OFFSET ${offset}` : ''}`;
    const query = `${this.#select({ measurement, schema, ...range })} ${page}`;
    for await (const { series } of this.#query(query, signal, schema.fields.length)) {
      for (const { rows } of series) if (rows.count > 0) yield rows;
    }
  }

  /** Rows of time, fields and tags, by time. */
  #select({ measurement, schema, fromNs, toNs }: Omit<PointsSlice, 'maxRows'>): string {
    const columns = [
      ...schema.fields.map((name) => `${identifier(name)}::field`),
      ...schema.tags.map((name) => `${identifier(name)}::tag`),
    ];
    return `SELECT ${columns.join(', ')} FROM ${this.#from(measurement)} WHERE time >= ${fromNs} AND time < ${toNs}`;
  }

  #from(measurement: string): string {
    const { retentionPolicy } = this.#config;
    const policy = retentionPolicy === undefined ? '' : `${identifier(retentionPolicy)}.`;
    return `${policy}${identifier(measurement)}`;
  }

  async #column(query: string, column: string, signal: AbortSignal): Promise<string[]> {
    return (await this.#all(query, signal)).flatMap(({ rows, columns }) =>
      [...rows].map((row) => String(row[columns.indexOf(column)])),
    );
  }

  async #all(query: string, signal: AbortSignal): Promise<readonly ReplySeries[]> {
    const all: ReplySeries[] = [];
    for await (const { series } of this.#query(query, signal)) all.push(...series);
    return all;
  }

  async *#query(query: string, signal: AbortSignal, fields = 0): AsyncGenerator<ReplyPart> {
    const { url, database, gzip, authorization, who } = this.#config;
    const options = new URLSearchParams({
      db: database,
      epoch: 'ns',
      chunked: 'true',
      chunk_size: String(CHUNK_ROWS),
    });
    const away = (error: unknown) => {
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      return new RetriableError(`${who} at ${url} does not answer in full: ${messageOf(cause)}`, {
        code: 'INFLUX_UNREACHABLE',
        cause: error,
      });
    };
    let reply: Response;
    try {
      reply = await fetch(`${url}/query?${options}`, {
        method: 'POST',
        headers: {
          accept: 'application/x-msgpack',
          ...(gzip ? {} : { 'accept-encoding': 'identity' }),
          'content-type': 'application/x-www-form-urlencoded',
          ...(authorization === undefined ? {} : { authorization }),
        },
        body: new URLSearchParams({ q: query }).toString(),
        redirect: 'manual',
        signal,
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw away(error);
    }
    if (!reply.ok) throw this.#refused(reply.status, await reply.text().catch(() => ''));
    if (!reply.headers.get('content-type')?.includes('msgpack')) {
      await reply.body?.cancel();
      throw new FatalError(
        `${who} at ${url} does not speak MessagePack; is it an InfluxDB 1.4 – 1.8 or 2.x?`,
        { code: 'INFLUX_TOO_OLD' },
      );
    }
    const splitter = new DocumentSplitter();
    let partial = false;
    const body = reply.body as unknown as AsyncIterable<Uint8Array>;
    const chunks = body[Symbol.asyncIterator]();
    try {
      for (;;) {
        let next: IteratorResult<Uint8Array>;
        try {
          next = await chunks.next();
        } catch (error) {
          if (signal.aborted) throw signal.reason;
          throw away(error);
        }
        if (next.done) break;
        for (const document of splitter.push(next.value)) {
          const part = readPart(document, fields);
          if (part.error !== undefined) throw this.#failed(part.error);
          partial = part.partial;
          yield part;
        }
      }
    } finally {
      await chunks.return?.();
    }
    if (!splitter.isWhole || partial) throw away(new Error('the reply was cut'));
  }

  #refused(status: number, text: string): TidemarkError {
    const { who, url } = this.#config;
    let message = text.slice(0, 500);
    try {
      const { error, message: other } = JSON.parse(text) as { error?: string; message?: string };
      message = error ?? other ?? message;
    } catch {
      // It is only text then.
    }
    const said = `${who} at ${url} answered ${status}: ${message}`;
    if (status === 429 || status >= 500) return new RetriableError(said, { code: 'INFLUX_BUSY' });
    if (status === 401 || status === 403) {
      return new FatalError(`${said}; give the right user and password, or token`, {
        code: 'INFLUX_UNAUTHORIZED',
      });
    }
    return new FatalError(said, { code: 'INFLUX_REFUSED' });
  }

  /** What a reply of status 200 says. */
  #failed(error: string): TidemarkError {
    const said = `${this.#config.who}: ${error}`;
    if (/not found|authorization|authenticat/i.test(error)) {
      return new FatalError(said, { code: 'INFLUX_REFUSED' });
    }
    // Timeouts and shutdowns are told like this; what is wrong for good is told again, until attempts run out.
    return new RetriableError(said, { code: 'INFLUX_QUERY_FAILED' });
  }
}

/** A bucket of a 2.x, which finds `db/rp` for the database and policy of these names, and `db` for its default. */
export function bucketInfluxql(
  { url, token, gzip }: InfluxConfig,
  bucket: string,
  who: string,
): InfluxqlReader {
  const [database, retentionPolicy] = bucket.split(/\/(.*)/s) as [string, string | undefined];
  return new InfluxqlReader({
    url,
    database,
    ...(retentionPolicy === undefined ? {} : { retentionPolicy }),
    gzip,
    authorization: `Token ${token}`,
    who,
  });
}

interface Held {
  readonly blocks: readonly Rows[];
  readonly timeNs: bigint;
}

/** What is before the last instant seen, and that instant's rows, held from earlier chunks included. */
function cutAtLastTime(
  rows: Rows,
  held: Held,
): { readonly whole: readonly Rows[]; readonly held: Held } {
  const timeNs = rows.timeNs(rows.count - 1);
  let cut = rows.count;
  while (cut > 0 && rows.timeNs(cut - 1) === timeNs) cut--;
  if (cut === 0 && held.timeNs === timeNs) {
    return { whole: [], held: { blocks: [...held.blocks, rows], timeNs } };
  }
  return {
    whole: cut === 0 ? held.blocks : [...held.blocks, rows.slice(0, cut)],
    held: { blocks: [rows.slice(cut)], timeNs },
  };
}

const rowsOf = (blocks: readonly Rows[]): number =>
  blocks.reduce((sum, { count }) => sum + count, 0);

const checksumsOf = (rows: Rows): number[] =>
  Array.from({ length: rows.count }, (_, row) => rows.checksum(row));

const pointsOf = (slice: PointsSlice, blocks: readonly Rows[]): Point[] =>
  blocks.flatMap((rows) => [...rows].map((row) => pointOf(slice, row)));

function pointOf({ measurement, schema }: PointsSlice, row: readonly Cell[]): Point {
  // By entries: an assignment to `__proto__`, which may be a name, would be lost.
  const fields: [string, Exclude<Cell, null>][] = [];
  const tags: [string, string][] = [];
  let at = 1;
  for (const name of schema.fields) {
    const value = row[at++];
    if (value !== null && value !== undefined) fields.push([name, value]);
  }
  for (const name of schema.tags) {
    const value = row[at++];
    if (typeof value === 'string' && value !== '') tags.push([name, value]);
  }
  return {
    measurement,
    tags: Object.fromEntries(tags),
    fields: Object.fromEntries(fields),
    timestampNs: row[0] as bigint,
  };
}

/** InfluxQL's quoting of names. */
const identifier = (name: string): string =>
  `"${name.replace(/["\\\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`;
