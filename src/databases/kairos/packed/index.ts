/** Points in the log, on their way to the store. */
export {
  type DraftOptions,
  type PackedChunk,
  type PackedSeries,
  PointsDraft,
  recordOf,
} from './draft.ts';
export {
  decodeDelete,
  encodeDelete,
  isDelete,
  type PackedDelete,
  pointsOf,
} from './format.ts';
export { type PackedPoint, readPackedPoints } from './read-points.ts';
