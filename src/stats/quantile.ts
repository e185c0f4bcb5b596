/**
 * Quantiles: of sorted values, exactly, and of a digest's cells. Ranks are Hazen's (type 5 of Hyndman & Fan 1996):
 * the i-th of n sorted values, counted from 0, stands at the share (i + ½) / n; between neighbours it is linear.
 */
import { FatalError } from '../model/index.ts';
import type { Cells } from './cells.ts';

/** `hazen`: type 5, as digests answer. `linear`: type 7, as NumPy, R and spreadsheets do by default. */
export type QuantileMethod = 'hazen' | 'linear';

/** The `q`-quantile (0 … 1) of ascending values. NaN when there are none. */
export function quantileOfSorted(
  sorted: ArrayLike<number>,
  q: number,
  method: QuantileMethod = 'hazen',
): number {
  checkShare(q);
  const n = sorted.length;
  if (n === 0) return Number.NaN;
  const position = clampRank(method === 'hazen' ? q * n - 0.5 : q * (n - 1), n);
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, n - 1)] as number;
  return between(low, high, position - below);
}

/**
 * The `q`-quantile of cells that hold `count` values. One that is no blend stands at each of its ranks; a blend
 * stands at its middle rank only, and ranks between are interpolated.
 */
export function quantileOfCells({ cells, length }: Cells, count: number, q: number): number {
  checkShare(q);
  if (count === 0) return Number.NaN;
  const rank = clampRank(q * count - 0.5, count);
  let before = 0;
  let lastRank = 0;
  let lastMean = cells[0] as number;
  for (let i = 0; i < length; i += 2) {
    const mean = cells[i] as number;
    const weight = Math.abs(cells[i + 1] as number);
    const isBlend = (cells[i + 1] as number) < 0;
    const from = isBlend ? before + (weight - 1) / 2 : before;
    if (rank < from) return between(lastMean, mean, (rank - lastRank) / (from - lastRank));
    const to = isBlend ? from : before + weight - 1;
    if (rank <= to) return mean;
    before += weight;
    lastRank = to;
    lastMean = mean;
  }
  return lastMean;
}

/** How many of the cells' values lie below `x`, those equal to it counted half: the inverse of the above. */
export function rankOfCells({ cells, length }: Cells, x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  let before = 0;
  let lastRank = 0;
  let lastMean = Number.NEGATIVE_INFINITY;
  let lastIsBlend = false;
  for (let i = 0; i < length; i += 2) {
    const mean = cells[i] as number;
    const weight = Math.abs(cells[i + 1] as number);
    const isBlend = (cells[i + 1] as number) < 0;
    const from = isBlend ? before + (weight - 1) / 2 : before;
    if (mean === x) return before + weight / 2;
    if (mean > x) {
      if (!isBlend && !lastIsBlend) return before;
      const share = (x - lastMean) / (mean - lastMean);
      return lastRank + share * (from - lastRank) + 0.5;
    }
    before += weight;
    lastRank = isBlend ? from : before - 1;
    lastMean = mean;
    lastIsBlend = isBlend;
  }
  return before;
}

function checkShare(q: number): void {
  if (q >= 0 && q <= 1) return;
  throw new FatalError(`no quantile ${q}: give a share from 0 to 1, such as 0.95`, {
    code: 'QUANTILE_INVALID',
  });
}

const clampRank = (rank: number, count: number) => Math.min(Math.max(rank, 0), count - 1);

/** Linear from `low` (share 0) to `high` (share 1): never outside, never falling, without overflow. */
function between(low: number, high: number, share: number): number {
  if (share === 0 || low === high) return low;
  const span = high - low;
  const value =
    span < Number.POSITIVE_INFINITY ? low + share * span : low * (1 - share) + high * share;
  return Math.min(Math.max(value, low), high);
}
