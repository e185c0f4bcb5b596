/**
 * Keys of the log's LMDB tables. All numbers are big-endian, so that LMDB's byte order is their order; a
 * partition is its topic's number (u32) and its own (u32), never the name, so that a deleted topic's leavings
 * can't be taken for a new one's.
 *
 *   log         partition, base offset u64                          → block (block.ts)
 *   times       partition, highest time so far u64, base offset u64 → block's own highest time f64, bytes u32
 *   heads       partition                                           → first, next, time, bytes, cleaned, dirty: f64 LE × 6
 *   topics      name                                                → JSON (topics.ts)
 *   groups      group 00 topic 00 partition u32                     → offset f64 LE
 *   ledgers     ledger id                                           → JSON {epoch, changelog}
 *   changelogs  changelog 00 partition u32                          → state number u32 BE
 *   state       state number u32, 00                                → meta of the last epoch
 *               state number u32, 01, key                           → value
 *               state number u32, 02, sha256 of a long key          → key length u32 LE, key, value
 *   redo        state number u32, sequence u32                    → changes of the state, packed (redo.ts)
 *   trash       kind, number u32                                    → empty: what deleteNamespace has still to clear
 *   meta        name                                                → format, numbers f64 LE
 *   claims      "claim", its version counting owners                → JSON of owner.ts, empty when nobody runs
 */
import { createHash } from 'node:crypto';

/** Above this LMDB takes no key (1978 bytes at 4 KiB pages), so longer state keys are stored by their hash. */
export const STATE_KEY_BYTES_MAX = 1900;

function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  target.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

const readU64 = (source: Buffer, at: number): number =>
  source.readUInt32BE(at) * 0x1_0000_0000 + source.readUInt32BE(at + 4);

export function partitionKey(topicNumber: number, partition: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeUInt32BE(topicNumber, 0);
  key.writeUInt32BE(partition, 4);
  return key;
}

export function blockKey(partition: Buffer, base: number): Buffer {
  const key = Buffer.allocUnsafe(16);
  key.set(partition, 0);
  writeU64(key, base, 8);
  return key;
}

/** `timestampMs` below 0 counts as 0: no record is older. */
export function timeKey(partition: Buffer, timestampMs: number, base: number): Buffer {
  const key = Buffer.allocUnsafe(24);
  key.set(partition, 0);
  writeU64(key, Math.max(0, Math.ceil(timestampMs)), 8);
  writeU64(key, base, 16);
  return key;
}

export const timeOfKey = (
  key: Buffer,
): { readonly timestampMs: number; readonly base: number } => ({
  timestampMs: readU64(key, 8),
  base: readU64(key, 16),
});

/** The first key after all that begin with `prefix`. */
export function afterPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    const byte = end[i] as number;
    if (byte < 0xff) {
      end[i] = byte + 1;
      return end.subarray(0, i + 1);
    }
  }
  return Buffer.alloc(32, 0xff);
}

export function namedPartitionKey(names: readonly string[], partition: number): Buffer {
  const text = Buffer.from(`${names.join('\0')}\0`);
  const key = Buffer.allocUnsafe(text.length + 4);
  key.set(text, 0);
  key.writeUInt32BE(partition, text.length);
  return key;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

export function f64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleLE(value, 0);
  return bytes;
}

export function redoKey(state: number, sequence: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeUInt32BE(state, 0);
  key.writeUInt32BE(sequence, 4);
  return key;
}

const META = 0;
const INLINE = 1;
const HASHED = 2;

const statePrefix = (state: number, kind: number): Buffer => {
  const prefix = Buffer.allocUnsafe(5);
  prefix.writeUInt32BE(state, 0);
  prefix[4] = kind;
  return prefix;
};

export const metaKey = (state: number): Buffer => statePrefix(state, META);

/** Where a state's entries begin; they end at the next state number. */
export const stateStart = (state: number): Buffer => statePrefix(state, INLINE);

/** Key and value as stored; a null value is a removal. */
export function encodeEntry(
  state: number,
  key: Buffer,
  value: Buffer | null,
): { readonly key: Buffer; readonly value: Buffer | null } {
  if (key.length <= STATE_KEY_BYTES_MAX) {
    const stored = Buffer.allocUnsafe(5 + key.length);
    stored.writeUInt32BE(state, 0);
    stored[4] = INLINE;
    stored.set(key, 5);
    return { key: stored, value };
  }
  const stored = Buffer.concat([
    statePrefix(state, HASHED),
    createHash('sha256').update(key).digest(),
  ]);
  if (value === null) return { key: stored, value };
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32LE(key.length, 0);
  return { key: stored, value: Buffer.concat([length, key, value]) };
}

export function decodeEntry(key: Buffer, value: Buffer): { key: Buffer; value: Buffer } {
  if (key[4] === INLINE) return { key: key.subarray(5), value };
  const length = value.readUInt32LE(0);
  return { key: value.subarray(4, 4 + length), value: value.subarray(4 + length) };
}
