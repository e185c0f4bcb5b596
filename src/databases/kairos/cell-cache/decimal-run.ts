/**
 * Cells of one row whose values are decimals of few digits, as measurements nearly always are, or whole numbers; the rest
 * are exceptions. After ALP (Afroze, Kuffo, Boncz: Adaptive Lossless floating-Point Compression, SIGMOD 2024). Reading and
 * layout; `decimal-packer.ts` makes them.
 *
 *   double = (least + n) / 10^digits, correctly rounded as a division is      long = least + n
 *   column = the one before + least distance + m: no bit where cells follow at a steady pace
 *
 *   ┌──────┬────────────────┬───────────┬─────────────────────────┬──────────────────────────────┬─────────┐
 *   │ head │ m, count − 1 × │ n, count ×│ index, 2 │ distance, 4 … │ index, 2 │ length, 1 │ value … │ 3 × 00  │
 *   └──────┴────────────────┴───────────┴─────────────────────────┴──────────────────────────────┴─────────┘
 *   head, little-endian like all: count, 2 · exceptions among values, 2 · among distances, 2 · digits, or ff of longs, 1 ·
 *   bits of n, 1 · bits of m, 1 · first column, 4 · least distance, 4 · least, 8
 */
import { encodeSmallLongInto, LONG_BYTES_MAX } from '../value.ts';
import { bitsAt, bytesOfBits, fractionsInto } from './bits.ts';

/** Some of the cells that were packed together, from the start of these bytes on, which stay as they are. */
export interface DecimalRun {
  readonly bytes: Buffer;
  /** Cells before the first. */
  readonly skip: number;
  readonly count: number;
}

export interface DecimalHead {
  readonly count: number;
  readonly exceptions: number;
  readonly distanceExceptions: number;
  readonly digits: number;
  readonly bits: number;
  readonly distanceBits: number;
  readonly first: number;
  readonly leastDistance: number;
  readonly least: number;
}

/** In the place of digits. */
export const LONGS = 0xff;
export const HEAD_BYTES = 25;
export const DISTANCE_EXCEPTION_BYTES = 6;
/** Of an exception beside its value. */
export const EXCEPTION_HEAD_BYTES = 3;

export function writeHead(view: DataView, head: DecimalHead): void {
  view.setUint16(0, head.count, true);
  view.setUint16(2, head.exceptions, true);
  view.setUint16(4, head.distanceExceptions, true);
  view.setUint8(6, head.digits);
  view.setUint8(7, head.bits);
  view.setUint8(8, head.distanceBits);
  view.setUint32(9, head.first, true);
  view.setUint32(13, head.leastDistance, true);
  view.setFloat64(17, head.least, true);
}

/** Where the parts of a run begin. */
export function partsOf(head: DecimalHead): {
  readonly distancesAt: number;
  readonly valuesAt: number;
  readonly distanceExceptionsAt: number;
  readonly exceptionsAt: number;
} {
  const valuesAt = HEAD_BYTES + bytesOfBits(head.count - 1, head.distanceBits);
  const distanceExceptionsAt = valuesAt + bytesOfBits(head.count, head.bits);
  const exceptionsAt = distanceExceptionsAt + head.distanceExceptions * DISTANCE_EXCEPTION_BYTES;
  return { distancesAt: HEAD_BYTES, valuesAt, distanceExceptionsAt, exceptionsAt };
}

export class DecimalCells {
  readonly #run: DecimalRun;
  readonly #view: DataView;
  readonly #head: DecimalHead;

