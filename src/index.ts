/**
 * Tidemark as a library: draw a topology, test it with `drive`, run it with `tidemark up --topology ./mine.ts`.
 */
export {
  type InfluxConfig,
  InfluxReader,
  type InfluxReaderOptions,
  type InfluxRollup,
  influxConfig,
  type QueryName,
  type QueryRow,
  type QueryValues,
  queryTemplates,
  type RollupRange,
} from './databases/influx/index.ts';
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
