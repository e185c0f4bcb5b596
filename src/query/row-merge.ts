/**
 * The points of several rows as one stream, by time and then value. Rows are opened when the stream reaches them, so
 * that a long range needs no more than the rows of one time at once; the first pages of the rows that are due, and
 * the next page of each, are asked for ahead, so that the store and the merge work at the same time.
 */
import type { ColumnPool } from './column-pool.ts';
import { NumberMerge } from './number-merge.ts';
import type { NumberColumns } from './point.ts';
import { Cursor, type CursorHeap, heapOf } from './row-cursor.ts';
import type { RowReadOptions, SeriesStore, StoredRow } from './store.ts';
import type { Turns } from './turns.ts';

export interface MergeOptions {
  readonly fromMs: number;
  readonly toMs: number;
  readonly order: 'ascending' | 'descending';
  /** Of each row; undefined = all. */
  readonly limit: number | undefined;
  readonly turns: Turns;
  /** Room for columns, which merges may use one after the other. */
  readonly room?: NumberMerge;
  /** Of the pages, for merges under way at once. */
  readonly columns?: ColumnPool;
}

/** Points of all open rows held in memory together, at 16 bytes or so each, so that many rows get small pages. */
const HELD_POINTS = 400_000;
const PAGE_POINTS_MAX = 5_000;
const PAGE_POINTS_MIN = 50;
/** With more rows their pages are so small that most of a page's work would be for few points. */
const COLUMN_ROWS_MAX = 1_000;
/** First pages of due rows on their way at once. */
const DUE_AT_ONCE = 64;
/** The same of rows that the stream has not reached, however many points they have; and more, with as many points together. */
const ROWS_AHEAD_MIN = 8;
const ROWS_AHEAD_MAX = 128;
const POINTS_AHEAD = 40_000;
/** Of a row, by those before it: with fewer, a request of its own costs more than they do. */
const SHORT_POINTS = 100;

export interface MergeTaker {
  /** A row that has points, before any of them comes. */
  row(row: StoredRow): void;
  point(timestampMs: number, value: bigint | number | string): void;
  /** When given, points may come here many at once instead. */
  readonly numbers?: ((columns: NumberColumns) => void) | undefined;
}

export class RowMerge {
  readonly #store: SeriesStore;
  readonly #options: MergeOptions;
  readonly #isDescending: boolean;
  /** By the earliest time at which the stream may meet them. */
  readonly #waiting: readonly StoredRow[];
  readonly #range: RowReadOptions;
  readonly #shortRange: RowReadOptions;
  readonly #heap: CursorHeap;
  readonly #started = new Set<Cursor>();
  /** Those that are open at once, by the row time that has most. */
  readonly #rowsAtOnce: number;
  /** Opened and not taken yet, in the order of `#waiting`. */
  readonly #ahead: Cursor[] = [];
  #next = 0;
  /** First pages so far, and their points. */
  #pages = 0;
  #points = 0;

