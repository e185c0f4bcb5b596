/**
 * Writes record batches (layout in `record-batch.ts`). One pass sizes the records, one writes them; nothing is
 * made per record but the two buffers of text keys and values.
 */
import type { Compression } from './compression.ts';
import { compress, compressions } from './compression.ts';
import { crc32c } from './crc32c.ts';
import { HEADER_BYTES, TRANSACTIONAL_FLAG } from './record-batch.ts';

export interface EncodableRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** ms; absent = `nowMs` of the batch. */
  readonly timestamp?: number | undefined;
}

export interface BatchIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly transactional: boolean;
}

function varintBytes(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  return zigzag < 0x80
    ? 1
    : zigzag < 0x4000
      ? 2
      : zigzag < 0x20_0000
        ? 3
        : zigzag < 0x1000_0000
          ? 4
          : 5;
}

function writeVarint(bytes: Buffer, from: number, value: number): number {
  let at = from;
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  while (zigzag > 0x7f) {
    bytes[at++] = (zigzag & 0x7f) | 0x80;
    zigzag >>>= 7;
  }
  bytes[at++] = zigzag;
  return at;
}

/**
 * Timestamp deltas may need more than 32 bits, and twice their size more than a double holds exactly: the sign
 * and six bits come first, the rest by division.
 */
const magnitude = (value: number): number => (value < 0 ? -value - 1 : value);

function varlongBytes(value: number): number {
  let rest = Math.floor(magnitude(value) / 64);
  let bytes = 1;
  while (rest > 0) {
    rest = Math.floor(rest / 128);
    bytes++;
  }
  return bytes;
}

function writeVarlong(bytes: Buffer, from: number, value: number): number {
  let at = from;
  let rest = magnitude(value);
  let group = (rest % 64) * 2 + (value < 0 ? 1 : 0);
  rest = Math.floor(rest / 64);
  while (rest > 0) {
    bytes[at++] = group | 0x80;
    group = rest % 128;
    rest = Math.floor(rest / 128);
  }
  bytes[at++] = group;
  return at;
}

const lengthOf = (part: Buffer | null): number => (part === null ? -1 : part.length);
const sizeOf = (part: Buffer | null): number =>
  part === null ? 1 : varintBytes(part.length) + part.length;

/** What a record will take, about: for cutting batches. */
export const recordBytes = (record: EncodableRecord): number =>
  20 + (record.key?.length ?? 0) + (record.value?.length ?? 0);

/** One batch of the records, in order, ready to go into a produce request. */
export async function encodeBatch(
  records: readonly EncodableRecord[],
  identity: BatchIdentity,
  compression: Compression,
  nowMs: number,
): Promise<Buffer> {
  const baseTimestamp = records[0]?.timestamp ?? nowMs;
  let maxTimestamp = baseTimestamp;
  let size = 0;
  const bodies = new Int32Array(records.length);
  for (let i = 0; i < records.length; i++) {
    const { key, value, timestamp = nowMs } = records[i]!;
    if (timestamp > maxTimestamp) maxTimestamp = timestamp;
    const body =
      2 + varlongBytes(timestamp - baseTimestamp) + varintBytes(i) + sizeOf(key) + sizeOf(value);
    bodies[i] = body;
    size += varintBytes(body) + body;
  }
  const plain = Buffer.allocUnsafe(HEADER_BYTES + size);
  let at = HEADER_BYTES;
  for (let i = 0; i < records.length; i++) {
    const { key, value, timestamp = nowMs } = records[i]!;
    at = writeVarint(plain, at, bodies[i]!);
    plain[at++] = 0;
    at = writeVarlong(plain, at, timestamp - baseTimestamp);
    at = writeVarint(plain, at, i);
    at = writeVarint(plain, at, lengthOf(key));
    if (key !== null) at += key.copy(plain, at);
    at = writeVarint(plain, at, lengthOf(value));
    if (value !== null) at += value.copy(plain, at);
    plain[at++] = 0;
  }
  let batch = plain;
  let codec = compression;
  if (compression !== 'none') {
    const packed = await compress(compression, plain.subarray(HEADER_BYTES));
    if (packed.length < size) {
      batch = Buffer.allocUnsafe(HEADER_BYTES + packed.length);
      packed.copy(batch, HEADER_BYTES);
    } else codec = 'none';
  }
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch[16] = 2;
  batch.writeInt16BE(
    compressions.indexOf(codec) | (identity.transactional ? TRANSACTIONAL_FLAG : 0),
    21,
  );
  batch.writeInt32BE(records.length - 1, 23);
  batch.writeBigInt64BE(BigInt(baseTimestamp), 27);
  batch.writeBigInt64BE(BigInt(maxTimestamp), 35);
  batch.writeBigInt64BE(identity.producerId, 43);
  batch.writeInt16BE(identity.producerEpoch, 51);
  batch.writeInt32BE(identity.baseSequence, 53);
  batch.writeInt32BE(records.length, 57);
  batch.writeUInt32BE(crc32c(batch, 21), 17);
  return batch;
}
