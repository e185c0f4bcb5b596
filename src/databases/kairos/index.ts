/** KairosDB's storage: its bytes, its tables on Cassandra or on disk, and series written to and read from them. */
export { type CassandraWideRowsOptions, cassandraWideRows } from './cassandra-wide-rows.ts';
export { batchOf, type CellBatch } from './cell-batch.ts';
export {
  columnOf,
  decodeColumn,
  encodeColumn,
  isLegacyFloat,
  rowTimeOf,
  TIMESTAMP_MS_MAX,
  timestampOf,
} from './column.ts';
export * from './config.ts';
export * from './packed/index.ts';
export { reasonAgainstPoint } from './point-check.ts';
export { TTL_SECONDS_MAX, type TtlOptions } from './point-ttl.ts';
export type { ReadClusterOptions } from './read-clusters.ts';
export type { RowIndexOptions } from './row-index.ts';
export { decodeRowKey, encodeRowKey, type RowKey } from './row-key.ts';
export { type FoundRow, type RowQuery, type TagFilter, takesPoint } from './row-query.ts';
export { type PointPage, type RowReadOptions, valueAt } from './row-reader.ts';
export * from './row-spec.ts';
export type { SeriesQuery } from './series-reader.ts';
export { type SetupStep, setupKairos } from './setup.ts';
export { type KairosSinkOptions, kairosSink } from './sink.ts';
export { ensureSpec } from './spec-rows.ts';
export { KairosStore, type KairosStoreOptions } from './store.ts';
export type { TagIndexConfig } from './tag-index.ts';
export { type TagList, tagListOf, tagRecordOf } from './tag-string.ts';
export {
  DOUBLE_TYPE,
  decodeValue,
  encodeValue,
  type KairosValue,
  LEGACY_TYPE,
  LONG_TYPE,
  STRING_TYPE,
  typeOfValue,
} from './value.ts';
export type * from './wide-rows.ts';
export type { PackedWriteOptions, WriteOptions } from './writer.ts';
