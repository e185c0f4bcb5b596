/**
 * Cells of one row with the bytes of their values, of any type: most columns follow the one before at the same distance,
 * and most values are as long as the one before, so that a cell takes its value and one byte.
 *
 *   ┌────────────────────────────┬──────────────────────────────┬───────┐
 *   │ head, base 128             │ length, base 128: when told  │ value │ …
 *   └────────────────────────────┴──────────────────────────────┴───────┘
 *   head = 2 × zigzag(distance − distance before) + (1: another length follows)
 *
 * A reader needs what stood before the first cell: its column, distance and length.
 */
import { copyBytes } from '../cell-batch.ts';

/** Cells one behind the other, and what stood before them. The bytes stay as they are. */
export interface RawRun {
  readonly bytes: Buffer;
  readonly at: number;
  readonly count: number;
  readonly column: number;
  readonly distance: number;
  readonly length: number;
}

/** What stands before a cell. */
export type CellsBefore = Pick<RawRun, 'column' | 'distance' | 'length'>;

/** Stands at a cell of a run, at first before the first one. */
export class RawWalk {
  readonly bytes: Buffer;
  /** Where the cell's value begins. */
  from: number;
  column: number;
  #distance: number;
  length: number;
  #end: number;

  constructor({ bytes, at, column, distance, length }: RawRun) {
    this.bytes = bytes;
    this.from = at;
    this.column = column;
    this.#distance = distance;
    this.length = length;
    this.#end = at;
  }

  step(): void {
    const head = this.bytes[this.#end] as number;
    let from = this.#end + 1;
    if (head !== 0) from = this.#change(head, from);
    this.from = from;
    this.column += this.#distance;
    this.#end = from + this.length;
  }

  /** So many cells from behind this one on. */
  rest(count: number): RawRun {
    const { bytes, column, length } = this;
    return { bytes, at: this.#end, count, column, distance: this.#distance, length };
  }

  #change(first: number, behind: number): number {
    const { bytes } = this;
    let [head, at] = [first, behind];
    if (head >= 0x80) {
      head = wholeAt(bytes, at - 1);
      at += bytesOf(head) - 1;
    }
    this.#distance += changeOf(head);
    if ((head & 1) === 1) {
      this.length = wholeAt(bytes, at);
      at += bytesOf(this.length);
    }
    return at;
  }
}

/** Packs cells whose columns rise. */
export class RawPacker {
  /** Where the cells are made, before their size is known; nobody waits in between. */
  static #scratch = Buffer.allocUnsafeSlow(32 * 1_024);
  count = 0;
  readonly #before: CellsBefore;
  #column: number;
  #distance: number;
  #length: number;
  #at = 0;

  /** Behind cells that end like this. */
  constructor(before: CellsBefore) {
    const { column, distance, length } = before;
    this.#before = before;
    this.#column = column;
    this.#distance = distance;
    this.#length = length;
  }

  get bytes(): number {
    return this.#at;
  }

  /** What a further cell stands behind. */
  get end(): CellsBefore {
    return { column: this.#column, distance: this.#distance, length: this.#length };
  }

  add(column: number, source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (this.#at + 2 * WHOLE_BYTES_MAX + length > RawPacker.#scratch.length) this.#grow(length);
    const bytes = RawPacker.#scratch;
    const distance = column - this.#column;
    const change = distance - this.#distance;
    const zigzag = change >= 0 ? change * 2 : -change * 2 - 1;
    if (length === this.#length) this.#at = writeWhole(bytes, this.#at, zigzag * 2);
    else {
      this.#at = writeWhole(bytes, this.#at, zigzag * 2 + 1);
      this.#at = writeWhole(bytes, this.#at, length);
    }
    copyBytes(source, from, to, bytes, this.#at);
    this.#at += length;
    this.#column = column;
    this.#distance = distance;
    this.#length = length;
    this.count++;
  }

  /** The cells where they were made, until another is packed. */
  get run(): RawRun {
    return { bytes: RawPacker.#scratch, at: 0, count: this.count, ...this.#before };
  }

  copyInto(target: Buffer, at: number): void {
    RawPacker.#scratch.copy(target, at, 0, this.#at);
  }

  #grow(length: number): void {
    const old = RawPacker.#scratch;
    const grown = Buffer.allocUnsafeSlow(old.length * 2 + length);
    old.copy(grown, 0, 0, this.#at);
    RawPacker.#scratch = grown;
  }
}

/** Of a head: below 2^36, as distances are below 2^32. */
const WHOLE_BYTES_MAX = 6;

function writeWhole(bytes: Buffer, at: number, whole: number): number {
  let [end, rest] = [at, whole];
  while (rest > 0x7f) {
    bytes[end++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[end++] = rest;
  return end;
}

function wholeAt(bytes: Buffer, start: number): number {
  let [at, whole, scale] = [start, 0, 1];
  for (;;) {
    const byte = bytes[at++] as number;
    whole += (byte & 0x7f) * scale;
    if (byte < 0x80) return whole;
    scale *= 0x80;
  }
}

function bytesOf(whole: number): number {
  let [bytes, rest] = [1, whole];
  while (rest > 0x7f) {
    bytes++;
    rest = Math.floor(rest / 0x80);
  }
  return bytes;
}

/** By how much a head says that the distance changes. */
function changeOf(head: number): number {
  if (head < 0x80000000) return (head >>> 2) ^ -((head >>> 1) & 1);
  const zigzag = Math.floor(head / 2);
  return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
}
