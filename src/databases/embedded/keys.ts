/**
 * Keys of the embedded store. LMDB orders by bytes and takes keys up to 1,978 bytes, so texts are written
 * order-preserving with a terminator, and over-long ones keep their first bytes and end in a digest: equal
 * texts still give equal keys, and order is exact but among texts that share those first bytes.
 *
 *   text     ┌──────────────────────────────┬───────┐    NUL inside is 00 ff, so the terminator sorts before
 *            │ UTF-8, each 00 as 00 ff      │ 00 01 │    anything that could follow
 *            └──────────────────────────────┴───────┘
 *   long     ┌───────────────┬────┬─────────┬───────┐    ff never occurs in UTF-8
 *            │ first 360 B   │ ff │ SHA-256 │ 00 01 │
 *            └───────────────┴────┴─────────┴───────┘
 *   time     int64 big-endian with its sign bit flipped: −1 → 7fffffffffffffff, 0 → 8000000000000000
 */
import { createHash } from 'node:crypto';

const TEXT_BYTES_MAX = 400;
const TEXT_BYTES_KEPT = 360;
const TERMINATOR = Buffer.from([0x00, 0x01]);
const CUT = Buffer.from([0xff]);

/** The text's bytes in key order, not yet terminated. */
function textStem(text: string): Buffer {
  const bytes = Buffer.from(text);
  return bytes.includes(0) ? escapeNul(bytes) : bytes;
}

export function textKey(text: string): Buffer {
  const length = Buffer.byteLength(text);
  if (length <= TEXT_BYTES_MAX && !text.includes('\0')) {
    const key = Buffer.allocUnsafe(length + TERMINATOR.length);
    key.write(text);
    key.set(TERMINATOR, length);
    return key;
  }
  const stem = textStem(text);
  if (stem.length <= TEXT_BYTES_MAX) return Buffer.concat([stem, TERMINATOR]);
  const digest = escapeNul(createHash('sha256').update(stem).digest());
  return Buffer.concat([stem.subarray(0, TEXT_BYTES_KEPT), CUT, digest, TERMINATOR]);
}

/** The part of a prefix that is the same in all keys of texts that begin with it. */
export function prefixKey(prefix: string): Buffer {
  return textStem(prefix).subarray(0, TEXT_BYTES_KEPT);
}

function escapeNul(bytes: Buffer): Buffer {
  const escaped: number[] = [];
  for (const byte of bytes) {
    escaped.push(byte);
    if (byte === 0) escaped.push(0xff);
  }
  return Buffer.from(escaped);
}

export function timeKey(timeMs: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  const high = Math.floor(timeMs / 2 ** 32);
  bytes.writeUInt32BE((high ^ 0x80000000) >>> 0);
  bytes.writeUInt32BE(timeMs - high * 2 ** 32, 4);
  return bytes;
}

/** The first key behind all that begin with `prefix`; undefined when nothing can be behind. */
export function behind(prefix: Buffer): Buffer | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const next = Buffer.from(prefix.subarray(0, length));
  next[length - 1] = (next[length - 1] as number) + 1;
  return next;
}

const ROW_KEY_BYTES_KEPT = 1_800;

/** A row key as a key of table `rows`: as it is, or its first bytes and a digest. */
export function rowTableKey(key: Buffer): Buffer {
  if (key.length <= ROW_KEY_BYTES_KEPT) return Buffer.concat([Buffer.from([0]), key]);
  const digest = createHash('sha256').update(key).digest();
  return Buffer.concat([Buffer.from([1]), key.subarray(0, ROW_KEY_BYTES_KEPT), digest]);
}

export function writeUint32(value: number, target: Uint8Array, at: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

export function writeUint48(value: number, target: Uint8Array, at: number): void {
  const high = Math.floor(value / 2 ** 32);
  target[at] = high >>> 8;
  target[at + 1] = high;
  writeUint32(value % 2 ** 32, target, at + 2);
}

const uint16At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number);

export const uint32At = (bytes: Uint8Array, at: number): number =>
  ((uint16At(bytes, at) << 16) | uint16At(bytes, at + 2)) >>> 0;

export const uint48At = (bytes: Uint8Array, at: number): number =>
  uint16At(bytes, at) * 2 ** 32 + uint32At(bytes, at + 2);
