/** What the doors for points, HTTP and telnet, need of the log behind them. */
import type { DataPoint } from '../../model/index.ts';

/** Metric and tags, checked and encoded; opaque here. */
export interface DraftSeries {
  readonly metric: string;
}

/** Points of one request as they are read. Filled, accepted and reset within one turn of the event loop. */
export interface Draft {
  readonly count: number;
  /** The reason against the series when it can't be stored, as text. */
  series(metric: string, tags: Readonly<Record<string, string>>): DraftSeries | string;
  /** Seconds to live as the store will keep it, 0 = for ever; or why it can't. */
  ttl(timestampMs: number, ttlSeconds: number): number | string;
  /** A whole number below 2^51 in size. */
  addLong(series: DraftSeries, ttlSeconds: number, timestampMs: number, value: number): void;
  addDouble(series: DraftSeries, ttlSeconds: number, timestampMs: number, value: number): void;
  /** Any point; the reason when it can't be stored. */
  add(point: DataPoint): string | undefined;
  reset(): void;
}

export interface DeleteRequest {
  readonly metric: string;
  /** Both included; ±Infinity leave a side open. */
  readonly startMs: number;
  readonly endMs: number;
  /** As a query has them, `regex:…` too. */
  readonly tags: ReadonlyMap<string, readonly string[]>;
  /** The metric's name goes too. */
  readonly withName: boolean;
}

export interface KairosIngest {
  /** One for all requests: reset it before use. */
  readonly draft: Draft;
  /** Too much waits for the log: a request would be refused. */
  readonly busy: boolean;
  /** Resolves when it is not busy. */
  room(): Promise<void>;
  /** Takes what the draft holds; resolves when it is durable. Rejects with RetriableError: send it again. */
  accept(draft: Draft): Promise<void>;
  /** Resolves when it is carried out, after all that was acknowledged before it. Rejects with RetriableError. */
  delete(request: DeleteRequest): Promise<void>;
}
