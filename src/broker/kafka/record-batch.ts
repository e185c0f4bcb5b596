/**
 * Kafka's record batch, format 2: its header, and the loop that turns records into columns. This loop is the
 * hot path of everything; it makes no object per record and reads each varint in place.
 *
 * ```
 *  0 base offset int64      8 length int32 (of what follows)   12 leader epoch int32   16 magic int8 = 2
 * 17 crc32c uint32 (of 21…) 21 attributes int16                23 last offset delta int32
 * 27 base timestamp int64   35 max timestamp int64             43 producer id int64    51 producer epoch int16
 * 53 base sequence int32    57 record count int32              61 records, packed as attributes say
 * record: length varint | attributes int8 | timestamp delta varlong | offset delta varint
 *         | key length varint, key | value length varint, value | header count varint, headers
 * ```
 * Varints are zigzag: 0, -1, 1, -2 … are 0, 1, 2, 3 … in groups of seven bits, lowest first. The record with key
 * "k", value "v" and no headers, first of its batch, is `10 00 00 00 02 6b 02 76 00`.
 * Source: kafka.apache.org/documentation/#recordbatch (4.1). Checksums of what is read are not verified: TCP has
 * its own, and CRC-32C in JavaScript would cost a quarter of a core at a million records a second.
 */
import { FatalError } from '../../model/index.ts';

export const HEADER_BYTES = 61;
const MAGIC = 2;
/** From the front of a batch to the end of its length field. */
const LENGTH_END = 12;

export const COMPRESSION_MASK = 0x07;
export const APPEND_TIME_FLAG = 0x08;
export const TRANSACTIONAL_FLAG = 0x10;
const CONTROL_FLAG = 0x20;

/** The least a record takes: length, attributes, two deltas, two lengths, header count. */
const RECORD_BYTES_MIN = 7;

export interface BatchHeader {
  /** Where the batch ends within the buffer. */
  readonly end: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** Index into `compressions`. */
  readonly codec: number;
  readonly transactional: boolean;
  readonly control: boolean;
  readonly baseTimestamp: number;
  /** When the log stamps batches itself: the time of all its records; else NaN. */
  readonly appendTimestamp: number;
  readonly producerId: number;
  readonly count: number;
}

const corrupt = (what: string): FatalError =>
  new FatalError(`a record batch is damaged: ${what}`, { code: 'CORRUPT_BATCH' });

/** A signed 64-bit number that must fit a double: offsets, timestamps, producer ids. */
export const readInt64 = (bytes: Buffer, at: number): number =>
  bytes.readInt32BE(at) * 4294967296 + bytes.readUInt32BE(at + 4);

/** The batch that begins at `at`, or null when it is cut off (the last one of an answer often is). */
export function readBatchHeader(bytes: Buffer, at: number, end: number): BatchHeader | null {
  if (at + HEADER_BYTES > end) {
    if (at + 17 <= end && bytes[at + 16] !== MAGIC) throw oldFormat(bytes[at + 16]!);
    return null;
  }
  const length = bytes.readInt32BE(at + 8);
  if (bytes[at + 16] !== MAGIC) throw oldFormat(bytes[at + 16]!);
  const batchEnd = at + LENGTH_END + length;
  if (length < HEADER_BYTES - LENGTH_END) throw corrupt(`length ${length}`);
  if (batchEnd > end) return null;
  const attributes = bytes.readInt16BE(at + 21);
  const baseOffset = readInt64(bytes, at);
  const lastOffset = baseOffset + bytes.readInt32BE(at + 23);
  if (!Number.isSafeInteger(lastOffset)) {
    throw new FatalError(
      `offset ${bytes.readBigInt64BE(at)} is past 2^53, more than is supported`,
      {
        code: 'OFFSET_TOO_LARGE',
      },
    );
  }
  return {
    end: batchEnd,
    baseOffset,
    lastOffset,
    codec: attributes & COMPRESSION_MASK,
    transactional: (attributes & TRANSACTIONAL_FLAG) !== 0,
    control: (attributes & CONTROL_FLAG) !== 0,
    baseTimestamp: readInt64(bytes, at + 27),
    appendTimestamp: (attributes & APPEND_TIME_FLAG) !== 0 ? readInt64(bytes, at + 35) : Number.NaN,
    producerId: readInt64(bytes, at + 43),
    count: bytes.readInt32BE(at + 57),
  };
}

const oldFormat = (magic: number): FatalError =>
  new FatalError(
    `the topic holds messages in format ${magic} of Kafka 0.10 or older; rewrite it (message.format.version) first`,
    { code: 'KAFKA_OLD_FORMAT' },
  );

/** Records that lie in one buffer in one piece, not decoded yet. */
export interface RecordRun {
  readonly bytes: Buffer;
  /** Next record's first byte; moves on as records are decoded. */
  at: number;
  readonly end: number;
  /** How many are left. */
  count: number;
  readonly baseOffset: number;
  readonly baseTimestamp: number;
  readonly appendTimestamp: number;
}

export function assertPlausibleCount(run: RecordRun): void {
  if (run.count < 0 || run.count * RECORD_BYTES_MIN > run.end - run.at) {
    throw corrupt(`${run.count} records in ${run.end - run.at} bytes`);
  }
}

/** The columns of a RecordBatch while they are being filled; all views of one allocation. */
export interface Columns {
  readonly offsets: Float64Array;
  readonly timestamps: Float64Array;
  readonly keyStart: Int32Array;
  readonly keyEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
}

const COLUMN_BYTES_PER_RECORD = 2 * 8 + 4 * 4;

