/**
 * A hash table from one number to one time: open addressing over one Float64Array in which key and time lie
 * side by side, so that a look-up costs one cache line.
 */

const EMPTY = -1;
const FIRST_SLOTS = 1024;

export class TimeTable {
  /** key, time, key, time … A key is a whole number from 0 to 2^53 - 1. */
  #cells = emptyCells(FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  #used = 0;
  /** Where the last `find` ended: on its key, or on the free slot that it would take. */
  #slot = 0;

  get size(): number {
    return this.#used;
  }

  /** NaN when absent. `high` and `low` are the key's halves: key = high · 2^32 + low. */
  find(key: number, high: number, low: number): number {
    const cells = this.#cells;
    const mask = this.#mask;
    let slot = home(high, low) & mask;
    for (;;) {
      const there = cells[slot * 2] as number;
      if (there === key) {
        this.#slot = slot;
        return cells[slot * 2 + 1] as number;
      }
      if (there === EMPTY) {
        this.#slot = slot;
        return Number.NaN;
      }
      slot = (slot + 1) & mask;
    }
  }

  /** Sets the time of the key that the `find` just before asked for. */
  putFound(key: number, time: number): void {
    const at = this.#slot * 2;
    if (this.#cells[at] === EMPTY) this.#used++;
    this.#cells[at] = key;
    this.#cells[at + 1] = time;
  }

  /** Whether the next `putFound` could make the table too full to be fast. */
  get full(): boolean {
    return this.#used * 8 >= this.#mask * 5;
  }

  /** Makes room: drops entries with a time before `oldest`, and grows if most are left. */
  makeRoom(oldest: number): void {
    const before = this.#cells;
    let live = 0;
    for (let at = 0; at < before.length; at += 2) {
      if (before[at] !== EMPTY && (before[at + 1] as number) >= oldest) live++;
    }
    let slots = this.#mask + 1;
    // At most a third full after: growing by steps of four keeps the moves few.
    while (live * 3 > slots) slots *= 2;
    this.#cells = emptyCells(slots);
    this.#mask = slots - 1;
    this.#used = 0;
    for (let at = 0; at < before.length; at += 2) {
      const key = before[at] as number;
      const time = before[at + 1] as number;
      if (key === EMPTY || time < oldest) continue;
      const high = Math.floor(key / 4294967296);
      this.find(key, high, key - high * 4294967296);
      this.putFound(key, time);
    }
  }

  *keys(): Generator<number> {
    for (let at = 0; at < this.#cells.length; at += 2) {
      const key = this.#cells[at] as number;
      if (key !== EMPTY) yield key;
    }
  }
}

const emptyCells = (slots: number): Float64Array => new Float64Array(slots * 2).fill(EMPTY);

/** Neighbouring keys (slots, sequence numbers) must not crowd together. */
function home(high: number, low: number): number {
  let h = ((low | 0) + Math.imul(high, 0x9e3779b1)) | 0;
  h ^= h >>> 16;
  h = Math.imul(h, 0x7feb352d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x846ca68b);
  return h ^ (h >>> 16);
}
