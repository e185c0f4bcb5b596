/** Makes decimals of cells (`decimal-run.ts`) where they take less; what comes out is byte for byte what went in. */
import { encodeSmallLongInto, LONG_BYTES_MAX, smallLongAt } from '../value.ts';
import { BITS_MAX, BITS_PADDING, writeBits } from './bits.ts';
import {
  DISTANCE_EXCEPTION_BYTES,
  EXCEPTION_HEAD_BYTES,
  LONGS,
  POWERS_OF_TEN,
  partsOf,
  writeHead,
} from './decimal-run.ts';
import { type Frame, frameOf, isInFrame } from './frame.ts';
import { eachKeptCell, type KeptRun } from './kept-cells.ts';

/** As indexes have two bytes. */
const CELLS_MAX = 0xffff;
/** As lengths of exceptions have one. */
const EXCEPTION_BYTES_MAX = 0xff;
/** One of so many cells may be an exception by its digits; more, and nothing is gained by trying on. */
const CELLS_AN_EXCEPTION = 16;
/** Whole numbers stay below this either way, so that bits enough span them. */
const WHOLE_MAX = 2 ** (BITS_MAX - 1);
const DOUBLE_BYTES = 8;

/** The cells in hand, from one call to its end: nobody waits in between. */
let columns = new Float64Array(0);
let distances = new Float64Array(0);
let doubles = new Float64Array(0);
let wholes = new Float64Array(0);
const long = Buffer.alloc(LONG_BYTES_MAX);

/** All cells of these runs in bytes of their own; undefined where that takes no less than `bytesMax`. */
export function packDecimals(runs: readonly KeptRun[], bytesMax: number): Buffer | undefined {
  const count = runs.reduce((sum, run) => sum + run.count, 0);
  if (count < 1 || count > CELLS_MAX) return undefined;
  makeRoom(count);
  gather(runs, doubles, doubleAt);
  if (!measureDistances(count)) return undefined;
  let digits = findDecimals(count);
  if (digits === undefined) {
    gather(runs, wholes, exactLongAt);
    if (isTooMany(countExceptions(count), count)) return undefined;
    digits = LONGS;
  }
  const frame = frameOf(wholes, count, (EXCEPTION_HEAD_BYTES + DOUBLE_BYTES) * 8);
  const steps = frameOf(distances, count - 1, DISTANCE_EXCEPTION_BYTES * 8);
  return written(runs, { count, digits, frame, steps }, bytesMax);
}

function makeRoom(count: number): void {
  if (count <= columns.length) return;
  columns = new Float64Array(count);
  distances = new Float64Array(count);
  doubles = new Float64Array(count);
  wholes = new Float64Array(count);
}

type Read = (bytes: Buffer, from: number, to: number) => number;

function gather(runs: readonly KeptRun[], numbers: Float64Array, read: Read): void {
  eachKeptCell(runs, (i, column, bytes, from, to) => {
    columns[i] = column;
    numbers[i] = read(bytes, from, to);
  });
}

const doubleAt: Read = (bytes, from, to) =>
  to - from === DOUBLE_BYTES ? bytes.readDoubleBE(from) : Number.NaN;

/** A long that is encoded as it must be, which of its length is but one way. */
const exactLongAt: Read = (bytes, from, to) => {
  const small = smallLongAt(bytes, from, to);
  return small !== undefined &&
    Math.abs(small) < WHOLE_MAX &&
    encodeSmallLongInto(long, 0, small) === to - from
    ? small
    : Number.NaN;
};

/** Whether columns rise, as they do wherever cells are read in their order. */
function measureDistances(count: number): boolean {
  for (let i = 1; i < count; i++) {
    const distance = (columns[i] as number) - (columns[i - 1] as number);
    if (distance < 1) return false;
    distances[i - 1] = distance;
  }
  return true;
}

