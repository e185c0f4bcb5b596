/** Whole numbers below 2^48 of so many bits each, one behind the other, lowest bit first. */

export const BITS_MAX = 48;
/** Reading and writing touch up to three bytes behind the last that holds a bit. */
export const BITS_PADDING = 3;

/** What one word holds wherever in a byte it begins; of wider numbers the lower part has 24 bits. */
const WORD_BITS = 25;
const LOWER_BITS = 24;

/** How many bits it takes. */
export const bitLength = (whole: number): number =>
  whole < 2 ** 32 ? 32 - Math.clz32(whole) : 64 - Math.clz32(Math.floor(whole / 2 ** 32));

export const bytesOfBits = (count: number, bits: number): number => (count * bits + 7) >>> 3;

const maskOf = (bits: number): number => (1 << bits) - 1;

function wordAt(view: DataView, at: number, bit: number, mask: number): number {
  return (view.getUint32(at + (bit >>> 3), true) >>> (bit & 7)) & mask;
}

/** The number at an index, of numbers that begin at byte `at`. */
export function bitsAt(view: DataView, at: number, bits: number, index: number): number {
  if (bits === 0) return 0;
  const bit = index * bits;
  if (bits <= WORD_BITS) return wordAt(view, at, bit, maskOf(bits));
  const upper = wordAt(view, at, bit + LOWER_BITS, maskOf(bits - LOWER_BITS));
  return upper * 2 ** LOWER_BITS + wordAt(view, at, bit, maskOf(LOWER_BITS));
}

/** Where there are zeros. */
export function writeBits(
  view: DataView,
  at: number,
  bits: number,
  index: number,
  whole: number,
): void {
  const bit = index * bits;
  if (bits <= WORD_BITS) {
    addWord(view, at, bit, whole);
    return;
  }
  addWord(view, at, bit, whole % 2 ** LOWER_BITS);
  addWord(view, at, bit + LOWER_BITS, Math.floor(whole / 2 ** LOWER_BITS));
}

function addWord(view: DataView, at: number, bit: number, word: number): void {
  const byte = at + (bit >>> 3);
  view.setUint32(byte, view.getUint32(byte, true) | (word << (bit & 7)), true);
}

/** So many of them from an index on, divided: (`least` + number) / `divisor`. */
export function fractionsInto(
  target: Float64Array,
  start: number,
  count: number,
  { view, at, bits, index, least, divisor }: Fractions,
): void {
  if (bits === 0) {
    target.fill(least / divisor, start, start + count);
    return;
  }
  if (bits <= WORD_BITS) {
    const mask = maskOf(bits);
    let bit = index * bits;
    for (let i = start; i < start + count; i++) {
      target[i] = (least + wordAt(view, at, bit, mask)) / divisor;
      bit += bits;
    }
    return;
  }
  for (let i = 0; i < count; i++) {
    target[start + i] = (least + bitsAt(view, at, bits, index + i)) / divisor;
  }
}

export interface Fractions {
  readonly view: DataView;
  readonly at: number;
  readonly bits: number;
  readonly index: number;
  readonly least: number;
  readonly divisor: number;
}
