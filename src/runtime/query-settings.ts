/** Settings of history, of `/api/v1` queries, of the cells kept for them and of rollup tasks. */
import { choice, flag, section, whole } from './setting.ts';

export const historySettings = section({
  primary: choice(['embedded', 'influx'], {
    description:
      'Store that answers /v1/validators/:id/metrics and /v1/networks/:network/stats: this process’s own, or InfluxDB.',
    environment: 'TIDEMARK_HISTORY_PRIMARY',
    default: 'embedded',
  }),
  fallback: choice(['none', 'embedded', 'influx'], {
    description: 'Store that answers them while the primary fails, hangs or is away.',
    environment: 'TIDEMARK_HISTORY_FALLBACK',
    default: 'none',
  }),
  timeoutMs: whole({
    description: 'How long InfluxDB has for a question of history.',
    environment: 'TIDEMARK_HISTORY_TIMEOUT_MS',
    unit: 'ms',
    default: 5_000,
    minimum: 10,
    maximum: 300_000,
  }),
});

export const querySettings = section({
  timeoutMs: whole({
    description:
      'A query under /api/v1 that takes longer stops reading and is answered with 500, as KairosDB does. 0: without limit.',
    environment: 'TIDEMARK_QUERY_TIMEOUT_MS',
    unit: 'ms',
    default: 300_000,
    minimum: 0,
    maximum: 86_400_000,
  }),
  atOnceMax: whole({
    description: 'Queries that are read at once; more wait.',
    environment: 'TIDEMARK_QUERIES_AT_ONCE_MAX',
    unit: 'queries',
    default: 16,
    minimum: 1,
    maximum: 10_000,
  }),
  waitingMax: whole({
    description: 'Queries that may wait for their turn; more get 503 with Retry-After.',
    environment: 'TIDEMARK_QUERIES_WAITING_MAX',
    unit: 'queries',
    default: 256,
    minimum: 0,
    maximum: 1_000_000,
  }),
  pointsMax: whole({
    description: 'Points that one query may read before it is answered with 500. 0: without limit.',
    environment: 'TIDEMARK_QUERY_POINTS_MAX',
    unit: 'points',
    default: 0,
    minimum: 0,
    maximum: 1_000_000_000_000,
  }),
  rowsMax: whole({
    description:
      'Stored rows (series × three weeks) that one query may touch before it is answered with 500. 0: without limit.',
    environment: 'TIDEMARK_QUERY_ROWS_MAX',
    unit: 'rows',
    default: 0,
    minimum: 0,
    maximum: 1_000_000_000_000,
  }),
  cacheBytesMax: whole({
    description:
      'Memory for answers to queries that carry cache_time; the least used go first. 0: cache_time has no effect, as in a KairosDB that keeps no cache files.',
    environment: 'TIDEMARK_QUERY_CACHE_BYTES_MAX',
    unit: 'bytes',
    default: 64 * 1_024 * 1_024,
    minimum: 0,
    maximum: 64 * 1_024 * 1_024 * 1_024,
  }),
  slowMs: whole({
    description: 'Queries that take longer are logged with their text. 0: none is.',
    environment: 'TIDEMARK_SLOW_QUERY_MS',
    unit: 'ms',
    default: 5_000,
    minimum: 0,
    maximum: 86_400_000,
  }),
});

export const cellCacheSettings = section({
  bytesMax: whole({
    description:
      'Memory for points that queries have read from Cassandra, about three bytes each where values have few digits, ten where not; the least used go first. 0: every query reads all its points anew, and sees at once what other servers of the keyspace write.',
    environment: 'CASSANDRA_CELL_CACHE_BYTES_MAX',
    unit: 'bytes',
    default: 0,
    minimum: 0,
    maximum: 64 * 1_024 * 1_024 * 1_024,
  }),
  maxAgeMs: whole({
    description:
      'Points are read again when they were read so long ago: at most so late does a query see what another server writes into a time that is kept, and that a point’s life is over.',
    environment: 'CASSANDRA_CELL_CACHE_MAX_AGE_MS',
    unit: 'ms',
    default: 600_000,
    minimum: 1_000,
    maximum: 604_800_000,
  }),
  settledMs: whole({
    description:
      'Points whose time is not yet so long ago are read each time, because others may still come beside them.',
    environment: 'CASSANDRA_CELL_CACHE_SETTLED_MS',
    unit: 'ms',
    default: 600_000,
    minimum: 0,
    maximum: 604_800_000,
  }),
});

export const rollupSettings = section({
  enabled: flag({
    description:
      'Run rollup tasks here (with the role query). They are kept and answered all the same.',
    environment: 'TIDEMARK_ROLLUPS',
    default: true,
  }),
  checkIntervalMs: whole({
    description: 'How often rollup tasks are looked at: none runs more than this late.',
    environment: 'TIDEMARK_ROLLUPS_CHECK_INTERVAL_MS',
    unit: 'ms',
    default: 10_000,
    minimum: 100,
    maximum: 3_600_000,
  }),
  catchUpHours: whole({
    description:
      'How far back missed runs are caught up with; what is older is counted, logged and left to a backfill.',
    environment: 'TIDEMARK_ROLLUPS_CATCH_UP_HOURS',
    unit: 'h',
    default: 168,
    minimum: 1,
    maximum: 876_000,
  }),
  runsMax: whole({
    description: 'Rollup tasks that run at once in one process.',
    environment: 'TIDEMARK_ROLLUPS_RUNS_MAX',
    unit: 'runs',
    default: 2,
    minimum: 1,
    maximum: 1_000,
  }),
});
