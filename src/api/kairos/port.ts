/** What the KairosDB routes need of a store; KairosStore is one. */
import type { DataPoint } from '../../model/index.ts';
import type { RowQuery, SeriesStore } from '../../query/index.ts';

export interface KairosPort extends SeriesStore {
  /** Safe to call again. */
  connect(signal?: AbortSignal): Promise<void>;
  /** A cheap round trip that fails when writes would. */
  check(signal?: AbortSignal): Promise<void>;
  /** Durable when it resolves, but for the rejections, by index. */
  write(
    points: readonly DataPoint[],
    signal?: AbortSignal,
  ): Promise<readonly { readonly index: number; readonly message: string }[]>;
  /** Of rows that were there before tags were indexed. */
  indexTags(query: Pick<RowQuery, 'metric' | 'fromMs' | 'toMs'>): Promise<void>;
  deletePoints(query: RowQuery): Promise<void>;
  deleteMetric(metric: string): Promise<void>;
  /** Each once. */
  metricNames(prefix?: string): AsyncIterable<readonly string[]>;
  readonly rows: {
    readServiceValue(
      service: string,
      serviceKey: string,
      key: string,
    ): Promise<{ readonly value: string; readonly writtenAtMs: number } | undefined>;
    writeServiceValue(
      service: string,
      serviceKey: string,
      key: string,
      value: string,
    ): Promise<void>;
    deleteServiceValue(service: string, serviceKey: string, key: string): Promise<void>;
    serviceKeys(service: string): Promise<readonly string[]>;
    keysOfService(service: string, serviceKey: string, prefix?: string): Promise<readonly string[]>;
  };
}
