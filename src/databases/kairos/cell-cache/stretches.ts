/**
 * What the cell cache holds: stretches of rows, each with all cells from one column to another. Bounded in bytes, with
 * what stands around them counted in: at the bound the stretch that was used longest ago goes, whichever row it is of.
 */
import type { RawPacker } from './raw-run.ts';
import { type Row, Stretch } from './stretch.ts';

/** About what a stretch and a row take beside their bytes. */
const STRETCH_BYTES = 350;
const ROW_BYTES = 350;

export class Stretches {
  readonly #bytesMax: number;
  readonly #evicted: () => void;
  readonly #rows = new Map<string, Row>();
  #bytes = 0;
  #newest: Stretch | undefined;
  #oldest: Stretch | undefined;

  constructor(bytesMax: number, evicted: () => void) {
    this.#bytesMax = bytesMax;
    this.#evicted = evicted;
  }

  get bytes(): number {
    return this.#bytes;
  }

  rowOf(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  /** Where the first stretch of a row stands that ends at this column or behind it. */
  static indexOf({ stretches }: Row, column: number): number {
    let [low, high] = [0, stretches.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((stretches[middle] as Stretch).to < column) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** A new stretch, where none may be yet. */
  add(key: string, from: number, to: number, readAtMs: number, cells: RawPacker): void {
    // More than a quarter of all is not kept.
    if (cells.bytes > this.#bytesMax / 4) return;
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = { key, stretches: [] };
      this.#rows.set(key, row);
      this.#bytes += ROW_BYTES + key.length;
    }
    const stretch = new Stretch(row, from, to, readAtMs);
    stretch.append(cells);
    row.stretches.splice(Stretches.indexOf(row, from), 0, stretch);
    this.#bytes += STRETCH_BYTES + stretch.bytesHeld;
    this.#link(stretch);
    this.#keepWithinBound();
  }

  /** Makes a stretch longer, by cells packed behind its own. */
  extend(stretch: Stretch, to: number, readAtMs: number, cells: RawPacker): void {
    const before = stretch.bytesHeld;
    stretch.append(cells);
    this.#bytes += stretch.bytesHeld - before;
    stretch.to = to;
    stretch.readAtMs = Math.min(stretch.readAtMs, readAtMs);
    this.touch(stretch);
    this.#keepWithinBound();
  }

  touch(stretch: Stretch): void {
    if (stretch === this.#newest) return;
    this.#unlink(stretch);
    this.#link(stretch);
  }

  remove(stretch: Stretch): void {
    const { row } = stretch;
    row.stretches.splice(row.stretches.indexOf(stretch), 1);
    if (row.stretches.length === 0) {
      this.#rows.delete(row.key);
      this.#bytes -= ROW_BYTES + row.key.length;
    }
    this.#bytes -= STRETCH_BYTES + stretch.bytesHeld;
    this.#unlink(stretch);
  }

  clear(): void {
    this.#rows.clear();
    this.#bytes = 0;
    this.#newest = undefined;
    this.#oldest = undefined;
  }

  #keepWithinBound(): void {
    while (this.#bytes > this.#bytesMax && this.#oldest !== undefined) {
      this.remove(this.#oldest);
      this.#evicted();
    }
  }

  #link(stretch: Stretch): void {
    stretch.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = stretch;
    this.#newest = stretch;
    this.#oldest ??= stretch;
  }

  #unlink(stretch: Stretch): void {
    const { newer, older } = stretch;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    stretch.newer = undefined;
    stretch.older = undefined;
  }
}
