/**
 * KairosDB 1.3's tables, as its own server makes them (spec §1). `data_points` is made with compact storage, as
 * there, where the server still takes that; without it everything works alike.
 */
export interface TableDefinition {
  readonly name: string;
  readonly columns: string;
  /** Tried first; a server that refuses it gets the table without. */
  readonly options?: string;
}

const METRIC_ROW = 'metric text, table_name text, row_time timestamp';

export const tableDefinitions: readonly TableDefinition[] = [
  {
    name: 'data_points',
    columns: 'key blob, column1 blob, value blob, PRIMARY KEY ((key), column1)',
    options: 'WITH COMPACT STORAGE',
  },
  {
    name: 'row_key_index',
    columns: 'key blob, column1 blob, value blob, PRIMARY KEY ((key), column1)',
  },
  {
    name: 'row_key_time_index',
    columns: `${METRIC_ROW}, value text, PRIMARY KEY ((metric), table_name, row_time)`,
  },
  {
    name: 'row_keys',
    columns: `${METRIC_ROW}, data_type text, tags frozen<map<text, text>>, mtime timeuuid static, value text, PRIMARY KEY ((metric, table_name, row_time), data_type, tags)`,
  },
  {
    name: 'tag_indexed_row_keys',
    columns: `${METRIC_ROW}, single_tag_pair text, tag_collection_hash int, data_type text, tags frozen<map<text, text>>, mtime timeuuid static, value text, PRIMARY KEY ((metric, table_name, row_time, single_tag_pair), data_type, tag_collection_hash, tags)`,
  },
  {
    name: 'string_index',
    columns: 'key blob, column1 text, value blob, PRIMARY KEY ((key), column1)',
  },
  {
    name: 'service_index',
    columns:
      'service text, service_key text, key text, mtime timeuuid static, value text, PRIMARY KEY ((service, service_key), key)',
  },
  {
    name: 'spec',
    columns: 'spec_type text, name text, value text, PRIMARY KEY ((spec_type), name)',
  },
];

/** The one value of every `table_name` column. */
export const TABLE_NAME = 'data_points';
export const SPEC_TYPE = 'cluster_config';
/** The partition of `string_index` with the metric names. */
export const METRIC_NAMES_KEY: Buffer = Buffer.from('metric_names');