export function makeColumns(capacity: number): Columns {
  const memory = new ArrayBuffer(capacity * COLUMN_BYTES_PER_RECORD);
  const ints = capacity * 16;
  return {
    offsets: new Float64Array(memory, 0, capacity),
    timestamps: new Float64Array(memory, capacity * 8, capacity),
    keyStart: new Int32Array(memory, ints, capacity),
    keyEnd: new Int32Array(memory, ints + capacity * 4, capacity),
    valueStart: new Int32Array(memory, ints + capacity * 8, capacity),
    valueEnd: new Int32Array(memory, ints + capacity * 12, capacity),
  };
}

/** Where `readVarint` and `readVarlong` stopped. */
let cursor = 0;

/** A zigzag varint of up to five bytes. */
function readVarint(bytes: Uint8Array, from: number): number {
  let at = from;
  let byte = bytes[at++]!;
  let value = byte & 0x7f;
  for (let shift = 7; byte > 0x7f; shift += 7) {
    if (shift > 28) throw corrupt('a varint of more than 5 bytes');
    byte = bytes[at++]!;
    value |= (byte & 0x7f) << shift;
  }
  cursor = at;
  return (value >>> 1) ^ -(value & 1);
}

/** A zigzag varint of up to ten bytes, as a double. */
function readVarlong(bytes: Uint8Array, from: number): number {
  let at = from;
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    if (shift > 63n) throw corrupt('a varlong of more than 10 bytes');
    const byte = bytes[at++]!;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  cursor = at;
  return Number(BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n)));
}

/**
 * Decodes up to `limit` records of the run into the columns from row `row` on, leaving out those below
 * `fromOffset`; advances the run and returns the row after the last one written. Rejects damaged lengths with
 * FatalError CORRUPT_BATCH rather than reading past the run.
 */
export function decodeRecords(
  run: RecordRun,
  limit: number,
  fromOffset: number,
  columns: Columns,
  row: number,
): number {
  const { bytes, end, baseOffset, baseTimestamp, appendTimestamp } = run;
  const { offsets, timestamps, keyStart, keyEnd, valueStart, valueEnd } = columns;
  const stampedByLog = !Number.isNaN(appendTimestamp);
  const many = Math.min(limit, run.count);
  let at = run.at;
  let out = row;
  for (let i = 0; i < many; i++) {
    let byte = bytes[at++]!;
    let raw = byte;
    if (byte > 0x7f) {
      byte = bytes[at++]!;
      raw = (raw & 0x7f) | (byte << 7);
      if (byte > 0x7f) {
        raw = (readVarint(bytes, at - 2) << 1) >>> 0;
        at = cursor;
      }
    }
    // A length is never negative, so zigzag is halving.
    const recordEnd = at + (raw >>> 1);
    if (recordEnd > end) throw corrupt('a record is longer than its batch');
    at++; // Record attributes: unused by Kafka.

    let timestampDelta: number;
    byte = bytes[at++]!;
    if (byte < 0x80) timestampDelta = (byte >>> 1) ^ -(byte & 1);
    else {
      const next = bytes[at]!;
      if (next < 0x80) {
        raw = (byte & 0x7f) | (next << 7);
        timestampDelta = (raw >>> 1) ^ -(raw & 1);
        at++;
      } else {
        timestampDelta = readVarlong(bytes, at - 1);
        at = cursor;
      }
    }

    let offsetDelta: number;
    byte = bytes[at++]!;
    if (byte < 0x80) offsetDelta = byte >>> 1;
    else {
      const next = bytes[at++]!;
      if (next < 0x80) offsetDelta = ((byte & 0x7f) | (next << 7)) >>> 1;
      else {
        offsetDelta = readVarint(bytes, at - 2);
        at = cursor;
      }
    }

    let keyLength: number;
    byte = bytes[at++]!;
    if (byte < 0x80) keyLength = (byte >>> 1) ^ -(byte & 1);
    else {
      keyLength = readVarint(bytes, at - 1);
      at = cursor;
    }
    let keyFrom = -1;
    let keyTo = -1;
    if (keyLength >= 0) {
      keyFrom = at;
      at += keyLength;
      keyTo = at;
    }

    let valueLength: number;
    byte = bytes[at++]!;
    if (byte < 0x80) valueLength = (byte >>> 1) ^ -(byte & 1);
    else {
      const next = bytes[at++]!;
      if (next < 0x80) {
        raw = (byte & 0x7f) | (next << 7);
        valueLength = (raw >>> 1) ^ -(raw & 1);
      } else {
        valueLength = readVarint(bytes, at - 2);
        at = cursor;
      }
    }
    let valueFrom = -1;
    let valueTo = -1;
    if (valueLength >= 0) {
      valueFrom = at;
      at += valueLength;
      valueTo = at;
    }
    if (at > recordEnd) throw corrupt('a key or value is longer than its record');
    at = recordEnd; // Headers are skipped.

    const offset = baseOffset + offsetDelta;
    if (offset >= fromOffset) {
      offsets[out] = offset;
      timestamps[out] = stampedByLog ? appendTimestamp : baseTimestamp + timestampDelta;
      keyStart[out] = keyFrom;
      keyEnd[out] = keyTo;
      valueStart[out] = valueFrom;
      valueEnd[out] = valueTo;
      out++;
    }
  }
  run.at = at;
  run.count -= many;
  return out;
}

/** Whether a control batch ends its producer's transaction by abort (0) rather than commit (1). */
export function isAbortMarker(bytes: Buffer, batchStart: number): boolean {
  // The marker's only record has key { version int16, type int16 } and never more than single-byte varints.
  let at = batchStart + HEADER_BYTES;
  readVarint(bytes, at); // length
  at = cursor + 1; // attributes
  readVarlong(bytes, at); // timestamp delta
  readVarint(bytes, cursor); // offset delta
  const keyLength = readVarint(bytes, cursor);
  return keyLength >= 4 && bytes.readInt16BE(cursor + 2) === 0;
}
