/**
 * Reads the points of all series that a query names as one stream in time order: a merge of the rows, each opened
 * only when the stream reaches it, so that a long range needs no more than the rows of one time at once.
 */
import type { DataPoint } from '../../model/index.ts';
import { type FoundRow, findRows, type RowQuery, type TagFilter } from './row-query.ts';
import { type PointPage, readRow, valueAt } from './row-reader.ts';
import type { RowSpec } from './row-spec.ts';
import type { TagIndexConfig } from './tag-index.ts';
import { tagRecordOf } from './tag-string.ts';
import type { WideRows } from './wide-rows.ts';

export interface SeriesQuery {
  readonly metric: string;
  /** Half-open; ±Infinity leave a side open. */
  readonly fromMs: number;
  readonly toMs: number;
  /** By tag name the value, or values of which any will do. */
  readonly tags?: Readonly<Record<string, string | readonly string[]>>;
  /** Default `ascending`. */
  readonly order?: 'ascending' | 'descending';
  /** At most so many points, from the end one reads from. */
  readonly limit?: number;
}

/** Points handed over at once. */
const BATCH_POINTS = 1_000;
/** Points of all open rows held in memory together, so that many rows get small pages. */
const HELD_POINTS = 100_000;
const PAGE_POINTS_MAX = 5_000;
const PAGE_POINTS_MIN = 50;
const ROWS_OPENED_AT_ONCE = 64;

/** Ties come in no particular order. The `tags` object is one and the same for all points of a row. */
export async function* readSeries(
  rows: WideRows,
  spec: RowSpec,
  query: SeriesQuery,
  tagIndex?: TagIndexConfig,
): AsyncGenerator<readonly DataPoint[]> {
  const descending = query.order === 'descending';
  const found: FoundRow[] = [];
  for await (const page of findRows(rows, spec, rowQueryOf(query), tagIndex)) found.push(...page);
  /** Times as the merge sees them: always rising. */
  const rank = (timestampMs: number) => (descending ? -timestampMs : timestampMs);
  const earliestRank = ({ row }: FoundRow) =>
    descending ? -(row.rowTimeMs + spec.rowSpanMs - 1) : row.rowTimeMs;
  found.sort((a, b) => earliestRank(a) - earliestRank(b));
  const pagePoints = Math.min(
    PAGE_POINTS_MAX,
    query.limit ?? PAGE_POINTS_MAX,
    Math.max(PAGE_POINTS_MIN, Math.floor(HELD_POINTS / Math.max(1, found.length))),
  );

  const open = new Heap();
  let nextRow = 0;
  let batch: DataPoint[] = [];
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  try {
    while (left > 0) {
      // Every row that may hold something before the best point so far has to be looked into first.
      const due: Promise<Cursor | undefined>[] = [];
      const next = found[nextRow];
      const boundary = open.least?.rank ?? (next && earliestRank(next)) ?? 0;
      while (nextRow < found.length && due.length < ROWS_OPENED_AT_ONCE) {
        const candidate = found[nextRow] as FoundRow;
        if (earliestRank(candidate) > boundary) break;
        nextRow++;
        const pages = readRow(rows, spec, candidate, { ...query, pagePoints });
        due.push(Cursor.open(candidate, pages, rank));
      }
      if (due.length > 0) {
        for (const cursor of await Promise.all(due)) if (cursor !== undefined) open.push(cursor);
        continue;
      }
      const cursor = open.least;
      if (cursor === undefined) break;
      batch.push(cursor.point);
      left--;
      if (batch.length === BATCH_POINTS) {
        yield batch;
        batch = [];
      }
      const more = cursor.isAtPageEnd ? await cursor.nextPage() : cursor.step();
      if (more) open.sinkLeast();
      else open.popLeast();
    }
    if (batch.length > 0) yield batch;
  } finally {
    await Promise.all(open.all.map((cursor) => cursor.close()));
  }
}

function rowQueryOf({ metric, fromMs, toMs, tags }: SeriesQuery): RowQuery {
  const filters = new Map<string, TagFilter>();
  for (const [name, value] of Object.entries(tags ?? {})) {
    filters.set(name, { values: new Set(typeof value === 'string' ? [value] : value) });
  }
  return { metric, fromMs, toMs, tags: filters };
}

/** One row being read: the point it stands at, and the rest. */
class Cursor {
  readonly #metric: string;
  readonly #tags: Record<string, string>;
  readonly #pages: AsyncGenerator<PointPage>;
  readonly #rankOf: (timestampMs: number) => number;
  #page: PointPage = { times: new Float64Array(), numbers: new Float64Array(), values: [] };
  #at = 0;

  private constructor(
    { row }: FoundRow,
    pages: AsyncGenerator<PointPage>,
    rankOf: (timestampMs: number) => number,
  ) {
    this.#metric = row.metric;
    this.#tags = tagRecordOf(row.tags);
    this.#pages = pages;
    this.#rankOf = rankOf;
  }

  /** Undefined when the row has no point in the range. */
  static async open(
    found: FoundRow,
    pages: AsyncGenerator<PointPage>,
    rankOf: (timestampMs: number) => number,
  ): Promise<Cursor | undefined> {
    const cursor = new Cursor(found, pages, rankOf);
    return (await cursor.nextPage()) ? cursor : undefined;
  }

  get #timestampMs(): number {
    return this.#page.times[this.#at] as number;
  }

  get rank(): number {
    return this.#rankOf(this.#timestampMs);
  }

  get point(): DataPoint {
    const [timestampMs, value] = [this.#timestampMs, valueAt(this.#page, this.#at)];
    return { metric: this.#metric, tags: this.#tags, timestampMs, value };
  }

  get isAtPageEnd(): boolean {
    return this.#at === this.#page.times.length - 1;
  }

  /** Within the page. */
  step(): boolean {
    this.#at++;
    return true;
  }

  async nextPage(): Promise<boolean> {
    const { value, done } = await this.#pages.next();
    if (done === true) return false;
    this.#page = value;
    this.#at = 0;
    return true;
  }

  async close(): Promise<void> {
    await this.#pages.return(undefined);
  }
}

/** A binary heap of cursors, least rank on top. */
class Heap {
  readonly all: Cursor[] = [];

  get least(): Cursor | undefined {
    return this.all[0];
  }

  push(cursor: Cursor): void {
    let at = this.all.push(cursor) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#rank(parent) <= this.#rank(at)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  popLeast(): void {
    const last = this.all.pop();
    if (last === undefined || this.all.length === 0) return;
    this.all[0] = last;
    this.sinkLeast();
  }

  /** After the least has moved on. */
  sinkLeast(): void {
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= this.all.length) return;
      const right = left + 1;
      const child = right < this.all.length && this.#rank(right) < this.#rank(left) ? right : left;
      if (this.#rank(at) <= this.#rank(child)) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #rank(at: number): number {
    return (this.all[at] as Cursor).rank;
  }

  #swap(a: number, b: number): void {
    [this.all[a], this.all[b]] = [this.all[b] as Cursor, this.all[a] as Cursor];
  }
}
