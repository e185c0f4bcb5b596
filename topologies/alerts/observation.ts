/** What rules judge, in the form in which it crosses partitions. */

/** A subject's measure had this value at this event time. */
export interface Observation {
  readonly measure: string;
  /** Tells the subject apart from others of the measure. */
  readonly key: string;
  /** For people. */
  readonly subject: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** ms. */
  readonly at: number;
}

/** A subject gave a sign of life in this bucket of time. */
export interface Sign {
  readonly measure: string;
  readonly key: string;
  readonly subject: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Those that must go on for a subject's silence to count: a network, the fleet. */
  readonly scope: string;
  /** Event time / bucket size, rounded down. */
  readonly bucket: number;
}

export type Seen = Observation | Sign;

export const isSign = (seen: Seen): seen is Sign => 'bucket' in seen;
