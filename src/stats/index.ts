/** Statistics that can be merged and stored: digests, moments, averages. Pure: no I/O, no clock, no random. */
export { type CapacityForecast, type CapacityOptions, forecastCapacity } from './capacity.ts';
export {
  bestDetector,
  createDetector,
  type Detector,
  type DetectorName,
  detectorNames,
  fleetDetector,
  restoreDetector,
} from './detectors/index.ts';
export {
  type Fit,
  type FitOptions,
  type Forecast,
  fitHoltWinters,
  forecast,
} from './forecast.ts';
export {
  HoltWinters,
  type HoltWintersState,
  type Seasonal,
  type Smoothing,
} from './holt-winters.ts';
export { Moments } from './moments.ts';
export { ExponentialAverage, MovingAverage } from './moving-average.ts';
export { leastFrom, placeNth } from './nth.ts';
export { type QuantileMethod, quantileOfSorted } from './quantile.ts';
export { Summary } from './summary.ts';
export { TDigest } from './t-digest.ts';
