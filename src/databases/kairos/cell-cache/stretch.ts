/**
 * All cells of a row from one column to another. Those at its start are decimals, where that is possible and takes less;
 * those that came later stand raw behind them, until they are enough to make decimals of all anew.
 */
import { packDecimals } from './decimal-packer.ts';
import type { KeptRun } from './kept-cells.ts';
import type { CellsBefore, RawPacker } from './raw-run.ts';

/** So many raw cells are worth it; where it was tried for nothing, twice as many. */
const RAW_CELLS = 32;
/** Room for cells to come, so that a stretch that grows cell by cell is not copied for each. */
const ROOM_BYTES = 64;
const NO_BYTES: Buffer = Buffer.alloc(0);

export interface Row {
  readonly key: string;
  /** By column; none touches another's columns. */
  readonly stretches: Stretch[];
}

export class Stretch {
  readonly row: Row;
  /** The first and the last column that it knows all cells of. */
  readonly from: number;
  to: number;
  /** When the oldest of its cells were asked for. */
  readAtMs: number;
  newer: Stretch | undefined = undefined;
  older: Stretch | undefined = undefined;
  count = 0;
  /** Where its last cell ends. */
  used = 0;
  /** What a further cell stands behind. */
  end: CellsBefore;
  #bytes = NO_BYTES;
  #decimals = 0;
  #rawAt = 0;
  #beforeRaw: CellsBefore;
  #rawCellsMin = RAW_CELLS;

  constructor(row: Row, from: number, to: number, readAtMs: number) {
    this.row = row;
    this.from = from;
    this.to = to;
    this.readAtMs = readAtMs;
    this.end = startOf(from);
    this.#beforeRaw = this.end;
  }

  get bytesHeld(): number {
    return this.#bytes.length;
  }

  /** What they are made of stays as it is, whatever is appended. */
  get runs(): KeptRun[] {
    const bytes = this.#bytes;
    const raw = this.count - this.#decimals;
    const runs: KeptRun[] = [];
    if (this.#decimals > 0) runs.push({ bytes, skip: 0, count: this.#decimals });
    if (raw > 0) runs.push({ bytes, at: this.#rawAt, count: raw, ...this.#beforeRaw });
    return runs;
  }

  /** Cells that were packed behind its `end`. */
  append(cells: RawPacker): void {
    const needed = this.used + cells.bytes;
    const raw = this.count - this.#decimals + cells.count;
    const isTried = raw >= this.#rawCellsMin;
    const decimals = isTried ? packDecimals([...this.runs, cells.run], needed) : undefined;
    if (decimals === undefined) {
      if (isTried) this.#rawCellsMin = 2 * raw;
      this.#makeRoom(needed);
      cells.copyInto(this.#bytes, this.used);
      this.used = needed;
    } else {
      this.#bytes = decimals;
      this.used = decimals.length;
      this.#decimals = this.count + cells.count;
      this.#rawAt = this.used;
      this.#beforeRaw = cells.end;
      this.#rawCellsMin = RAW_CELLS;
    }
    this.count += cells.count;
    this.end = cells.end;
  }

  #makeRoom(needed: number): void {
    if (needed <= this.#bytes.length) return;
    const room = this.used === 0 ? 0 : ROOM_BYTES + (this.used >> 5);
    const grown = Buffer.allocUnsafeSlow(needed + room);
    this.#bytes.copy(grown, 0, 0, this.used);
    this.#bytes = grown;
  }
}

/** What stands before the first cell of a stretch. */
export const startOf = (from: number): CellsBefore => ({ column: from, distance: 0, length: 0 });
