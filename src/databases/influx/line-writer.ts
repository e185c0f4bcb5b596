/**
 * One row of a reply as a line of line protocol. Each function writes at a place in a buffer that has the room and gives
 * the place behind, or -1 for what needs more care. They are small and keep nothing, so that the engine compiles them
 * within the first thousand rows.
 */
import { endOf } from './msgpack.ts';

const STRING_BYTES_MAX = 1_048_576;
const BILLION = 1_000_000_000;

interface RowToWrite {
  /** Measurement and tags. */
  readonly prefix: Buffer;
  /** `,name=` of each field. */
  readonly names: readonly Buffer[];
  /** The row, which begins with its time, then the fields. */
  readonly bytes: Buffer;
  readonly begin: number;
}

export function writeLine(
  out: Buffer,
  to: number,
  { prefix, names, bytes, begin }: RowToWrite,
): number {
  let end = copied(out, to, prefix);
  let separator = 0x20;
  let at = endOf(bytes, begin);
  for (let field = 0; field < names.length; field++) {
    if (bytes[at] === 0xc0) {
      at++;
      continue;
    }
    const nameAt = end;
    end = copied(out, end, names[field] as Buffer);
    out[nameAt] = separator;
    separator = 0x2c;
    const next = endOf(bytes, at);
    end = value(out, end, bytes, at, next);
    if (end < 0) return -1;
    at = next;
  }
  if (separator === 0x20 || isOutermost(bytes, begin)) return -1;
  out[end] = 0x20;
  end = integer(out, end + 1, bytes, begin);
  if (end < 0) return -1;
  out[end] = 0x0a;
  return end + 1;
}

/** Names and tags are short: a loop is quicker than a call into native code. */
function copied(out: Buffer, to: number, bytes: Buffer): number {
  const { length } = bytes;
  for (let i = 0; i < length; i++) out[to + i] = bytes[i] as number;
  return to + length;
}

function value(out: Buffer, to: number, bytes: Buffer, at: number, end: number): number {
  const type = bytes[at] as number;
  if (type === 0xcb) return float(out, to, bytes.readDoubleBE(at + 1));
  if (type >= 0xa0 && type < 0xc0) return string(out, to, bytes, at + 1, end);
  if (type >= 0xd9 && type <= 0xdb)
    return string(out, to, bytes, at + 1 + (1 << (type - 0xd9)), end);
  if (type === 0xc2 || type === 0xc3) return ascii(out, to, type === 0xc3 ? 'true' : 'false');
  const behind = integer(out, to, bytes, at);
  if (behind < 0) return -1;
  out[behind] = 0x69;
  return behind + 1;
}

function float(out: Buffer, to: number, value: number): number {
  // NaN and the infinities.
  if (value - value !== 0) return -1;
  return ascii(out, to, Object.is(value, -0) ? '-0' : `${value}`);
}

function ascii(out: Buffer, to: number, text: string): number {
  const { length } = text;
  for (let i = 0; i < length; i++) out[to + i] = text.charCodeAt(i);
  return to + length;
}

function string(out: Buffer, to: number, bytes: Buffer, begin: number, end: number): number {
  if (end - begin > STRING_BYTES_MAX) return -1;
  let at = to;
  out[at++] = 0x22;
  for (let i = begin; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte === 0x22 || byte === 0x5c) out[at++] = 0x5c;
    out[at++] = byte;
  }
  out[at] = 0x22;
  return at + 1;
}

/** -1 for what is none or does not fit in 64 bits with a sign. */
function integer(out: Buffer, to: number, bytes: Buffer, at: number): number {
  const type = bytes[at] as number;
  if (type < 0x80) return digits(out, to, 0, type);
  if (type >= 0xe0) return signed(out, to, type - 256);
  switch (type) {
    case 0xcc:
      return digits(out, to, 0, bytes[at + 1] as number);
    case 0xcd:
      return digits(out, to, 0, bytes.readUInt16BE(at + 1));
    case 0xce:
      return digits(out, to, 0, bytes.readUInt32BE(at + 1));
    case 0xd0:
      return signed(out, to, bytes.readInt8(at + 1));
    case 0xd1:
      return signed(out, to, bytes.readInt16BE(at + 1));
    case 0xd2:
      return signed(out, to, bytes.readInt32BE(at + 1));
    case 0xcf:
    case 0xd3: {
      const high = bytes.readUInt32BE(at + 1);
      const low = bytes.readUInt32BE(at + 5);
      if (high < 0x80000000) return digits(out, to, high, low);
      if (type === 0xcf) return -1;
      out[to] = 0x2d;
      // Two's complement: the ones that carry only when the lower half is zero.
      return low === 0
        ? digits(out, to + 1, 0x100000000 - high, 0)
        : digits(out, to + 1, 0xffffffff - high, 0x100000000 - low);
    }
    default:
      return -1;
  }
}

function signed(out: Buffer, to: number, value: number): number {
  if (value >= 0) return digits(out, to, 0, value);
  out[to] = 0x2d;
  return digits(out, to + 1, 0, -value);
}

/** high × 2^32 + low, divided by a billion 16 bits at a time, so that a double holds every step. */
function digits(out: Buffer, to: number, high: number, low: number): number {
  if (high === 0 && low < BILLION) return small(out, to, low);
  const upper = Math.floor(high / BILLION);
  const first = (high - upper * BILLION) * 65_536 + (low >>> 16);
  const middle = Math.floor(first / BILLION);
  const second = (first - middle * BILLION) * 65_536 + (low & 0xffff);
  const lower = Math.floor(second / BILLION);
  const billions = upper * 4_294_967_296 + middle * 65_536 + lower;
  if (billions < BILLION) {
    return padded(out, small(out, to, billions), second - lower * BILLION, 9);
  }
  const top = Math.floor(billions / BILLION);
  const behind = padded(out, small(out, to, top), billions - top * BILLION, 9);
  return padded(out, behind, second - lower * BILLION, 9);
}

/** Below a billion. */
function small(out: Buffer, to: number, value: number): number {
  let digits = 1;
  for (let bound = 10; bound <= value; bound *= 10) digits++;
  return padded(out, to, value, digits);
}

function padded(out: Buffer, to: number, value: number, digits: number): number {
  let rest = value | 0;
  for (let at = to + digits - 1; at >= to; at--) {
    const next = (rest / 10) | 0;
    out[at] = 0x30 + rest - next * 10;
    rest = next;
  }
  return to + digits;
}

/** The server keeps the outermost times for itself. With a sign, or (the last) without one. */
const isOutermost = (bytes: Buffer, at: number): boolean => {
  if (bytes[at] !== 0xd3 && bytes[at] !== 0xcf) return false;
  const [high, low] = [bytes.readUInt32BE(at + 1), bytes.readUInt32BE(at + 5)];
  return (high === 0x80000000 && low < 2) || (high === 0x7fffffff && low === 0xffffffff);
};
