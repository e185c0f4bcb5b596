/** What every detector is: one value in, one score out, once, in the order of arrival, and a state to keep. */
import { FatalError } from '../../model/index.ts';

export interface Detector {
  /**
   * Takes in the next value and says how unusual it is for what came before: 0 (not at all) to 1; 0.5 is where
   * an alarm is due by the detector's own rule. Throws DETECTOR_VALUE_INVALID for numbers that are not finite,
   * and is then unchanged.
   */
  push(timestampMs: number, value: number): number;
  /** The whole state, for an operator's store; `restoreDetector` undoes it. */
  toBytes(): Buffer;
}

/** A strength of 0 … ∞ as a score of 0 … 1, in the same order, 0.5 at `alarm`. */
export function scoreOf(strength: number, alarm: number): number {
  return strength === Number.POSITIVE_INFINITY ? 1 : strength / (strength + alarm);
}

export function checkInput(timestampMs: number, value: number): void {
  if (Number.isFinite(timestampMs) && Number.isFinite(value)) return;
  throw new FatalError(
    `a detector can't judge ${value} at ${timestampMs}; leave out what is not a finite number`,
    { code: 'DETECTOR_VALUE_INVALID' },
  );
}
