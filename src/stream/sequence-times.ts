/**
 * A time for each (id, number) where the numbers of an id mostly grow: slots of an account, sequence numbers
 * of a sender. Each id has a row of pairs sorted by number; a new highest number, the usual case, is certainly
 * new and is written behind the last one, in memory that was touched a moment ago. (A hash table over the same
 * data costs a cache miss a record; it was a sixth of the whole topology's time.)
 */
import { TimeTable } from './time-table.ts';

/** Further from the end than this a number is not shifted in but goes to the hash table. */
const SHIFT_MAX = 256;
const FIRST_PAIRS = 16;
/** Rows grow by 1.5 to 2 times, each id by its own: those of senders that keep pace must not all grow in one turn. */
const growthOf = (id: number): number => 1.5 + ((id * 0.618_033_988_749_895) % 1) / 2;
const NUMBERS_PACKED = 2 ** 32;
const IDS_PACKED = 2 ** 21;

export class SequenceTimes {
  /** number, time, number, time … from `heads` to `tails` (in pairs). */
  readonly #rows: Float64Array[] = [];
  #heads = new Int32Array(64);
  #tails = new Int32Array(64);
  #highest = new Float64Array(64).fill(Number.NEGATIVE_INFINITY);
  readonly #strays = new TimeTable();
  readonly #oddStrays = new Map<string, number>();
  #at = -1;

  /** Makes room for an id; once per id, before anything else about it. */
  admit(id: number): void {
    if (id >= this.#heads.length) this.#grow(id);
    this.#rows[id] ??= new Float64Array(FIRST_PAIRS * 2);
  }

  /** Whether no number of this id is as high: then it is new, and `append` takes it. */
  isHighest(id: number, number: number): boolean {
    return number > (this.#highest[id] as number);
  }

  /** Entries with a time before `oldest` may be dropped for room. */
  append(id: number, number: number, time: number, oldest: number): void {
    let row = this.#rows[id] as Float64Array;
    if ((this.#tails[id] as number) * 2 === row.length) row = this.#makeRoom(id, oldest);
    const tail = this.#tails[id] as number;
    row[tail * 2] = number;
    row[tail * 2 + 1] = time;
    this.#tails[id] = tail + 1;
    this.#highest[id] = number;
  }

  /** The time of a number; NaN when it was never put. Remembers the place for `put`. */
  find(id: number, number: number): number {
    const row = this.#rows[id] as Float64Array;
    let low = this.#heads[id] as number;
    let high = this.#tails[id] as number;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((row[middle * 2] as number) < number) low = middle + 1;
      else high = middle;
    }
    this.#at = low;
    if (low < (this.#tails[id] as number) && row[low * 2] === number)
      return row[low * 2 + 1] as number;
    return this.#findStray(id, number);
  }

  /** Sets the time of the number that the `find` just before asked for. */
  put(id: number, number: number, time: number, oldest: number): void {
    const at = this.#at;
    const row = this.#rows[id] as Float64Array;
    const tail = this.#tails[id] as number;
    if (at < tail && row[at * 2] === number) {
      row[at * 2 + 1] = time;
    } else if (tail - at > SHIFT_MAX || this.#isStray(id, number)) {
      this.#putStray(id, number, time, oldest);
    } else if (tail * 2 === row.length) {
      const shift = tail - at;
      const wider = this.#makeRoom(id, oldest);
      this.#insert(wider, id, (this.#tails[id] as number) - shift, number, time);
    } else this.#insert(row, id, at, number, time);
  }

  /** Drops everything before `oldest`, and gives the ids that have nothing left. */
  drop(oldest: number): Set<number> {
    this.#strays.makeRoom(oldest);
    for (const [key, time] of this.#oddStrays) if (time < oldest) this.#oddStrays.delete(key);
    const empty = new Set<number>();
    for (let id = 0; id < this.#rows.length; id++) {
      const row = this.#rows[id];
      if (row === undefined) continue;
      this.#skipOld(id, oldest);
      if (this.#heads[id] === this.#tails[id]) empty.add(id);
    }
    for (const key of this.#strays.keys()) empty.delete(Math.floor(key / NUMBERS_PACKED));
    for (const key of this.#oddStrays.keys()) empty.delete(Number(key.slice(0, key.indexOf('/'))));
    return empty;
  }

  /** Lets go of an id's memory; it may be admitted again. */
  release(id: number): void {
    delete this.#rows[id];
    this.#heads[id] = 0;
    this.#tails[id] = 0;
    this.#highest[id] = Number.NEGATIVE_INFINITY;
  }

  #insert(row: Float64Array, id: number, at: number, number: number, time: number): void {
    const tail = this.#tails[id] as number;
    row.copyWithin(at * 2 + 2, at * 2, tail * 2);
    row[at * 2] = number;
    row[at * 2 + 1] = time;
    this.#tails[id] = tail + 1;
    if (at === tail) this.#highest[id] = number;
  }

  /** Room for one more: moves the row down over what is old, or makes a longer one. */
  #makeRoom(id: number, oldest: number): Float64Array {
    const row = this.#rows[id] as Float64Array;
    this.#skipOld(id, oldest);
    const head = this.#heads[id] as number;
    const tail = this.#tails[id] as number;
    const target =
      head * 4 >= tail ? row : new Float64Array(2 * Math.ceil((row.length / 2) * growthOf(id)));
    target.set(row.subarray(head * 2, tail * 2), 0);
    this.#rows[id] = target;
    this.#heads[id] = 0;
    this.#tails[id] = tail - head;
    return target;
  }

  #skipOld(id: number, oldest: number): void {
    const row = this.#rows[id] as Float64Array;
    const tail = this.#tails[id] as number;
    let head = this.#heads[id] as number;
    while (head < tail && (row[head * 2 + 1] as number) < oldest) head++;
    this.#heads[id] = head;
  }

  #findStray(id: number, number: number): number {
    if (isPacked(id, number)) return this.#strays.find(id * NUMBERS_PACKED + number, id, number);
    return this.#oddStrays.get(`${id}/${number}`) ?? Number.NaN;
  }

  #isStray(id: number, number: number): boolean {
    return !Number.isNaN(this.#findStray(id, number));
  }

  #putStray(id: number, number: number, time: number, oldest: number): void {
    if (!isPacked(id, number)) {
      this.#oddStrays.set(`${id}/${number}`, time);
      return;
    }
    if (this.#strays.full) this.#strays.makeRoom(oldest);
    const key = id * NUMBERS_PACKED + number;
    this.#strays.find(key, id, number);
    this.#strays.putFound(key, time);
  }

  #grow(id: number): void {
    const size = Math.max(id + 1, this.#heads.length * 2);
    const heads = new Int32Array(size);
    heads.set(this.#heads);
    const tails = new Int32Array(size);
    tails.set(this.#tails);
    const highest = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
    highest.set(this.#highest);
    this.#heads = heads;
    this.#tails = tails;
    this.#highest = highest;
  }
}

const isPacked = (id: number, number: number): boolean =>
  id < IDS_PACKED && number >= 0 && number < NUMBERS_PACKED && Math.floor(number) === number;
