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
/** First pages asked for at once. */
const ROWS_OPENED_AT_ONCE = 64;
/** Rows under way although the stream has not reached them, where it has reached fewer. */
const ROWS_AHEAD = 8;

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
  readonly #heap: CursorHeap;
  readonly #started = new Set<Cursor>();
  /** Opened ahead of `run`, in the order of `#waiting`. */
  #ahead: Cursor[] = [];
  #next = 0;

  constructor(store: SeriesStore, rows: readonly StoredRow[], options: MergeOptions) {
    this.#store = store;
    this.#options = options;
    this.#isDescending = options.order === 'descending';
    this.#waiting = rows.toSorted((a, b) => this.#earliest(a) - this.#earliest(b));
    this.#heap = heapOf(options.order);
    // Each row may hold a page and the next one.
    const share = Math.floor(HELD_POINTS / Math.max(1, rows.length) / 2);
    const pagePoints = Math.min(PAGE_POINTS_MAX, Math.max(PAGE_POINTS_MIN, share));
    const { fromMs, toMs, order, limit, columns } = options;
    this.#range = {
      ...{ fromMs, toMs, order, limit, pagePoints },
      ...(columns === undefined ? {} : { columns: (points) => columns.take(points) }),
    };
  }

  /** Asks for the first pages that `run` will want, without waiting for them; says how many. */
  prefetch(): number {
    const [first] = this.#waiting;
    if (first === undefined || this.#next > 0) return 0;
    this.#ahead = this.#openUpTo(this.#earliest(first), ROWS_OPENED_AT_ONCE);
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
      if (numbers !== undefined && !this.#isDescending && this.#waiting.length <= COLUMN_ROWS_MAX) {
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
      const following = this.#waiting[this.#next];
      let untilMs = following === undefined ? Infinity : this.#earliest(following) - 1;
      for (const cursor of cursors) untilMs = Math.min(untilMs, cursor.pageEndMs);
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

  #isDue(): boolean {
    const following = this.#waiting[this.#next];
    if (following === undefined) return false;
    const { least } = this.#heap;
    return least === undefined || this.#earliest(following) <= this.#rank(least);
  }

  /** Everything that may hold a point before the least one so far has to be looked into first. */
  async #openDue(taker: MergeTaker): Promise<void> {
    for (;;) {
      let due = this.#ahead;
      this.#ahead = [];
      if (due.length === 0) {
        const candidate = this.#waiting[this.#next];
        if (candidate === undefined) return;
        const { least } = this.#heap;
        const boundary = least === undefined ? this.#earliest(candidate) : this.#rank(least);
        due = this.#openUpTo(boundary, ROWS_OPENED_AT_ONCE);
        if (due.length === 0) return;
        // Series of few points: asked for one time after another, each row costs a wait.
        if (due[0]?.isAtHand === false)
          due.push(...this.#openUpTo(Infinity, ROWS_AHEAD - due.length));
      }
      for (const cursor of due) {
        const coming = this.#turnPage(cursor);
        if (coming !== undefined) await coming;
        // In place of the one that has come, so that there are always as many under way.
        const least = this.#heap.least;
        const boundary = least === undefined ? this.#earliest(cursor.row) : this.#rank(least);
        due.push(...this.#openUpTo(boundary, 1));
        if (cursor.isDone) {
          this.#started.delete(cursor);
          continue;
        }
        taker.row(cursor.row);
        this.#heap.push(cursor);
      }
    }
  }

  /** To be waited for when it gives something: for the page, or for others to have their turn after one that was at hand. */
  #turnPage(cursor: Cursor): Promise<void> | undefined {
    return cursor.nextPage() ?? this.#options.turns.points(cursor.pagePoints);
  }

  #openUpTo(boundary: number, most: number): Cursor[] {
    const opened: Cursor[] = [];
    const range = this.#range;
    while (opened.length < most) {
      const row = this.#waiting[this.#next];
      if (row === undefined || this.#earliest(row) > boundary) break;
      this.#next++;
      const pages = this.#store.readRowAtHand?.(row, range) ?? this.#store.readRow(row, range);
      const cursor = new Cursor(pages, row, this.#options.columns);
      this.#started.add(cursor);
      opened.push(cursor);
    }
    return opened;
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
