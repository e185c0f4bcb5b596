/** A page out of the cell cache: runs of cells in either form that it keeps them in. */
import { smallLongAt } from '../value.ts';
import { DecimalCells, type DecimalRun } from './decimal-run.ts';
import { type RawRun, RawWalk } from './raw-run.ts';

export type KeptRun = RawRun | DecimalRun;

/** Of a row's cells like any other page. */
export interface KeptCells {
  readonly runs: readonly KeptRun[];
  readonly count: number;
}

type Each = (index: number, column: number, bytes: Buffer, from: number, to: number) => void;

/** Calls `each` with where a value begins and ends; the bytes may be other cells' after the call. */
export function eachKeptCell(runs: readonly KeptRun[], each: Each): void {
  let before = 0;
  for (const run of runs) {
    if (isDecimal(run)) {
      const start = before;
      new DecimalCells(run).each((i, column, bytes, from, to) => {
        each(start + i, column, bytes, from, to);
      });
    } else {
      const walk = new RawWalk(run);
      for (let i = 0; i < run.count; i++) {
        walk.step();
        each(before + i, walk.column, run.bytes, walk.from, walk.from + walk.length);
      }
    }
    before += run.count;
  }
}

/** All cells straight into two columns, their values as doubles; `shortDouble` reads one of less than eight bytes. */
export function keptDoubles(
  { runs }: KeptCells,
  columns: Float64Array,
  numbers: Float64Array,
  shortDouble: (bytes: Buffer, from: number, to: number) => number,
): void {
  const doubleAt = (bytes: Buffer, from: number, to: number): number =>
    to - from >= 8 ? bytes.readDoubleBE(from) : shortDouble(bytes, from, to);
  let index = 0;
  for (const run of runs) {
    const { bytes, count } = run;
    if (isDecimal(run)) {
      const cells = new DecimalCells(run);
      cells.columnsInto(columns, index);
      if (cells.areLongs) {
        const start = index;
        cells.each((i, _column, value, from, to) => {
          numbers[start + i] = doubleAt(value, from, to);
        });
      } else {
        cells.numbersInto(numbers, index);
        cells.exceptionsInto(numbers, index, doubleAt);
      }
      index += count;
      continue;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const walk = new RawWalk(run);
    for (let i = 0; i < count; i++) {
      walk.step();
      const { from, length } = walk;
      columns[index] = walk.column;
      numbers[index++] =
        length >= 8 ? view.getFloat64(from) : shortDouble(bytes, from, from + length);
    }
  }
}

/** The same of longs; false, and nothing of use in the columns, where one may be too large for a double or is none. */
export function keptLongs(
  { runs }: KeptCells,
  columns: Float64Array,
  numbers: Float64Array,
): boolean {
  let index = 0;
  for (const run of runs) {
    if (isDecimal(run)) {
      const cells = new DecimalCells(run);
      if (!cells.areLongs || cells.hasExceptions) return false;
      cells.columnsInto(columns, index);
      cells.numbersInto(numbers, index);
      index += run.count;
      continue;
    }
    const walk = new RawWalk(run);
    for (let i = 0; i < run.count; i++) {
      walk.step();
      const small = smallLongAt(run.bytes, walk.from, walk.from + walk.length);
      if (small === undefined) return false;
      columns[index] = walk.column;
      numbers[index++] = small;
    }
  }
  return true;
}

/** The part of a run behind the first `skip` cells, `count` of them. */
export function partOf(run: KeptRun, skip: number, count: number): KeptRun {
  if (skip === 0) return count === run.count ? run : { ...run, count };
  if (isDecimal(run)) return { bytes: run.bytes, skip: run.skip + skip, count };
  const walk = new RawWalk(run);
  for (let i = 0; i < skip; i++) walk.step();
  return walk.rest(count);
}

/** How many cells of a run, from its start, have a column below this. */
export function countBelow(run: KeptRun, column: number): number {
  if (isDecimal(run)) return new DecimalCells(run).countBelow(column);
  const walk = new RawWalk(run);
  let count = 0;
  for (; count < run.count; count++) {
    walk.step();
    if (walk.column >= column) break;
  }
  return count;
}

const isDecimal = (run: KeptRun): run is DecimalRun => 'skip' in run;
