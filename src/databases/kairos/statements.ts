/** Every CQL statement that the store sends, prepared once each and safe to send twice. */

import {
  PACKED_COLUMN,
  PACKED_KEY,
  PACKED_ROW_TIME,
  PACKED_TAGS,
  PACKED_TYPE,
  PACKED_VALUE,
} from './packed-results.ts';

const PACKED_CELL = `column1 AS ${PACKED_COLUMN}, value AS ${PACKED_VALUE}`;
const PACKED_ROW_KEY = `data_type AS ${PACKED_TYPE}, tags AS ${PACKED_TAGS}`;
const ROW = 'metric = ? AND table_name = ? AND row_time = ?';

export const statements = {
  writeCell: 'INSERT INTO data_points (key, column1, value) VALUES (?, ?, ?) USING TTL ?',
  readCells: `SELECT ${PACKED_CELL} FROM data_points WHERE key = ? AND column1 >= ? AND column1 <= ? ORDER BY column1 ASC LIMIT ?`,
  readCellsBackwards: `SELECT ${PACKED_CELL} FROM data_points WHERE key = ? AND column1 >= ? AND column1 <= ? ORDER BY column1 DESC LIMIT ?`,
  readCellsOfRows: `SELECT key AS ${PACKED_KEY}, ${PACKED_CELL} FROM data_points WHERE key IN ? AND column1 >= ? AND column1 <= ?`,
  deleteCells: 'DELETE FROM data_points WHERE key = ? AND column1 >= ? AND column1 <= ?',
  deleteRow: 'DELETE FROM data_points WHERE key = ?',

  writeRowKey:
    'INSERT INTO row_keys (metric, table_name, row_time, data_type, tags, mtime) VALUES (?, ?, ?, ?, ?, now()) USING TTL ?',
  readRowKey: `SELECT data_type FROM row_keys WHERE ${ROW} AND data_type = ? AND tags = ?`,
  readRowKeys: `SELECT ${PACKED_ROW_KEY} FROM row_keys WHERE ${ROW}`,
  // Times as numbers: a date object would stop at the year 275,760.
  readRowKeysOfTimes: `SELECT toUnixTimestamp(row_time) AS ${PACKED_ROW_TIME}, ${PACKED_ROW_KEY} FROM row_keys WHERE metric = ? AND table_name = ? AND row_time IN ?`,
  deleteRowKey: `DELETE FROM row_keys WHERE ${ROW} AND data_type = ? AND tags = ?`,

  writeTaggedRowKey:
    'INSERT INTO tag_indexed_row_keys (metric, table_name, row_time, single_tag_pair, data_type, tag_collection_hash, tags, mtime) VALUES (?, ?, ?, ?, ?, ?, ?, now()) USING TTL ?',
  readTaggedRowKeys: `SELECT ${PACKED_ROW_KEY} FROM tag_indexed_row_keys WHERE ${ROW} AND single_tag_pair = ?`,
  deleteTaggedRowKey: `DELETE FROM tag_indexed_row_keys WHERE ${ROW} AND single_tag_pair = ? AND data_type = ? AND tag_collection_hash = ? AND tags = ?`,

  writeRowTime:
    'INSERT INTO row_key_time_index (metric, table_name, row_time) VALUES (?, ?, ?) USING TTL ?',
  readRowTime: `SELECT metric FROM row_key_time_index WHERE ${ROW}`,
  // As a number: a date object would stop at the year 275,760.
  readRowTimes:
    'SELECT toUnixTimestamp(row_time) AS row_time FROM row_key_time_index WHERE metric = ? AND table_name = ? AND row_time >= ? AND row_time <= ?',
  deleteRowTime: `DELETE FROM row_key_time_index WHERE ${ROW}`,

  readLegacyRowKeys:
    'SELECT column1 FROM row_key_index WHERE key = ? AND column1 >= ? AND column1 < ?',
  deleteLegacyRowKey: 'DELETE FROM row_key_index WHERE key = ? AND column1 = ?',
  deleteLegacyRowKeys: 'DELETE FROM row_key_index WHERE key = ?',

  writeName: 'INSERT INTO string_index (key, column1, value) VALUES (?, ?, 0x00)',
  readNames: 'SELECT column1 FROM string_index WHERE key = ? AND column1 >= ?',
  readNamesBefore:
    'SELECT column1 FROM string_index WHERE key = ? AND column1 >= ? AND column1 < ?',
  deleteName: 'DELETE FROM string_index WHERE key = ? AND column1 = ?',

  readSpec: 'SELECT name, value FROM spec WHERE spec_type = ?',
  writeSpec: 'INSERT INTO spec (spec_type, name, value) VALUES (?, ?, ?)',

  writeService:
    'INSERT INTO service_index (service, service_key, key, value, mtime) VALUES (?, ?, ?, ?, now())',
  createService:
    'INSERT INTO service_index (service, service_key, key, value) VALUES (?, ?, ?, ?) IF NOT EXISTS',
  replaceService:
    'UPDATE service_index SET value = ? WHERE service = ? AND service_key = ? AND key = ? IF value = ?',
  removeService:
    'DELETE FROM service_index WHERE service = ? AND service_key = ? AND key = ? IF value = ?',
  touchService: 'INSERT INTO service_index (service, service_key, mtime) VALUES (?, ?, now())',
  readService:
    'SELECT value, WRITETIME(value) AS written FROM service_index WHERE service = ? AND service_key = ? AND key = ?',
  deleteService: 'DELETE FROM service_index WHERE service = ? AND service_key = ? AND key = ?',
  readServiceKeys: 'SELECT service_key FROM service_index WHERE service = ? ALLOW FILTERING',
  readKeysOfService:
    'SELECT key FROM service_index WHERE service = ? AND service_key = ? AND key >= ?',
  readKeysOfServiceBefore:
    'SELECT key FROM service_index WHERE service = ? AND service_key = ? AND key >= ? AND key < ?',
} as const;
