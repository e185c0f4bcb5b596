/** When an epoch ends, and how much a task may hold. */
export interface EpochPolicy {
  /** An epoch ends at the first batch boundary after this. */
  readonly intervalMs: number;
  /** … or when its outputs reach this. */
  readonly outputBytesMax: number;
  readonly pointsMax: number;
  readonly mailboxBytesMax: number;
  /** Caught up and quiet for so long = idle. */
  readonly idleAfterMs: number;
  /** How long letting go waits for a sink that does not answer; what it had will be written again by the next owner. */
  readonly stopWithinMs: number;
}

export const defaultEpochPolicy: EpochPolicy = {
  intervalMs: 1_000,
  outputBytesMax: 16 * 1024 * 1024,
  pointsMax: 20_000,
  mailboxBytesMax: 1024 * 1024,
  idleAfterMs: 5_000,
  stopWithinMs: 8_000,
};
