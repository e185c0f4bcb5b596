/**
 * The n-th least of numbers without sorting all of them: a part at a time is left away, so that a percentile of thousands
 * costs a few steps a number. The order is that of `Float64Array.sort`: -0 before 0, NaN last.
 */

/** So few are sorted. */
const FEW = 32;

/** Moves numbers so that `values[n]` is the one that sorting would put there, none before is greater, none behind less. */
export function placeNth(values: Float64Array, n: number): void {
  let [low, high] = [0, values.length - 1];
  // Of bad luck with each pivot no more than this; and `<` does not tell all numbers apart.
  let rounds = hasPlainOrder(values) ? 2 * Math.ceil(Math.log2(values.length + 1)) : 0;
  while (high > low) {
    if (high - low < FEW || rounds-- === 0) {
      values.subarray(low, high + 1).sort();
      return;
    }
    const pivot = middleOf(
      values[low] as number,
      values[(low + high) >> 1] as number,
      values[high] as number,
    );
    let [i, j] = [low, high];
    while (i <= j) {
      while ((values[i] as number) < pivot) i++;
      while ((values[j] as number) > pivot) j--;
      if (i > j) break;
      const value = values[i] as number;
      values[i++] = values[j] as number;
      values[j--] = value;
    }
    if (n <= j) high = j;
    else if (n >= i) low = i;
    else return;
  }
}

/** The least of what stands at an index and behind it, as far as `placeNth` has put nothing less behind. */
export function leastFrom(values: Float64Array, index: number): number {
  let least = values[index] as number;
  for (let i = index + 1; i < values.length; i++) {
    const value = values[i] as number;
    if (value < least) least = value;
  }
  return least;
}

function hasPlainOrder(values: Float64Array): boolean {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (Number.isNaN(value) || (value === 0 && 1 / value < 0)) return false;
  }
  return true;
}

function middleOf(a: number, b: number, c: number): number {
  if (a < b) return b < c ? b : Math.max(a, c);
  return a < c ? a : Math.max(b, c);
}
