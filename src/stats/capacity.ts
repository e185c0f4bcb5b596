/**
 * When something fills up: a forecast of hourly means, and the hours at which it and the bounds of its interval
 * reach a capacity. Two days and more are told by Holt–Winters with a season of a day; less by a straight line.
 */
import { fitHoltWinters, forecast } from './forecast.ts';
import { normalQuantile } from './normal.ts';

const DAY_HOURS = 24;
/** A line through fewer says nothing. */
const LINE_HOURS_MIN = 6;
const SEASON_HOURS_MIN = 2 * DAY_HOURS;
/** Older hours tell of another time, and cost: a fit passes over all of them some thousand times. */
const FIT_HOURS_MAX = 21 * DAY_HOURS;

export interface CapacityForecast {
  readonly model: 'holt-winters' | 'trend' | null;
  /** Why there is none. */
  readonly reason: string | null;
  /** Hour by hour, the first one after the history. */
  readonly mean: Float64Array;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  /** Hours from the history's end at which the capacity is reached, from 1 on; 0: it was before; null: not within the horizon. */
  readonly fullIn: {
    readonly expected: number | null;
    readonly earliest: number | null;
    readonly latest: number | null;
  };
}

export interface CapacityOptions {
  /** Hours, at least 1. */
  readonly horizon: number;
  readonly capacity: number;
  /** Of the interval, in (0, 1). */
  readonly confidence: number;
}

/** `hourly`: finite, oldest first, without gaps. What is not finite in a forecast makes way for the simpler model. */
export function forecastCapacity(
  hourly: readonly number[],
  options: CapacityOptions,
): CapacityForecast {
  if (hourly.length < LINE_HOURS_MIN) {
    const there = hourly.length === 0 ? 'none is' : `${hourly.length} are`;
    return nothing(`${LINE_HOURS_MIN} hours without a gap are needed; ${there} stored`);
  }
  const recent = hourly.slice(-FIT_HOURS_MAX);
  const seasonal = recent.length < SEASON_HOURS_MIN ? undefined : season(recent, options);
  const found = seasonal ?? line(recent, options);
  if (found === undefined) return nothing('the values are beyond what a forecast can be made from');
  const { mean, lower, upper } = found;
  const isFull = (recent.at(-1) as number) >= options.capacity;
  const reached = (values: Float64Array): number | null => {
    if (isFull) return 0;
    const at = values.findIndex((value) => value >= options.capacity);
    return at < 0 ? null : at + 1;
  };
  const fullIn = { expected: reached(mean), earliest: reached(upper), latest: reached(lower) };
  return { ...found, reason: null, fullIn };
}

type Found = Pick<CapacityForecast, 'mean' | 'lower' | 'upper'> & {
  readonly model: 'holt-winters' | 'trend';
};

function season(values: readonly number[], options: CapacityOptions): Found | undefined {
  try {
    const fit = fitHoltWinters(values, { period: DAY_HOURS });
    return ifFinite({
      model: 'holt-winters',
      ...forecast(fit, options.horizon, options.confidence),
    });
  } catch {
    // The values are finite and enough, so only their squares can be too large.
    return undefined;
  }
}

/**
 * Least squares, with the prediction interval of a new value: s·√(1 + 1/n + (x − x̄)²/Sxx)·t. It takes residuals for
 * independent; hours of one morning are not quite that, so it is rather too narrow than too wide.
 */
function line(values: readonly number[], options: CapacityOptions): Found | undefined {
  const n = values.length;
  const middle = (n - 1) / 2;
  const spread = (n * (n * n - 1)) / 12;
  const average = values.reduce((sum, y) => sum + y / n, 0);
  const slope = values.reduce((sum, y, x) => sum + ((x - middle) * (y - average)) / spread, 0);
  const at = (x: number) => average + slope * (x - middle);
  const squares = values.reduce((sum, y, x) => sum + (y - at(x)) ** 2, 0);
  const deviation = Math.sqrt(squares / (n - 2));
  const t = studentQuantile(0.5 + options.confidence / 2, n - 2);
  const { horizon } = options;
  const found = {
    model: 'trend' as const,
    mean: new Float64Array(horizon),
    lower: new Float64Array(horizon),
    upper: new Float64Array(horizon),
  };
  for (let step = 0; step < horizon; step++) {
    const x = n + step;
    const half = t * deviation * Math.sqrt(1 + 1 / n + (x - middle) ** 2 / spread);
    found.mean[step] = at(x);
    found.lower[step] = at(x) - half;
    found.upper[step] = at(x) + half;
  }
  return ifFinite(found);
}

/** Student's t from the normal by Cornish and Fisher's expansion: within 1 % from 4 degrees of freedom on. */
export function studentQuantile(p: number, degrees: number): number {
  const z = normalQuantile(p);
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + first / degrees + second / degrees ** 2 + third / degrees ** 3;
}

function ifFinite(found: Found): Found | undefined {
  const isSound = [found.mean, found.lower, found.upper].every((values) =>
    values.every(Number.isFinite),
  );
  return isSound ? found : undefined;
}

function nothing(reason: string): CapacityForecast {
  const none = new Float64Array(0);
  const fullIn = { expected: null, earliest: null, latest: null };
  return { model: null, reason, mean: none, lower: none, upper: none, fullIn };
}
