/** What measurements are put together from: spreads of several runs, and how they are printed. */

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Of one or more numbers; the median of an even count is the mean of the middle two. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (i: number) => sorted[i] as number;
  const middle = (sorted.length - 1) / 2;
  const median = (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2;
  return { min: at(0), median, max: at(sorted.length - 1) };
}

/** The value below which a share `q` of the sorted values lies; NaN without values. */
export function percentile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}

/** `min/median/max` with the same number of decimals. */
export function show(values: Spread, decimals = 0): string {
  return [values.min, values.median, values.max].map((v) => number(v, decimals)).join(' / ');
}

export const number = (value: number, decimals = 0): string =>
  value.toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });

/** A value rounded for the results file. */
export const rounded = (value: number, decimals = 2): number => Number(value.toFixed(decimals));

export const roundedSpread = ({ min, median, max }: Spread, decimals = 2): Spread => ({
  min: rounded(min, decimals),
  median: rounded(median, decimals),
  max: rounded(max, decimals),
});
