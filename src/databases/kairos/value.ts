/**
 * Values of data points, by stored type (spec §6):
 *
 *   kairos_long     zigzag, then little-endian base 128: 7 bits a byte, high bit = more     300 → d804
 *   kairos_double   IEEE 754, 64 bits, big-endian                                          3.14 → 40091eb851eb851f
 *   kairos_string   Java's modified UTF-8 with a 16-bit length                               hi → 00026869
 *   kairos_legacy   before 0.9.4, only read: a long as big-endian bytes without leading zeros (none for 0);
 *                   in a column with its low bit set a flag, 01 + float32 or any other + float64
 */
import { PoisonError } from '../../model/index.ts';
import { decodeModifiedUtf8, encodeModifiedUtf8 } from './modified-utf8.ts';

export const LONG_TYPE = 'kairos_long';
export const DOUBLE_TYPE = 'kairos_double';
export const STRING_TYPE = 'kairos_string';
export const LEGACY_TYPE = 'kairos_legacy';

export type KairosValue = bigint | number | string;

/** The stored type that a value of the model gets. */
export function typeOfValue(value: KairosValue): string {
  switch (typeof value) {
    case 'bigint':
      return LONG_TYPE;
    case 'number':
      return DOUBLE_TYPE;
    case 'string':
      return STRING_TYPE;
  }
}

/** The bytes of a value as its own type. A long must fit 64 bits, a string 65,535 bytes: RangeError otherwise. */
export function encodeValue(value: KairosValue): Buffer {
  switch (typeof value) {
    case 'bigint':
      return encodeLong(value);
    case 'number':
      return encodeDouble(value);
    case 'string':
      return encodeModifiedUtf8(value);
  }
}

/**
 * Undoes `encodeValue`. `legacyFloat` is the column's low bit. Throws PoisonError KAIROS_TYPE_UNKNOWN or
 * KAIROS_VALUE_INVALID.
 */
export function decodeValue(type: string, bytes: Buffer, legacyFloat = false): KairosValue {
  switch (type) {
    case LONG_TYPE:
      return decodeLong(bytes);
    case DOUBLE_TYPE:
      if (bytes.length < 8) throw invalid(type, bytes);
      return bytes.readDoubleBE(0);
    case STRING_TYPE:
      return decodeModifiedUtf8(bytes);
    case LEGACY_TYPE:
      return legacyFloat ? decodeLegacyFloat(bytes) : decodeLegacyLong(bytes);
    default:
      throw new PoisonError(
        `data type ${JSON.stringify(type)} is not known here: known are ${LONG_TYPE}, ${DOUBLE_TYPE}, ${STRING_TYPE}, ${LEGACY_TYPE}`,
        { code: 'KAIROS_TYPE_UNKNOWN' },
      );
  }
}

export const LONG_MAX = 2n ** 63n - 1n;
export const LONG_MIN = -(2n ** 63n);

/** Longest number whose zigzag form is still exact as a double. */
const FAST_MAX = 2 ** 51;

export const LONG_BYTES_MAX = 10;

export function encodeLong(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(LONG_BYTES_MAX);
  return bytes.subarray(0, encodeLongInto(bytes, 0, value));
}

/** Writes it from `start` on, where there is room for LONG_BYTES_MAX; gives where it ends. */
export function encodeLongInto(bytes: Buffer, start: number, value: bigint): number {
  if (value < LONG_MIN || value > LONG_MAX) throw new RangeError(`${value} does not fit 64 bits`);
  let at = start;
  const small = Number(value);
  if (small > -FAST_MAX && small < FAST_MAX) return encodeSmallLongInto(bytes, start, small);
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  while (rest > 0x7fn) {
    bytes[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  bytes[at++] = Number(rest);
  return at;
}

/** The same of a whole number below 2^51, either way. */
export function encodeSmallLongInto(bytes: Buffer, start: number, small: number): number {
  let at = start;
  let rest = small >= 0 ? small * 2 : -small * 2 - 1;
  while (rest > 0x7f) {
    bytes[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[at++] = rest;
  return at;
}

/** A long of at most seven bytes, which a double holds exactly; undefined for anything else. */
export function smallLongAt(bytes: Buffer, from: number, to: number): number | undefined {
  let rest = 0;
  let scale = 1;
  for (let at = from; at < to && at < from + 7; at++) {
    const byte = bytes[at] as number;
    rest += (byte & 0x7f) * scale;
    if (byte < 0x80) return rest % 2 === 0 ? rest / 2 : -(rest + 1) / 2;
    scale *= 0x80;
  }
  return undefined;
}

export function decodeLong(bytes: Buffer): bigint {
  let length = 0;
  while (((bytes[length] ?? 0) & 0x80) !== 0) length++;
  length++;
  if (length > bytes.length || length > 10) throw invalid(LONG_TYPE, bytes);
  if (length <= 7) {
    let rest = 0;
    for (let i = length - 1; i >= 0; i--) rest = rest * 0x80 + ((bytes[i] as number) & 0x7f);
    return BigInt(rest % 2 === 0 ? rest / 2 : -(rest + 1) / 2);
  }
  let rest = 0n;
  for (let i = length - 1; i >= 0; i--) rest = (rest << 7n) | BigInt((bytes[i] as number) & 0x7f);
  rest = BigInt.asUintN(64, rest);
  return BigInt.asIntN(64, (rest >> 1n) ^ -(rest & 1n));
}

function encodeDouble(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(value, 0);
  return bytes;
}

function decodeLegacyLong(bytes: Buffer): bigint {
  if (bytes.length > 8) throw invalid(LEGACY_TYPE, bytes);
  const whole = bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`);
  return BigInt.asIntN(64, whole);
}

function decodeLegacyFloat(bytes: Buffer): number {
  if (bytes[0] === 1 && bytes.length >= 5) return bytes.readFloatBE(1);
  if (bytes.length >= 9) return bytes.readDoubleBE(1);
  throw invalid(LEGACY_TYPE, bytes);
}

const invalid = (type: string, bytes: Buffer): PoisonError =>
  new PoisonError(`value ${bytes.subarray(0, 32).toString('hex')} is no ${type}`, {
    code: 'KAIROS_VALUE_INVALID',
  });
