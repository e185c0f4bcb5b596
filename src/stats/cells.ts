/**
 * Cells of a t-digest: pairs (mean, weight) in a Float64Array, ascending by mean. A positive weight says that all
 * of the cell's values equal its mean; a negative one that the cell is a blend of different values.
 */

/** Cells in the first `length` numbers of an array that may be longer. */
export interface Cells {
  readonly cells: Float64Array;
  readonly length: number;
}

/** Cells that are made anew in the same memory again and again. */
export class ScratchCells implements Cells {
  cells = new Float64Array(1_024);
  length = 0;

  /** Empties it, with room for `length` numbers. */
  reset(length: number): Float64Array {
    if (this.cells.length < length) this.cells = new Float64Array(2 * length);
    this.length = 0;
    return this.cells;
  }
}

/** A cell for each distinct value. */
export function cellsOfValues(values: Float64Array, into: ScratchCells): void {
  const sorted = values.slice().sort();
  const cells = into.reset(2 * sorted.length);
  let length = 0;
  for (const value of sorted) {
    if (length > 0 && cells[length - 2] === value) {
      cells[length - 1] = (cells[length - 1] as number) + 1;
    } else {
      cells[length] = value;
      cells[length + 1] = 1;
      length += 2;
    }
  }
  into.length = length;
}

/** Merges two lists into a third; equal values become one cell. On equal means `a` goes first. */
export function mergeCells(a: Cells, b: Cells, into: ScratchCells): void {
  const cells = into.reset(a.length + b.length);
  let length = 0;
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const fromA =
      j >= b.length || (i < a.length && (a.cells[i] as number) <= (b.cells[j] as number));
    const mean = (fromA ? a.cells[i] : b.cells[j]) as number;
    const weight = (fromA ? a.cells[i + 1] : b.cells[j + 1]) as number;
    if (fromA) i += 2;
    else j += 2;
    if (
      weight > 0 &&
      length > 0 &&
      cells[length - 2] === mean &&
      (cells[length - 1] as number) > 0
    ) {
      cells[length - 1] = (cells[length - 1] as number) + weight;
    } else {
      cells[length] = mean;
      cells[length + 1] = weight;
      length += 2;
    }
  }
  into.length = length;
}

/**
 * Blends neighbours, left to right, as far as the scale function lets a cell grow. With q the share of values
 * below a cell's edge, it may hold the share min(π·√(q(1−q))/compression, Z·q(1−q)/compression) at both its
 * edges: k1 at twice the compression keeps the middle fine, k2 (Z = 4·ln(count/compression) + 24) the tails.
 * At q = 0 and 1 that is nothing, so the least and the greatest value stay as they are.
 */
export function blendCells(list: ScratchCells, count: number, compression: number): void {
  const { cells } = list;
  const k1 = (Math.PI * count) / compression;
  const k2 = ((4 * Math.log(Math.max(1, count / compression)) + 24) * count) / compression;
  const sizeMax = (q: number) => {
    const spread = Math.max(0, q * (1 - q));
    return Math.min(k1 * Math.sqrt(spread), k2 * spread);
  };
  let to = 0;
  let before = 0;
  let sizeMaxLeft = 0;
  let mean = cells[0] as number;
  let weight = cells[1] as number;
  let isBlend = false;
  for (let from = 2; from < list.length; from += 2) {
    const nextMean = cells[from] as number;
    const signed = cells[from + 1] as number;
    const nextWeight = Math.abs(signed);
    const together = weight + nextWeight;
    const sizeMaxRight = sizeMax((before + together) / count);
    if (together <= sizeMaxLeft && together <= sizeMaxRight) {
      mean += (nextMean - mean) * (nextWeight / together);
      weight = together;
      isBlend = true;
    } else {
      cells[to] = mean;
      cells[to + 1] = isBlend ? -weight : weight;
      to += 2;
      before += weight;
      sizeMaxLeft = sizeMax(before / count);
      mean = nextMean;
      weight = nextWeight;
      isBlend = signed < 0;
    }
  }
  cells[to] = mean;
  cells[to + 1] = isBlend ? -weight : weight;
  list.length = to + 2;
}

/** Whether any cell is a blend. */
export function hasBlend({ cells, length }: Cells): boolean {
  for (let i = 1; i < length; i += 2) if ((cells[i] as number) < 0) return true;
  return false;
}

/** Sum of the weights of values that occur more than once. */
export function tiedWeight({ cells, length }: Cells): number {
  let sum = 0;
  for (let i = 1; i < length; i += 2) if ((cells[i] as number) > 1) sum += cells[i] as number;
  return sum;
}
