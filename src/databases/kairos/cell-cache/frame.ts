/** Frame of reference with exceptions: whole numbers as what they are above one of them, in as many bits as most need. */
import { BITS_MAX, bitLength } from './bits.ts';

export interface Frame {
  readonly least: number;
  readonly bits: number;
  /** 2^bits. */
  readonly span: number;
  readonly exceptions: number;
}

const lengths = new Uint32Array(BITS_MAX + 1);

/**
 * The frame in which they take least, where an exception takes so many bits: from the least of them, or from what most of
 * them seem to be. NaN is always an exception. They span less than 2^48.
 */
export function frameOf(wholes: Float64Array, count: number, exceptionBits: number): Frame {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    const whole = wholes[i] as number;
    if (whole < least) least = whole;
  }
  if (least === Number.POSITIVE_INFINITY) return { least: 0, bits: 0, span: 1, exceptions: count };
  const fromLeast = cheapest(wholes, count, least, exceptionBits);
  const usual = usualOf(wholes, count);
  if (!(usual > least)) return fromLeast.frame;
  const fromUsual = cheapest(wholes, count, usual, exceptionBits);
  return fromUsual.cost < fromLeast.cost ? fromUsual.frame : fromLeast.frame;
}

/** Whether a number is no exception. */
export const isInFrame = ({ least, span }: Frame, whole: number): boolean =>
  whole >= least && whole - least < span;

/** What two of three are, if they are the same. */
function usualOf(wholes: Float64Array, count: number): number {
  const [a, b, c] = [count >> 2, count >> 1, count - 1].map((i) => wholes[i] as number);
  return a === b || a === c ? (a as number) : (b as number);
}

function cheapest(
  wholes: Float64Array,
  count: number,
  least: number,
  exceptionBits: number,
): { readonly frame: Frame; readonly cost: number } {
  lengths.fill(0);
  let within = 0;
  for (let i = 0; i < count; i++) {
    const above = (wholes[i] as number) - least;
    if (!(above >= 0)) continue;
    const length = bitLength(above);
    lengths[length] = (lengths[length] as number) + 1;
    within++;
  }
  let exceptions = count - within;
  let bits = BITS_MAX;
  while (bits > 0 && lengths[bits] === 0) bits--;
  let best = { bits, exceptions, cost: bits * count + exceptions * exceptionBits };
  while (bits > 0) {
    exceptions += lengths[bits--] as number;
    const cost = bits * count + exceptions * exceptionBits;
    if (cost < best.cost) best = { bits, exceptions, cost };
  }
  const { cost, ...rest } = best;
  return { frame: { least, span: 2 ** rest.bits, ...rest }, cost };
}
