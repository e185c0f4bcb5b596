/**
 * The partition key of `data_points`: one series (metric, type, tags) over one row of time.
 *
 *   ┌──────────────┬────┬─────────────────────┬────┬─────┬──────────────┬──────────────────┐
 *   │ metric UTF-8 │ 00 │ row time, int64 BE  │ 00 │ len │ type UTF-8   │ tag string UTF-8 │
 *   └──────────────┴────┴─────────────────────┴────┴─────┴──────────────┴──────────────────┘
 *                                             └ left out for kairos_legacy ┘
 *   cpu.load, 1609372800000, kairos_double, {dc=eu, host=web1}:
 *   6370752e6c6f6164 00 00000176b6181400 00 0d 6b6169726f735f646f75626c65 64633d65753a686f73743d776562313a
 */
import { PoisonError } from '../../model/index.ts';
import { formatTags, parseTags, type TagList } from './tag-string.ts';
import { LEGACY_TYPE } from './value.ts';

export interface RowKey {
  readonly metric: string;
  readonly rowTimeMs: number;
  /** The stored type: `kairos_long`, `kairos_double`, `kairos_string`, `kairos_legacy` or a foreign one. */
  readonly type: string;
  readonly tags: TagList;
  /** The same in bytes, where they have been made already. */
  readonly key?: Buffer;
}

/** Cassandra keeps a partition key's length in 16 bits. */
export const ROW_KEY_BYTES_MAX = 65_535;

export function encodeRowKey(row: RowKey): Buffer {
  return encodeRowKeyParts(row.metric, row.rowTimeMs, row.type, formatTags(row.tags));
}

/**
 * Keys are cut from stretches of their own: in Node's pool, whose pieces are 64 KiB, much else comes between two keys, and
 * who remembers a thousand would hold all of it.
 */
const STRETCH_BYTES = 16 * 1_024;
let stretch = Buffer.alloc(0);
let stretchAt = 0;

function cut(length: number): Buffer {
  if (length > STRETCH_BYTES / 4) return Buffer.allocUnsafeSlow(length);
  if (stretchAt + length > stretch.length) {
    stretch = Buffer.allocUnsafeSlow(STRETCH_BYTES);
    stretchAt = 0;
  }
  const bytes = stretch.subarray(stretchAt, stretchAt + length);
  stretchAt += length;
  return bytes;
}

/** The same with the tag string already made. */
export function encodeRowKeyParts(
  metric: string,
  rowTimeMs: number,
  type: string,
  tagString: string,
): Buffer {
  const metricBytes = Buffer.byteLength(metric);
  const typeBytes = type === LEGACY_TYPE ? -2 : Buffer.byteLength(type);
  const bytes = cut(metricBytes + 11 + typeBytes + Buffer.byteLength(tagString));
  let at = bytes.write(metric, 0);
  bytes[at++] = 0;
  at = writeRowTime(bytes, rowTimeMs, at);
  if (typeBytes >= 0) {
    bytes[at++] = 0;
    bytes[at++] = typeBytes;
    at += bytes.write(type, at);
  }
  bytes.write(tagString, at);
  return bytes;
}

/** Undoes `encodeRowKey` (but for the time, which must be a safe integer). Throws PoisonError KAIROS_KEY_INVALID. */
export function decodeRowKey(bytes: Buffer): RowKey {
  const end = bytes.indexOf(0);
  if (end < 0 || bytes.length < end + 9) throw invalidKey(bytes, 'it ends before its row time');
  const metric = bytes.toString('utf8', 0, end);
  const rowTimeMs = Number(bytes.readBigInt64BE(end + 1));
  let at = end + 9;
  let type = LEGACY_TYPE;
  if (bytes[at] === 0) {
    const length = bytes[at + 1] ?? 0;
    if (bytes.length < at + 2 + length) throw invalidKey(bytes, 'it ends inside its type');
    type = bytes.toString('utf8', at + 2, at + 2 + length);
    at += 2 + length;
  }
  return { metric, rowTimeMs, type, tags: parseTags(bytes.toString('utf8', at)) };
}

/** Where the keys of a metric from one row time to another (both included, one sign) lie in `row_key_index`. */
export function legacyIndexSlice(
  metric: string,
  firstRowTimeMs: number,
  lastRowTimeMs: number,
): { readonly first: Buffer; readonly end: Buffer } {
  const stem = Buffer.from(`${metric}\0`);
  const time = (ms: number) => {
    const bytes = Buffer.allocUnsafe(8);
    writeRowTime(bytes, ms, 0);
    return bytes;
  };
  return {
    first: Buffer.concat([stem, time(firstRowTimeMs)]),
    end: Buffer.concat([stem, time(lastRowTimeMs), Buffer.from([0xff, 0x00])]),
  };
}

/** A text that is equal exactly when two rows are the same one. */
export const rowIdentity = (row: RowKey): string =>
  `${row.metric}\0${row.rowTimeMs}\0${row.type}\0${formatTags(row.tags)}`;

function writeRowTime(bytes: Buffer, rowTimeMs: number, at: number): number {
  const high = Math.floor(rowTimeMs / 2 ** 32);
  bytes.writeInt32BE(high, at);
  return bytes.writeUInt32BE(rowTimeMs - high * 2 ** 32, at + 4);
}

const invalidKey = (bytes: Buffer, why: string): PoisonError =>
  new PoisonError(`row key ${bytes.subarray(0, 64).toString('hex')}: ${why}`, {
    code: 'KAIROS_KEY_INVALID',
  });
