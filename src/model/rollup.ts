/** A rollup: the summary of one window of one key, as it stands in `votes.rollup.*` (contract, Topics). */

/** Half-open, milliseconds since the epoch. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

/** Which records of the log a rollup was made from. */
export interface Lineage {
  readonly topic: string;
  /** -1 where several partitions were merged; then `offsets` lists them. */
  readonly partition: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly late: number;
  readonly duplicates: number;
  readonly offsets?: readonly {
    readonly partition: number;
    readonly firstOffset: number;
    readonly lastOffset: number;
  }[];
}

/** What every rollup says of its window, whatever was measured. */
export interface RollupFigures {
  readonly window: Window;
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Population (n). */
  readonly stddev: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** The t-digest itself, base64, so that any set of rollups can be merged. */
  readonly digest: string;
  /** 0 = final as first emitted; +1 each time late knowledge re-emits the window. */
  readonly revision: number;
  readonly lineage: Lineage;
}

export interface Rollup extends RollupFigures {
  readonly scope: string;
  readonly id: string;
  readonly voteAccount?: string;
  readonly network: string;
  /** Count-weighted mean of this and the previous 11 windows of the key. */
  readonly movingAverage: number;
}
