/**
 * Tidemark as a library: draw a topology, test it with `drive`, run it with `tidemark up --topology ./mine.ts`.
 */
export {
  type DataPoint,
  days,
  FatalError,
  hours,
  minutes,
  type Point,
  PoisonError,
  RetriableError,
  type Rollup,
  seconds,
} from './model/index.ts';
export { Moments, Summary, TDigest } from './stats/index.ts';
export * from './stream/index.ts';