  constructor(run: DecimalRun) {
    const { bytes } = run;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#run = run;
    this.#view = view;
    this.#head = {
      count: view.getUint16(0, true),
      exceptions: view.getUint16(2, true),
      distanceExceptions: view.getUint16(4, true),
      digits: view.getUint8(6),
      bits: view.getUint8(7),
      distanceBits: view.getUint8(8),
      first: view.getUint32(9, true),
      leastDistance: view.getUint32(13, true),
      least: view.getFloat64(17, true),
    };
  }

  get areLongs(): boolean {
    return this.#head.digits === LONGS;
  }

  get hasExceptions(): boolean {
    return this.#head.exceptions > 0;
  }

  columnsInto(target: Float64Array, start: number): void {
    const { skip, count } = this.#run;
    if (this.#isSteady) {
      const { first, leastDistance } = this.#head;
      for (let i = 0; i < count; i++) target[start + i] = first + (skip + i) * leastDistance;
      return;
    }
    const walk = this.#columns();
    for (let i = 0; i < count; i++) {
      target[start + i] = walk.column;
      walk.step();
    }
  }

  /** All but the exceptions. */
  numbersInto(target: Float64Array, start: number): void {
    const { skip, count } = this.#run;
    const { bits, least } = this.#head;
    fractionsInto(target, start, count, {
      view: this.#view,
      at: partsOf(this.#head).valuesAt,
      bits,
      index: skip,
      least,
      divisor: this.#divisor,
    });
  }

  exceptionsInto(
    target: Float64Array,
    start: number,
    read: (bytes: Buffer, from: number, to: number) => number,
  ): void {
    const { bytes, skip, count } = this.#run;
    for (const walk = this.#exceptions(); walk.index < skip + count; walk.step()) {
      target[start + walk.index - skip] = read(bytes, walk.from, walk.to);
    }
  }

  /** Calls with where a value begins and ends, in bytes that are another's after the call. */
  each(
    call: (index: number, column: number, bytes: Buffer, from: number, to: number) => void,
  ): void {
    const { bytes, skip, count } = this.#run;
    const { bits, least } = this.#head;
    const { valuesAt } = partsOf(this.#head);
    const divisor = this.#divisor;
    const columns = this.#columns();
    const exceptions = this.#exceptions();
    const value = Buffer.allocUnsafe(LONG_BYTES_MAX);
    for (let i = 0; i < count; i++) {
      if (exceptions.index === skip + i) {
        call(i, columns.column, bytes, exceptions.from, exceptions.to);
        exceptions.step();
      } else {
        const whole = least + bitsAt(this.#view, valuesAt, bits, skip + i);
        const end = this.areLongs
          ? encodeSmallLongInto(value, 0, whole)
          : value.writeDoubleBE(whole / divisor, 0);
        call(i, columns.column, value, 0, end);
      }
      columns.step();
    }
  }

  /** How many of its cells have a column below this. */
  countBelow(column: number): number {
    const { skip, count } = this.#run;
    if (this.#isSteady) {
      const { first, leastDistance } = this.#head;
      const below = leastDistance === 0 ? Number(first < column) : (column - first) / leastDistance;
      return Math.min(Math.max(Math.ceil(below) - skip, 0), count);
    }
    const walk = this.#columns();
    let below = 0;
    while (below < count && walk.column < column) {
      walk.step();
      below++;
    }
    return below;
  }

  get #isSteady(): boolean {
    return this.#head.distanceBits === 0 && this.#head.distanceExceptions === 0;
  }

  get #divisor(): number {
    return this.areLongs ? 1 : (POWERS_OF_TEN[this.#head.digits] as number);
  }

  #columns(): ColumnWalk {
    const walk = new ColumnWalk(this.#view, this.#head);
    for (let i = 0; i < this.#run.skip; i++) walk.step();
    return walk;
  }

  #exceptions(): ExceptionWalk {
    const walk = new ExceptionWalk(this.#view, this.#head);
    while (walk.index < this.#run.skip) walk.step();
    return walk;
  }
}

/** Powers of ten that a double holds exactly, so that dividing by them rounds once. */
export const POWERS_OF_TEN: readonly number[] = Array.from({ length: 15 }, (_, digits) =>
  Number(`1e${digits}`),
);

/** Stands at the first cell at first. */
class ColumnWalk {
  column: number;
  readonly #view: DataView;
  readonly #head: DecimalHead;
  readonly #distancesAt: number;
  #index = 0;
  #exceptionAt: number;
  #exceptionsLeft: number;

  constructor(view: DataView, head: DecimalHead) {
    const { distancesAt, distanceExceptionsAt } = partsOf(head);
    this.#view = view;
    this.#head = head;
    this.#distancesAt = distancesAt;
    this.column = head.first;
    this.#exceptionAt = distanceExceptionsAt;
    this.#exceptionsLeft = head.distanceExceptions;
  }

  /** Behind the last cell its column means nothing. */
  step(): void {
    const { leastDistance, distanceBits } = this.#head;
    const index = this.#index++;
    if (this.#exceptionsLeft > 0 && this.#view.getUint16(this.#exceptionAt, true) === index) {
      this.column += this.#view.getUint32(this.#exceptionAt + 2, true);
      this.#exceptionAt += DISTANCE_EXCEPTION_BYTES;
      this.#exceptionsLeft--;
    } else {
      this.column += leastDistance + bitsAt(this.#view, this.#distancesAt, distanceBits, index);
    }
  }
}

/** Stands at the first exception at first. */
class ExceptionWalk {
  /** Of its cell; behind all cells at the end. */
  index = Number.POSITIVE_INFINITY;
  from = 0;
  to: number;
  readonly #view: DataView;
  #left: number;

  constructor(view: DataView, head: DecimalHead) {
    this.#view = view;
    this.#left = head.exceptions;
    this.to = partsOf(head).exceptionsAt;
    this.step();
  }

  step(): void {
    if (this.#left-- <= 0) {
      this.index = Number.POSITIVE_INFINITY;
      return;
    }
    const at = this.to;
    this.index = this.#view.getUint16(at, true);
    this.from = at + EXCEPTION_HEAD_BYTES;
    this.to = this.from + this.#view.getUint8(at + 2);
  }
}
