/** Fits Holt–Winters to a history (the parameters not given are searched for) and forecasts with an interval. */
import {
  checkPeriod,
  HoltWinters,
  type HoltWintersState,
  invalid,
  type Seasonal,
  type Smoothing,
  startOf,
} from './holt-winters.ts';
import { minimise } from './minimise.ts';
import { normalQuantile } from './normal.ts';

/** A search costs some thousand passes over the history. */
export const HISTORY_MAX = 1_000_000;
export const HORIZON_MAX = 1_000_000;

/** Where the search begins; smoothing of real series is most often slow in trend and season. */
const GRID = {
  alpha: [0, 0.02, 0.1, 0.3, 0.5, 0.8, 1],
  beta: [0, 0.005, 0.05, 0.3, 1],
  gamma: [0, 0.1, 0.3, 0.6, 1],
};

export interface FitOptions extends Partial<Smoothing> {
  /** Values in one season, at least 2. */
  readonly period: number;
  /** How the season joins the level: added (the default) or multiplied. */
  readonly seasonal?: Seasonal;
}

export interface Fit extends Smoothing {
  readonly model: HoltWinters;
  /** The model's state before value number `period` (counted from 0). */
  readonly start: HoltWintersState;
  /** One-step forecasts for the values from number `period` on. */
  readonly fitted: Float64Array;
  /** Sum of squares of the one-step residuals. */
  readonly sse: number;
  /** Of the one-step residuals (n − 1). */
  readonly variance: number;
}

export interface Forecast {
  readonly mean: Float64Array;
  /** Bounds of the interval, which holds if residuals are normal and independent. */
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/**
 * Throws HOLT_WINTERS_INVALID when there are fewer than two periods, a value is not finite, a multiplicative
 * history holds one that is not above 0, or residuals overflow.
 */
export function fitHoltWinters(values: ArrayLike<number>, options: FitOptions): Fit {
  const { period, seasonal = 'additive' } = options;
  check(values, period, seasonal);
  const start = startOf(values, period, seasonal);
  const sseOf = (smoothing: Smoothing): number => {
    const model = new HoltWinters(seasonal, smoothing, start);
    let sse = 0;
    for (let i = period; i < values.length; i++) sse += model.push(values[i] as number) ** 2;
    return sse;
  };
  const smoothing = search(options, sseOf);
  const model = new HoltWinters(seasonal, smoothing, start);
  const count = values.length - period;
  const fitted = new Float64Array(count);
  let sum = 0;
  let sse = 0;
  for (let i = 0; i < count; i++) {
    fitted[i] = model.predict();
    const residual = model.push(values[period + i] as number);
    sum += residual;
    sse += residual * residual;
  }
  if (!Number.isFinite(sse)) {
    throw invalid('the residuals are beyond what numbers hold; scale the values, or use additive');
  }
  const variance = Math.max(0, (sse - (sum * sum) / count) / (count - 1));
  return { ...smoothing, model, start, fitted, sse, variance };
}

function check(values: ArrayLike<number>, period: number, seasonal: Seasonal): void {
  checkPeriod(period);
  if (values.length < 2 * period || values.length > HISTORY_MAX) {
    throw invalid(
      `${values.length} values for a period of ${period}: give two periods at least, ${HISTORY_MAX} values at most`,
    );
  }
  for (let i = 0; i < values.length; i++) {
    const x = values[i] as number;
    if (!Number.isFinite(x)) throw invalid(`value ${i + 1} is ${x}; give finite numbers`);
    if (seasonal === 'multiplicative' && x <= 0) {
      throw invalid(
        `value ${i + 1} is ${x}: a multiplicative season needs values above 0; use additive`,
      );
    }
  }
}

/** The parameters not given, with the least sum of squares. */
function search(given: Partial<Smoothing>, sseOf: (smoothing: Smoothing) => number): Smoothing {
  const grid = (['alpha', 'beta', 'gamma'] as const).map((name) =>
    given[name] === undefined ? GRID[name] : [given[name]],
  );
  const named = ([alpha, beta, gamma]: readonly number[]) =>
    ({ alpha, beta, gamma }) as unknown as Smoothing;
  if (grid.every(({ length }) => length === 1)) return named(grid.map(([only]) => only as number));
  return named(minimise((at) => sseOf(named(at)), { grid }).at);
}

/**
 * The next `horizon` values. The interval is Chatfield and Yar's (1991): one-step variance, grown by the weights
 * with which a residual lives on in level, trend and season; `confidence` is its probability, in (0, 1).
 */
export function forecast(fit: Fit, horizon: number, confidence = 0.95): Forecast {
  if (!Number.isInteger(horizon) || horizon < 1 || horizon > HORIZON_MAX) {
    throw invalid(`a horizon of ${horizon} is none; give a whole number from 1 to ${HORIZON_MAX}`);
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw invalid(`a confidence of ${confidence} is none; give a share between 0 and 1`);
  }
  const { model } = fit;
  const mean = Float64Array.from({ length: horizon }, (_, i) => model.predict(i + 1));
  const quantile = normalQuantile((1 + confidence) / 2);
  const spread = spreads(fit, horizon);
  return {
    mean,
    lower: mean.map((x, i) => x - quantile * spread[i]!),
    upper: mean.map((x, i) => x + quantile * spread[i]!),
  };
}

/** Standard deviations of the forecasts 1, 2, … steps ahead. */
function spreads(fit: Fit, horizon: number): Float64Array {
  const { alpha, beta, gamma, model, variance } = fit;
  const { period } = model;
  const weight = (j: number): number =>
    alpha * (1 + j * beta) + (j % period === 0 ? gamma * (1 - alpha) : 0);
  const spread = new Float64Array(horizon);
  if (model.seasonal === 'additive') {
    let sum = 1;
    for (let h = 1; h <= horizon; h++) {
      spread[h - 1] = Math.sqrt(variance * sum);
      sum += weight(h) ** 2;
    }
    return spread;
  }
  // A residual of one season is scaled by the season in which it arrives: sums are kept per season.
  const { season } = model.state;
  const squares = new Float64Array(period);
  for (let h = 1; h <= horizon; h++) {
    spread[h - 1] = Math.sqrt(variance * (1 + scaledSum(squares, season, h, weight)));
  }
  return spread;
}

/** Σ over j = 1 … h − 1 of (weight(j) · season(h) / season(h − j))², in O(period) from what was summed before. */
function scaledSum(
  squares: Float64Array,
  season: readonly number[],
  h: number,
  weight: (j: number) => number,
): number {
  const period = season.length;
  if (h > 1) squares[(h - 1) % period]! += weight(h - 1) ** 2;
  let sum = 0;
  for (let lag = 0; lag < period; lag++) {
    const from = season[(((h - 1 - lag) % period) + period) % period] as number;
    sum += squares[lag]! / (from * from);
  }
  return sum * (season[(h - 1) % period] as number) ** 2;
}
