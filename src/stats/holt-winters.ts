/**
 * Holt–Winters exponential smoothing with trend and season, in the form of R's `HoltWinters`: the same start
 * values and recurrences, so that equal parameters give equal numbers. The model takes one value at a time and
 * may live in an operator's state; fitting looks at a whole history.
 */
import { FatalError } from '../model/index.ts';
import { BytesReader, BytesWriter } from './bytes.ts';

const VERSION = 1;
/** More than a week of minutes; the season is kept in memory. */
export const PERIOD_MAX = 100_000;

export type Seasonal = 'additive' | 'multiplicative';

/** Shares in [0, 1] of the newest value in level, trend and season. */
export interface Smoothing {
  readonly alpha: number;
  readonly beta: number;
  readonly gamma: number;
}

export interface HoltWintersState {
  readonly level: number;
  /** Per step. */
  readonly trend: number;
  /** One per step of the period; the first belongs to the next value. Summands, or factors. */
  readonly season: readonly number[];
}

export const invalid = (message: string): FatalError =>
  new FatalError(message, { code: 'HOLT_WINTERS_INVALID' });

export class HoltWinters {
  readonly seasonal: Seasonal;
  readonly smoothing: Smoothing;
  #level: number;
  #trend: number;
  readonly #season: Float64Array;
  /** The season of the next value. */
  #phase = 0;

  /** Throws HOLT_WINTERS_INVALID for a share outside [0, 1], and for a season of fewer than two steps. */
  constructor(seasonal: Seasonal, smoothing: Smoothing, start: HoltWintersState) {
    for (const [name, share] of Object.entries(smoothing)) {
      if (!(share >= 0 && share <= 1)) throw invalid(`${name} is ${share}; give a share of 0 to 1`);
    }
    checkPeriod(start.season.length);
    this.seasonal = seasonal;
    this.smoothing = smoothing;
    this.#level = start.level;
    this.#trend = start.trend;
    this.#season = Float64Array.from(start.season);
  }

  get period(): number {
    return this.#season.length;
  }

  get state(): HoltWintersState {
    const { period } = this;
    const season = Array.from({ length: period }, (_, i) => this.#seasonAt(i));
    return { level: this.#level, trend: this.#trend, season };
  }

  /** What is expected `steps` values from now; 1 is the next. */
  predict(steps = 1): number {
    const base = this.#level + steps * this.#trend;
    const season = this.#seasonAt((steps - 1) % this.period);
    return this.seasonal === 'additive' ? base + season : base * season;
  }

  /** Takes in the next value and gives how far it was from what was expected. */
  push(x: number): number {
    const { alpha, beta, gamma } = this.smoothing;
    const isAdditive = this.seasonal === 'additive';
    const season = this.#season[this.#phase] as number;
    const before = this.#level + this.#trend;
    const residual = x - (isAdditive ? before + season : before * season);
    const level = alpha * (isAdditive ? x - season : x / season) + (1 - alpha) * before;
    this.#trend = beta * (level - this.#level) + (1 - beta) * this.#trend;
    this.#season[this.#phase] = gamma * (isAdditive ? x - level : x / level) + (1 - gamma) * season;
    this.#level = level;
    this.#phase = (this.#phase + 1) % this.#season.length;
    return residual;
  }

  #seasonAt(steps: number): number {
    return this.#season[(this.#phase + steps) % this.#season.length] as number;
  }

  /** Version u8 = 1 · multiplicative u8 · alpha, beta, gamma, level, trend f64 · period varint · season f64 each. */
  toBytes(): Buffer {
    const { level, trend, season } = this.state;
    const writer = new BytesWriter(50 + 8 * season.length);
    writer.u8(VERSION);
    writer.u8(this.seasonal === 'additive' ? 0 : 1);
    const { alpha, beta, gamma } = this.smoothing;
    for (const value of [alpha, beta, gamma, level, trend]) writer.f64(value);
    writer.varint(season.length);
    for (const value of season) writer.f64(value);
    return writer.bytes();
  }

  /** Undoes `toBytes`. Throws DIGEST_CORRUPT when the bytes can't have come from there. */
  static fromBytes(bytes: Uint8Array): HoltWinters {
    const reader = new BytesReader(bytes, 'Holt–Winters model');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const kind = reader.u8();
    reader.expect(kind <= 1, 'its season is of no kind');
    const [alpha, beta, gamma, level, trend] = Array.from({ length: 5 }, () => reader.f64()) as [
      number,
      number,
      number,
      number,
      number,
    ];
    reader.expect(
      [alpha, beta, gamma].every((share) => share >= 0 && share <= 1),
      'a parameter is no share',
    );
    const period = reader.varint();
    reader.expect(period >= 2 && period <= PERIOD_MAX, 'its period is out of bounds');
    const season = Array.from({ length: period }, () => reader.f64());
    reader.end();
    const start = { level, trend, season };
    return new HoltWinters(
      kind === 0 ? 'additive' : 'multiplicative',
      { alpha, beta, gamma },
      start,
    );
  }
}

export function checkPeriod(period: number): void {
  if (Number.isInteger(period) && period >= 2 && period <= PERIOD_MAX) return;
  throw invalid(`a period of ${period} is none; give a whole number from 2 to ${PERIOD_MAX}`);
}

/**
 * Start values from the first two periods: classical decomposition, then a line through its trend. They stand
 * for the moment before value number `period` (counted from 0), as in R's `HoltWinters(start.periods = 2)`.
 */
export function startOf(
  values: ArrayLike<number>,
  period: number,
  seasonal: Seasonal,
): HoltWintersState {
  const trend = movingTrend(values, period);
  const figure = new Float64Array(period);
  const counts = new Uint8Array(period);
  for (const { at, mean } of trend) {
    const x = values[at] as number;
    figure[at % period]! += seasonal === 'additive' ? x - mean : x / mean;
    counts[at % period]!++;
  }
  for (let i = 0; i < period; i++) figure[i]! /= counts[i]!;
  const centre = figure.reduce((sum, x) => sum + x, 0) / period;
  const season = Array.from(figure, (x) => (seasonal === 'additive' ? x - centre : x / centre));
  return { ...lineThrough(trend.map(({ mean }) => mean)), season };
}

/** The centred mean over one period, wherever the first two periods have it; the ends count half if even. */
function movingTrend(values: ArrayLike<number>, period: number): { at: number; mean: number }[] {
  const half = Math.floor(period / 2);
  const isEven = period % 2 === 0;
  const trend: { at: number; mean: number }[] = [];
  for (let at = half; at + half < 2 * period; at++) {
    let sum = 0;
    for (let k = -half; k <= half; k++) {
      const weight = isEven && Math.abs(k) === half ? 0.5 : 1;
      sum += weight * (values[at + k] as number);
    }
    trend.push({ at, mean: sum / period });
  }
  return trend;
}

/** Least squares over 1, 2, 3, …: `level` is the line's value at 0. */
function lineThrough(ys: readonly number[]): { level: number; trend: number } {
  const middle = (ys.length + 1) / 2;
  const mean = ys.reduce((sum, y) => sum + y, 0) / ys.length;
  let covariance = 0;
  let variance = 0;
  for (const [i, y] of ys.entries()) {
    covariance += (i + 1 - middle) * (y - mean);
    variance += (i + 1 - middle) ** 2;
  }
  const trend = covariance / variance;
  return { level: mean - trend * middle, trend };
}
