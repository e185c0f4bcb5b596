/**
 * The scorer of the Numenta Anomaly Benchmark (Lavin & Ahmad 2015; numenta/NAB, nab/scorer.py and sweeper.py): early
 * in a window earns most, every row outside costs. Held against published scores in test/golden/nab-score.test.ts.
 */
import type { Series } from './nab-corpus.ts';

export interface Profile {
  readonly name: string;
  /** What a window found at its first row earns, one missed costs, and a false row far from any window costs. */
  readonly truePositive: number;
  readonly falseNegative: number;
  readonly falsePositive: number;
}

const profile = (
  name: string,
  truePositive: number,
  falseNegative: number,
  falsePositive: number,
) => ({ name, truePositive, falseNegative, falsePositive }) satisfies Profile;

export const profiles: readonly Profile[] = [
  profile('standard', 1, 1, 0.11),
  profile('reward_low_FP_rate', 1, 1, 0.22),
  profile('reward_low_FN_rate', 1, 2, 0.11),
];

/** The score of each row, 0 to 1, of a series. */
export type Scores = ArrayLike<number>;

/** A detector's scores of one series. */
export interface Scored {
  readonly series: Series;
  readonly scores: Scores;
}

/** Scaled sigmoid: 1 far on the left, 0 at 0, −1 far on the right. */
const sigmoid = (x: number): number => 2 / (1 + Math.exp(5 * x)) - 1;
const SIGMOID_MAX = sigmoid(-1);

/** Rows at the start that are for learning: not scored. */
export const probationRows = ({ values }: Series): number =>
  Math.floor(Math.min(0.15 * values.length, 750));

interface RowWorth {
  /** Number of the window that the row is in, −1 outside. */
  readonly window: Int32Array;
  /** What a report at this row is worth, before the profile's weights. */
  readonly worth: Float64Array;
}

const known = new WeakMap<Series, RowWorth>();

function worthOf(series: Series): RowWorth {
  const before = known.get(series);
  if (before !== undefined) return before;
  const rows = series.values.length;
  const window = new Int32Array(rows).fill(-1);
  const worth = new Float64Array(rows).fill(-1);
  for (const [number, { left, right }] of series.windows.entries()) {
    const width = right - left + 1;
    for (let row = left; row <= right; row++) {
      window[row] = number;
      worth[row] = sigmoid(-(right - row + 1) / width) / SIGMOID_MAX;
    }
    const next = series.windows[number + 1]?.left ?? rows;
    for (let row = right + 1; row < next; row++) {
      const distance = (row - right) / (width - 1);
      worth[row] = distance > 3 ? -1 : sigmoid(distance);
    }
  }
  const result = { window, worth };
  known.set(series, result);
  return result;
}

/** Raw score of one series with the reports at and above `threshold`. */
export function rawScore({ series, scores }: Scored, threshold: number, by: Profile): number {
  const { window, worth } = worthOf(series);
  const best = new Map<number, number>();
  let sum = 0;
  for (let row = probationRows(series); row < series.values.length; row++) {
    if (!(scores[row]! >= threshold)) continue;
    const number = window[row]!;
    if (number < 0) sum += by.falsePositive * worth[row]!;
    else best.set(number, Math.max(best.get(number) ?? -1, worth[row]!));
  }
  for (const each of best.values()) sum += by.truePositive * each;
  return sum - by.falseNegative * (series.windows.length - best.size);
}

const windowsOf = (all: readonly Scored[]): number =>
  all.reduce((sum, { series }) => sum + series.windows.length, 0);

/** 0 for a detector that says nothing, 100 for one that reports each window at its first row and nothing else. */
export function normalised(raw: number, windows: number, by: Profile): number {
  const floor = by.falseNegative * windows;
  return (100 * (raw + floor)) / (by.truePositive * windows + floor);
}

export function scoreAt(all: readonly Scored[], threshold: number, by: Profile): number {
  const raw = all.reduce((sum, each) => sum + rawScore(each, threshold, by), 0);
  return normalised(raw, windowsOf(all), by);
}

/** The one threshold for all series that scores best. One pass over all rows, highest first. */
export function bestThreshold(
  all: readonly Scored[],
  by: Profile,
): { readonly threshold: number; readonly score: number } {
  const rows = all.flatMap(({ series, scores }, at) => {
    const first = probationRows(series);
    return Array.from({ length: series.values.length - first }, (_, i) => ({
      score: scores[first + i]!,
      at,
      row: first + i,
    }));
  });
  rows.sort((a, b) => b.score - a.score);
  const windows = windowsOf(all);
  const best = new Map<string, number>();
  let raw = -by.falseNegative * windows;
  let found = { threshold: Number.POSITIVE_INFINITY, raw };
  for (const [i, { score, at, row }] of rows.entries()) {
    const { window, worth } = worthOf(all[at]!.series);
    if (window[row]! < 0) {
      raw += by.falsePositive * worth[row]!;
    } else {
      const key = `${at}:${window[row]}`;
      const before = best.get(key);
      if (before === undefined || worth[row]! > before) {
        best.set(key, worth[row]!);
        raw += by.truePositive * worth[row]!;
        raw += before === undefined ? by.falseNegative : -by.truePositive * before;
      }
    }
    const isLastOfItsScore = rows[i + 1]?.score !== score;
    if (isLastOfItsScore && raw > found.raw) found = { threshold: score, raw };
  }
  return { threshold: found.threshold, score: normalised(found.raw, windows, by) };
}
