/** Where rollups are read: this process's own store, or an InfluxDB. */
import type { HistoryPoint, HistoryQuery, HistoryStoreName } from '../api/index.ts';

export interface HistoryStore {
  readonly name: HistoryStoreName;
  /** In order of time. Rejects when it can't be known what is stored. */
  points(query: HistoryQuery): Promise<readonly HistoryPoint[]>;
}
