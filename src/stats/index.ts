/** Statistics that can be merged and stored: digests, moments, averages. Pure: no I/O, no clock, no random. */
export { Moments } from './moments.ts';
export { ExponentialAverage, MovingAverage } from './moving-average.ts';
export { type QuantileMethod, quantileOfSorted } from './quantile.ts';
export { Summary } from './summary.ts';
export { TDigest } from './t-digest.ts';
