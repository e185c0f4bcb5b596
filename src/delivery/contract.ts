/**
 * What a database must offer to be a sink: connect, write a batch, check, close. It knows nothing of
 * batching, retry, breakers or cursors; the wrappers in this room add those.
 */

/** A point that can never be stored, and why; the others of its batch were stored. */
export interface Rejection {
  /** Index into the batch that was given to `write`. */
  readonly index: number;
  readonly message: string;
  /** Why, for counters and for those who treat one reason apart: `OUTSIDE_RETENTION`, `FIELD_TYPE_CONFLICT`… */
  readonly code?: string;
}

export interface Sink<P> {
  /** For metrics, logs and cursors: `influx.vote-latencies-raw`, `kairos.vote_latency`. */
  readonly name: string;
  /** Called before the first write and after each failure that said `SINK_UNREACHABLE`. May be called twice. */
  connect(signal?: AbortSignal): Promise<void>;
  /**
   * Resolves when every point is durably stored but for the rejections listed. Rejects with RetriableError
   * (nothing may be assumed stored; the same batch comes again) or FatalError (configuration: wrong token,
   * bucket missing; the operator must act; retried at the longest interval).
   */
  write(points: readonly P[], signal?: AbortSignal): Promise<readonly Rejection[]>;
  /** A cheap probe that fails when writes would. */
  check(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