  constructor(store: SeriesStore, rows: readonly StoredRow[], options: MergeOptions) {
    this.#store = store;
    this.#options = options;
    this.#isDescending = options.order === 'descending';
    this.#waiting = rows.toSorted((a, b) => this.#earliest(a) - this.#earliest(b));
    this.#heap = heapOf(options.order);
    this.#rowsAtOnce = this.#mostOfOneTime();
    const { fromMs, toMs, order, limit, columns } = options;
    this.#range = {
      ...{ fromMs, toMs, order, limit, pagePoints: this.#pagePoints(ROWS_AHEAD_MIN) },
      ...(columns === undefined ? {} : { columns: (points) => columns.take(points) }),
    };
    this.#shortRange = {
      ...this.#range,
      isShort: true,
      pagePoints: this.#pagePoints(ROWS_AHEAD_MAX),
    };
  }

  /** With so many rows ahead. */
  #pagePoints(ahead: number): number {
    const rows = Math.max(1, Math.min(this.#waiting.length, this.#rowsAtOnce + ahead));
    // Each row may hold a page and the next one.
    const share = Math.floor(HELD_POINTS / rows / 2);
    return Math.min(PAGE_POINTS_MAX, Math.max(PAGE_POINTS_MIN, share));
  }

  /** Asks for the first pages that `run` will want, without waiting for them; says how many. */
  prefetch(): number {
    const [first] = this.#waiting;
    if (first === undefined || this.#next > 0) return 0;
    this.#openUpTo(this.#earliest(first), DUE_AT_ONCE);
    return this.#ahead.length;
  }

  /** Asked for, and not taken by `run` yet. */
  get rowsAhead(): number {
    return this.#ahead.length;
  }

  /** Once. Whatever happens, everything is closed at the end. */
  async run(taker: MergeTaker): Promise<void> {
    const { turns } = this.#options;
    const heap = this.#heap;
    try {
      await this.#openDue(taker);
      const { numbers } = taker;
      if (numbers !== undefined && !this.#isDescending && this.#rowsAtOnce <= COLUMN_ROWS_MAX) {
        await this.#runNumbers(taker, numbers);
        return;
      }
      for (let least = heap.least; least !== undefined; least = heap.least) {
        taker.point(least.timestampMs, least.value);
        const pause = turns.point();
        if (pause !== undefined) await pause;
        if (!least.step()) {
          const coming = this.#turnPage(least);
          if (coming !== undefined) await coming;
        }
        if (least.isDone) {
          heap.pop();
          this.#started.delete(least);
        } else heap.sink();
        if (this.#isDue()) await this.#openDue(taker);
      }
    } finally {
      await this.close();
    }
  }

  /** All that is at hand of all open rows goes at once, up to the first time that a row may say more about. */
  async #runNumbers(taker: MergeTaker, give: (columns: NumberColumns) => void): Promise<void> {
    const { turns, room: merge = new NumberMerge() } = this.#options;
    while (this.#heap.least !== undefined) {
      const cursors = this.#heap.drain();
      const following = this.#following;
      let untilMs = following === undefined ? Infinity : this.#earliest(following) - 1;
      for (const cursor of cursors) untilMs = Math.min(untilMs, cursor.knownUntilMs);
      const counts = cursors.map((cursor) => cursor.countUpTo(untilMs));
      merge.begin(counts.reduce((sum, count) => sum + count, 0));
      for (const [i, cursor] of cursors.entries()) {
        const count = counts[i] as number;
        merge.add(count, (times, numbers, at) => cursor.take(count, times, numbers, at));
      }
      const columns = merge.merged();
      give(columns);
      const pause = turns.points(columns.count);
      if (pause !== undefined) await pause;
      for (const cursor of cursors) {
        if (cursor.isAtPageEnd) {
          const coming = this.#turnPage(cursor);
          if (coming !== undefined) await coming;
        }
        if (cursor.isDone) this.#started.delete(cursor);
        else this.#heap.push(cursor);
      }
      if (this.#isDue()) await this.#openDue(taker);
    }
  }

  async close(): Promise<void> {
    this.#next = this.#waiting.length;
    const open = [...this.#started];
    this.#started.clear();
    await Promise.allSettled(open.map((cursor) => cursor.close()));
  }

  get #following(): StoredRow | undefined {
    return this.#ahead[0]?.row ?? this.#waiting[this.#next];
  }

  #isDue(): boolean {
    const following = this.#following;
    if (following === undefined) return false;
    const { least } = this.#heap;
    return least === undefined || this.#earliest(following) <= this.#rank(least);
  }

  /** Everything that may hold a point before the least one so far has to be looked into first. */
  async #openDue(taker: MergeTaker): Promise<void> {
    while (this.#isDue()) {
      if (this.#ahead.length === 0) this.#openUpTo(Infinity, 1);
      const cursor = this.#ahead.shift() as Cursor;
      // Series of few points: asked for one time after another, each row costs a wait.
      if (!cursor.isAtHand) this.#openAhead(this.#earliest(cursor.row));
      const coming = this.#turnPage(cursor);
      if (coming !== undefined) await coming;
      this.#pages++;
      this.#points += cursor.pagePoints;
      if (cursor.isDone) {
        this.#started.delete(cursor);
        continue;
      }
      taker.row(cursor.row);
      this.#heap.push(cursor);
    }
  }

  /** In place of rows that were taken; many at once, because a store may read them together. */
  #openAhead(dueUpTo: number): void {
    const rows = this.#pages === 0 ? 0 : Math.floor(POINTS_AHEAD / Math.max(1, this.#pointsOfRow));
    const most = Math.min(ROWS_AHEAD_MAX, Math.max(ROWS_AHEAD_MIN, rows));
    if (this.#ahead.length <= most / 2) this.#openUpTo(Infinity, most);
    if (this.#ahead.length <= DUE_AT_ONCE / 2) this.#openUpTo(dueUpTo, DUE_AT_ONCE);
  }

  /** By those so far. */
  get #pointsOfRow(): number {
    return this.#points / this.#pages;
  }

  /** To be waited for when it gives something: for the page, or for others to have their turn after one that was at hand. */
  #turnPage(cursor: Cursor): Promise<void> | undefined {
    return cursor.nextPage() ?? this.#options.turns.points(cursor.pagePoints);
  }

  /** Until so many are ahead. */
  #openUpTo(boundary: number, most: number): void {
    const range = this.#pointsOfRow < SHORT_POINTS ? this.#shortRange : this.#range;
    while (this.#ahead.length < most) {
      const row = this.#waiting[this.#next];
      if (row === undefined || this.#earliest(row) > boundary) return;
      this.#next++;
      const pages = this.#store.readRowAtHand?.(row, range) ?? this.#store.readRow(row, range);
      const cursor = new Cursor(pages, row, this.#options.columns);
      this.#started.add(cursor);
      this.#ahead.push(cursor);
    }
  }

  /** Rows of which a point of one may come before a point of another. */
  #mostOfOneTime(): number {
    const { rowSpanMs } = this.#store.spec;
    let [most, from] = [0, 0];
    for (const [i, row] of this.#waiting.entries()) {
      const earliest = this.#earliest(row);
      while (this.#earliest(this.#waiting[from] as StoredRow) <= earliest - rowSpanMs) from++;
      most = Math.max(most, i - from + 1);
    }
    return most;
  }

  #earliest({ row }: StoredRow): number {
    return this.#isDescending ? -(row.rowTimeMs + this.#store.spec.rowSpanMs - 1) : row.rowTimeMs;
  }

  #rank({ timestampMs }: Cursor): number {
    return this.#isDescending ? -timestampMs : timestampMs;
  }
}

export const mergeRows = (
  store: SeriesStore,
  rows: readonly StoredRow[],
  options: MergeOptions,
  taker: MergeTaker,
): Promise<void> => new RowMerge(store, rows, options).run(taker);