/** How many digits the doubles need behind the point; undefined when too many of them are no decimals of few digits. */
function findDecimals(count: number): number | undefined {
  let [digits, foundAt, exceptions] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const double = doubles[i] as number;
    const whole = wholeOf(double, digits);
    wholes[i] = whole;
    if (!Number.isNaN(whole)) continue;
    const needed = digitsOf(double, digits + 1);
    if (needed === undefined) {
      exceptions++;
      if (isTooMany(exceptions, count)) return undefined;
      continue;
    }
    digits = needed;
    foundAt = i + 1;
    wholes[i] = wholeOf(double, digits);
  }
  for (let i = 0; i < foundAt; i++) wholes[i] = wholeOf(doubles[i] as number, digits);
  return digits;
}

function digitsOf(double: number, least: number): number | undefined {
  if (!Number.isFinite(double)) return undefined;
  for (let digits = least; digits < POWERS_OF_TEN.length; digits++) {
    if (!Number.isNaN(wholeOf(double, digits))) return digits;
  }
  return undefined;
}

/** The whole number that gives exactly this double when it is divided; NaN when none does. */
function wholeOf(double: number, digits: number): number {
  const power = POWERS_OF_TEN[digits] as number;
  const whole = Math.round(double * power);
  const isExact = Math.abs(whole) < WHOLE_MAX && whole / power === double && !Object.is(double, -0);
  return isExact ? whole : Number.NaN;
}

const isTooMany = (exceptions: number, count: number): boolean =>
  exceptions * CELLS_AN_EXCEPTION > count;

function countExceptions(count: number): number {
  let exceptions = 0;
  for (let i = 0; i < count; i++) if (Number.isNaN(wholes[i])) exceptions++;
  return exceptions;
}

interface Found {
  readonly count: number;
  readonly digits: number;
  readonly frame: Frame;
  readonly steps: Frame;
}

function written(runs: readonly KeptRun[], found: Found, bytesMax: number): Buffer | undefined {
  const { count, digits, frame, steps } = found;
  const exceptions = frame.exceptions === 0 ? NO_BYTES : exceptionsOf(runs, frame);
  const head = {
    count,
    exceptions: frame.exceptions,
    distanceExceptions: steps.exceptions,
    digits,
    bits: frame.bits,
    distanceBits: steps.bits,
    first: columns[0] as number,
    leastDistance: steps.least,
    least: frame.least,
  };
  const { distancesAt, valuesAt, distanceExceptionsAt, exceptionsAt } = partsOf(head);
  if (exceptions === undefined) return undefined;
  const size = exceptionsAt + exceptions.length + BITS_PADDING;
  if (size >= bytesMax) return undefined;
  const bytes = Buffer.allocUnsafeSlow(size).fill(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  writeHead(view, head);
  let at = distanceExceptionsAt;
  if (steps.bits > 0 || steps.exceptions > 0) {
    for (let i = 0; i < count - 1; i++) {
      const distance = distances[i] as number;
      if (isInFrame(steps, distance)) {
        if (steps.bits > 0) writeBits(view, distancesAt, steps.bits, i, distance - steps.least);
        continue;
      }
      view.setUint16(at, i, true);
      view.setUint32(at + 2, distance, true);
      at += DISTANCE_EXCEPTION_BYTES;
    }
  }
  if (frame.bits > 0) {
    for (let i = 0; i < count; i++) {
      const whole = wholes[i] as number;
      if (isInFrame(frame, whole)) writeBits(view, valuesAt, frame.bits, i, whole - frame.least);
    }
  }
  exceptions.copy(bytes, exceptionsAt);
  return bytes;
}

/** As they stand in a run; undefined when one of them is too long. */
function exceptionsOf(runs: readonly KeptRun[], frame: Frame): Buffer | undefined {
  const parts: Buffer[] = [];
  let areShort = true;
  eachKeptCell(runs, (i, _column, bytes, from, to) => {
    if (isInFrame(frame, wholes[i] as number)) return;
    if (to - from > EXCEPTION_BYTES_MAX) areShort = false;
    parts.push(Buffer.from([i & 0xff, i >> 8, (to - from) & 0xff]));
    parts.push(Buffer.from(bytes.subarray(from, to)));
  });
  return areShort ? Buffer.concat(parts) : undefined;
}

const NO_BYTES = Buffer.alloc(0);
