/**
 * The points of several rows as one stream, by time and then value. Rows are opened when the stream reaches them, so
 * that a long range needs no more than the rows of one time at once.
 */
import type { SeriesStore, StoredPoint, StoredRow } from './store.ts';
import type { Turns } from './turns.ts';

export interface MergeOptions {
  readonly fromMs: number;
  readonly toMs: number;
  readonly order: 'ascending' | 'descending';
  /** Of each row; undefined = all. */
  readonly limit: number | undefined;
  readonly turns: Turns;
}

/** Points of all open rows held in memory together, so that many rows get small pages. */
const HELD_POINTS = 100_000;
const PAGE_POINTS_MAX = 5_000;
const PAGE_POINTS_MIN = 50;
/** First pages asked for at once. */
export const ROWS_OPENED_AT_ONCE = 32;

export interface MergeTaker {
  /** A row that has points, before any of them comes. */
  row(row: StoredRow): void;
  point(point: StoredPoint): void;
}

export async function mergeRows(
  store: SeriesStore,
  rows: readonly StoredRow[],
  options: MergeOptions,
  taker: MergeTaker,
): Promise<void> {
  const { turns, ...range } = options;
  const descending = range.order === 'descending';
  const rank = ({ timestampMs }: StoredPoint) => (descending ? -timestampMs : timestampMs);
  const earliest = ({ row }: StoredRow) =>
    descending ? -(row.rowTimeMs + store.spec.rowSpanMs - 1) : row.rowTimeMs;
  const waiting = rows.toSorted((a, b) => earliest(a) - earliest(b));
  const pagePoints = Math.min(
    PAGE_POINTS_MAX,
    Math.max(PAGE_POINTS_MIN, Math.floor(HELD_POINTS / Math.max(1, rows.length))),
  );
  /** A heap of those that have a point. */
  const open: Cursor[] = [];
  const started = new Set<Cursor>();
  let next = 0;
  const openDue = async () => {
    for (;;) {
      const candidate = waiting[next];
      if (candidate === undefined) return;
      const boundary = open[0] === undefined ? earliest(candidate) : rank(open[0].point);
      const due: Cursor[] = [];
      while (next < waiting.length && due.length < ROWS_OPENED_AT_ONCE) {
        const row = waiting[next] as StoredRow;
        if (earliest(row) > boundary) break;
        next++;
        due.push(new Cursor(store.readRow(row, { ...range, pagePoints }), row));
      }
      if (due.length === 0) return;
      for (const cursor of due) started.add(cursor);
      await Promise.all(due.map((cursor) => cursor.nextPage()));
      for (const cursor of due) {
        if (cursor.isDone) {
          started.delete(cursor);
          continue;
        }
        taker.row(cursor.row);
        push(open, cursor, descending);
      }
    }
  };
  try {
    await openDue();
    for (let least = open[0]; least !== undefined; least = open[0]) {
      taker.point(least.point);
      const pause = turns.point();
      if (pause !== undefined) await pause;
      if (!least.step()) await least.nextPage();
      if (least.isDone) {
        pop(open, descending);
        started.delete(least);
      } else sink(open, descending);
      const head = open[0];
      const following = waiting[next];
      if (
        following !== undefined &&
        (head === undefined || earliest(following) <= rank(head.point))
      ) {
        await openDue();
      }
    }
  } finally {
    await Promise.allSettled([...started].map((cursor) => cursor.close()));
  }
}

/** One row being read, and the point it stands at. */
class Cursor {
  readonly row: StoredRow;
  isDone = false;
  readonly #pages: AsyncIterator<readonly StoredPoint[]>;
  #page: readonly StoredPoint[] = [];
  #at = 0;

  constructor(pages: AsyncIterable<readonly StoredPoint[]>, row: StoredRow) {
    this.row = row;
    this.#pages = pages[Symbol.asyncIterator]();
  }

  get point(): StoredPoint {
    return this.#page[this.#at] as StoredPoint;
  }

  /** Within the page; false at its end. */
  step(): boolean {
    this.#at++;
    return this.#at < this.#page.length;
  }

  async nextPage(): Promise<void> {
    do {
      const { value, done } = await this.#pages.next();
      if (done === true) {
        this.isDone = true;
        return;
      }
      this.#page = value;
      this.#at = 0;
    } while (this.#page.length === 0);
  }

  async close(): Promise<void> {
    await this.#pages.return?.();
  }
}

/** Whether `a` comes first: by time, then by value as a double; text counts as 0. */
function isBefore(a: StoredPoint, b: StoredPoint, descending: boolean): boolean {
  if (a.timestampMs !== b.timestampMs) {
    return a.timestampMs < b.timestampMs !== descending;
  }
  const [x, y] = [asDouble(a), asDouble(b)];
  return x !== y && x < y !== descending;
}

const asDouble = ({ value }: StoredPoint): number =>
  typeof value === 'string' ? 0 : Number(value);

/** A binary heap, first point on top. */
function push(heap: Cursor[], cursor: Cursor, descending: boolean): void {
  let at = heap.push(cursor) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(heap, at, parent, descending)) return;
    swap(heap, at, parent);
    at = parent;
  }
}

function pop(heap: Cursor[], descending: boolean): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  heap[0] = last;
  sink(heap, descending);
}

function sink(heap: Cursor[], descending: boolean): void {
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    if (left >= heap.length) return;
    const right = left + 1;
    const child = right < heap.length && before(heap, right, left, descending) ? right : left;
    if (!before(heap, child, at, descending)) return;
    swap(heap, at, child);
    at = child;
  }
}

const before = (heap: readonly Cursor[], a: number, b: number, descending: boolean): boolean =>
  isBefore((heap[a] as Cursor).point, (heap[b] as Cursor).point, descending);

function swap(heap: Cursor[], a: number, b: number): void {
  [heap[a], heap[b]] = [heap[b] as Cursor, heap[a] as Cursor];
}
