/**
 * An aggregate adds, merges and reads: the one small contract behind every window. Its state must be
 * mergeable, so that hours come from five-minute windows and networks from partitions.
 */
import type { Batch } from './batch.ts';

export interface Aggregate<S> {
  /** For describe and the topology's hash. */
  readonly name: string;
  create(): S;
  /** Called once per batch; the result adds row i of that batch. Look columns up here, not per row. */
  adder(batch: Batch<unknown>): (state: S, i: number) => void;
  /** Adds `from` into `into`; `from` stays as it is. */
  merge(into: S, from: S): void;
  encode(state: S): Buffer;
  decode(bytes: Buffer): S;
}

/** One key's window: what a window step gives when the window closes. */
export interface Windowed<S> {
  /** The values of the fields that were grouped by, in that order. */
  readonly key: readonly string[];
  /** First value seen in the window of each carried field. */
  readonly carried: Readonly<Record<string, string>>;
  readonly start: number;
  readonly end: number;
  /** undefined: nothing was added; the row only reports records that came too late, or repeated one of a closed window. */
  readonly state: S | undefined;
  readonly partition: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly late: number;
  readonly duplicates: number;
  readonly revision: number;
  /** Where several partitions were merged, each one's share. */
  readonly parts?: readonly OffsetRange[];
}

export interface OffsetRange {
  readonly partition: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
}
