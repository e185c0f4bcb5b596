/** The detectors by name. A new one is a file beside this and a line here. */
import type { Detector } from './detector.ts';
import { RecordsDetector } from './records.ts';
import { RecordsAndSurgesDetector } from './records-and-surges.ts';
import { RobustDetector } from './robust.ts';
import { SeasonalDetector } from './seasonal.ts';
import { ZScoreDetector } from './z-score.ts';

export type { Detector } from './detector.ts';

const classes = {
  'z-score': ZScoreDetector,
  robust: RobustDetector,
  seasonal: SeasonalDetector,
  records: RecordsDetector,
  'records-and-surges': RecordsAndSurgesDetector,
} as const;

export type DetectorName = keyof typeof classes;

export const detectorNames = Object.keys(classes) as readonly DetectorName[];

/** The one with the best figures (`node bench/nab.ts`). */
export const bestDetector: DetectorName = 'records';

/** What the fleet's series are watched by: an event that comes again is told again. */
export const fleetDetector: DetectorName = 'records-and-surges';

/** A detector that has seen nothing yet. */
export const createDetector = (name: DetectorName): Detector => new classes[name]();

/** The detector that `toBytes` was called on; throws DIGEST_CORRUPT when the bytes are of none by that name. */
export const restoreDetector = (name: DetectorName, bytes: Uint8Array): Detector =>
  classes[name].fromBytes(bytes);
