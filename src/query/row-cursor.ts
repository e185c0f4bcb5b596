/** One row being read, and the point it stands at; and a heap of such rows, first point on top. */
import type { ColumnPool } from './column-pool.ts';
import type { PointPage, StoredRow } from './store.ts';

type StoredValue = bigint | number | string;

/** So few numbers are copied sooner than views of them are made. */
const FEW = 64;
const NO_NUMBERS: Float64Array = new Float64Array(0);

export class Cursor {
  readonly row: StoredRow;
  isDone = false;
  timestampMs = 0;
  /** The value as a double. */
  number = 0;
  readonly #pages: CursorPages;
  #times = NO_NUMBERS;
  #numbers = NO_NUMBERS;
  #values: PointPage['values'] = 'doubles';
  #at = 0;
  readonly #columns: ColumnPool | undefined;
  /** Behind the page, of pages at hand. */
  #following: IteratorResult<PointPage> | undefined;

  /** At hand at nothing: `nextPage` comes first. Columns of pages that are behind it go to `columns`. */
  constructor(
    pages: AsyncIterable<PointPage> | Iterable<PointPage>,
    row: StoredRow,
    columns?: ColumnPool,
  ) {
    this.row = row;
    this.#columns = columns;
    this.#pages =
      Symbol.iterator in pages
        ? { atHand: pages[Symbol.iterator]() }
        : { sent: new PagesAhead(pages[Symbol.asyncIterator]()) };
  }

  /** Nobody has to wait for its pages. */
  get isAtHand(): boolean {
    return this.#pages.atHand !== undefined;
  }

  get value(): StoredValue {
    const values = this.#values;
    if (values === 'doubles') return this.number;
    return values === 'longs' ? BigInt(this.number) : (values[this.#at] as StoredValue);
  }

  /** Within the page; false at its end. */
  step(): boolean {
    const at = ++this.#at;
    if (at >= this.#times.length) return false;
    this.timestampMs = this.#times[at] as number;
    this.number = this.#numbers[at] as number;
    return true;
  }

  /** Points of the page that are at hand. */
  get pagePoints(): number {
    return this.#times.length;
  }

  /** Of the last point at hand. */
  get pageEndMs(): number {
    return this.#times[this.#times.length - 1] as number;
  }

  get isAtPageEnd(): boolean {
    return this.#at >= this.#times.length;
  }

  /** Up to when it is known what the row has: where no page follows, for ever. Ascending rows only. */
  get knownUntilMs(): number {
    const { atHand, sent } = this.#pages;
    const isLast = atHand === undefined ? sent.isAtLast : this.#following?.done === true;
    return isLast ? Infinity : this.pageEndMs;
  }

  /** Points of the page up to a time, it included. Ascending rows only. */
  countUpTo(untilMs: number): number {
    let [low, high] = [this.#at, this.#times.length];
    if (untilMs >= this.pageEndMs) return high - low;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#times[middle] as number) <= untilMs) low = middle + 1;
      else high = middle;
    }
    return low - this.#at;
  }

  /** Copies the next `count` points of the page and steps behind them. */
  take(count: number, times: Float64Array, numbers: Float64Array, at: number): void {
    const from = this.#at;
    const end = from + count;
    if (count > FEW) {
      times.set(this.#times.subarray(from, end), at);
      numbers.set(this.#numbers.subarray(from, end), at);
    } else {
      for (let i = 0; i < count; i++) {
        times[at + i] = this.#times[from + i] as number;
        numbers[at + i] = this.#numbers[from + i] as number;
      }
    }
    this.#at = end - 1;
    this.step();
  }

  /** To be waited for when it gives something. */
  nextPage(): Promise<void> | undefined {
    const { atHand, sent } = this.#pages;
    if (atHand === undefined) return this.#nextSent(sent);
    while (!this.#turnTo(this.#following ?? atHand.next())) this.#following = undefined;
    this.#following = this.isDone ? undefined : atHand.next();
    return undefined;
  }

  async #nextSent(pages: PagesAhead): Promise<void> {
    while (!this.#turnTo(await pages.next()));
  }

  /** False for a page without points. */
  #turnTo({ value, done }: IteratorResult<PointPage>): boolean {
    this.#columns?.giveBack({ times: this.#times, numbers: this.#numbers });
    if (done === true) {
      this.isDone = true;
      this.#times = NO_NUMBERS;
      this.#numbers = NO_NUMBERS;
      return true;
    }
    this.#times = value.times;
    this.#numbers = value.numbers;
    this.#values = value.values;
    this.#at = -1;
    return this.step();
  }

  async close(): Promise<void> {
    const { atHand, sent } = this.#pages;
    if (atHand === undefined) await sent.close();
    else atHand.return?.();
  }
}

type CursorPages =
  | { readonly atHand: Iterator<PointPage>; readonly sent?: never }
  | { readonly atHand?: never; readonly sent: PagesAhead };

/** Pages that are waited for: the next one is always asked for ahead. */
class PagesAhead {
  readonly #pages: AsyncIterator<PointPage>;
  #following: Promise<IteratorResult<PointPage>>;
  /** As far as is known, no page follows the one that `next` gave. */
  isAtLast = false;

  constructor(pages: AsyncIterator<PointPage>) {
    this.#pages = pages;
    this.#following = this.#ask();
  }

  async next(): Promise<IteratorResult<PointPage>> {
    const result = await this.#following;
    if (result.done !== true) this.#following = this.#ask();
    return result;
  }

  async close(): Promise<void> {
    await this.#pages.return?.();
  }

  #ask(): Promise<IteratorResult<PointPage>> {
    const following = this.#pages.next();
    // Of a failure whoever waits for it gets to know; nobody may.
    following.then(
      ({ done }) => {
        this.isAtLast = done === true;
      },
      () => {},
    );
    return following;
  }
}

export interface CursorHeap {
  readonly least: Cursor | undefined;
  push(cursor: Cursor): void;
  pop(): void;
  /** After the least has moved on. */
  sink(): void;
  /** Gives all and is empty. */
  drain(): readonly Cursor[];
}

export const heapOf = (order: 'ascending' | 'descending'): CursorHeap =>
  new Heap(order === 'descending');

class Heap implements CursorHeap {
  readonly #cursors: Cursor[] = [];
  readonly #isDescending: boolean;

  constructor(isDescending: boolean) {
    this.#isDescending = isDescending;
  }

  get least(): Cursor | undefined {
    return this.#cursors[0];
  }

  push(cursor: Cursor): void {
    const heap = this.#cursors;
    let at = heap.push(cursor) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Cursor;
      if (!this.#isBefore(cursor, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = cursor;
  }

  pop(): void {
    const last = this.#cursors.pop();
    if (last === undefined || this.#cursors.length === 0) return;
    this.#cursors[0] = last;
    this.sink();
  }

  drain(): readonly Cursor[] {
    return this.#cursors.splice(0);
  }

  sink(): void {
    const heap = this.#cursors;
    const { length } = heap;
    const cursor = heap[0] as Cursor;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      let below = heap[child] as Cursor;
      if (child + 1 < length) {
        const right = heap[child + 1] as Cursor;
        if (this.#isBefore(right, below)) {
          below = right;
          child++;
        }
      }
      if (!this.#isBefore(below, cursor)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = cursor;
  }

  /** By time, then by value as a double; text counts as 0. */
  #isBefore(a: Cursor, b: Cursor): boolean {
    if (a.timestampMs !== b.timestampMs) {
      return a.timestampMs < b.timestampMs !== this.#isDescending;
    }
    return a.number !== b.number && a.number < b.number !== this.#isDescending;
  }
}
