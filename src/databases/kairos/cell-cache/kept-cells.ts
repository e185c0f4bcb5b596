/**
 * Cells of one row as the cell cache keeps them: most columns follow the one before at the same distance, and most
 * values are as long as the one before, so that a cell takes its value and one byte.
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
export interface KeptRun {
  readonly bytes: Buffer;
  readonly at: number;
  readonly count: number;
  readonly column: number;
  readonly distance: number;
  readonly length: number;
}

/** A page out of the cache; of a row's cells like any other. */
export interface KeptCells {
  readonly runs: readonly KeptRun[];
  readonly count: number;
}

type Each = (index: number, column: number, bytes: Buffer, from: number, to: number) => void;

/** Calls `each` with where a value begins and ends. */
export function eachKeptCell({ runs }: KeptCells, each: Each): void {
  let index = 0;
  for (const run of runs) {
    const { bytes, count } = run;
    let { at, column, distance, length } = run;
    for (let i = 0; i < count; i++) {
      let head = bytes[at++] as number;
      if (head !== 0) {
        if (head >= 0x80) {
          head = wholeAt(bytes, at - 1);
          at += bytesOf(head) - 1;
        }
        distance += changeOf(head);
        if ((head & 1) === 1) {
          length = wholeAt(bytes, at);
          at += bytesOf(length);
        }
      }
      column += distance;
      each(index++, column, bytes, at, at + length);
      at += length;
    }
  }
}

/** The part of a run behind the first `skip` cells, `count` of them. */
export function partOf(run: KeptRun, skip: number, count: number): KeptRun {
  if (skip === 0) return { ...run, count };
  let [at, column, length] = [run.at, run.column, run.length];
  let before = column;
  eachKeptCell({ runs: [{ ...run, count: skip }], count: skip }, (_i, next, _bytes, from, to) => {
    [before, column, length, at] = [column, next, to - from, to];
  });
  return { bytes: run.bytes, at, count, column, distance: column - before, length };
}

/** How many cells of a run, from its start, have a column below this. */
export function countBelow(run: KeptRun, column: number): number {
  let count = 0;
  eachKeptCell({ runs: [run], count: run.count }, (_i, each) => {
    if (each < column) count++;
  });
  return count;
}

/** Packs cells whose columns rise. */
export class KeptCellPacker {
  /** Where the cells are made, before their size is known; nobody waits in between. */
  static #scratch = Buffer.allocUnsafeSlow(32 * 1_024);
  count = 0;
  #column: number;
  #distance: number;
  #length: number;
  #at = 0;

  /** Behind cells that end like this. */
  constructor({ column, distance, length }: Pick<KeptRun, 'column' | 'distance' | 'length'>) {
    this.#column = column;
    this.#distance = distance;
    this.#length = length;
  }

  get bytes(): number {
    return this.#at;
  }

  /** What a further cell stands behind. */
  get end(): Pick<KeptRun, 'column' | 'distance' | 'length'> {
    return { column: this.#column, distance: this.#distance, length: this.#length };
  }

  add(column: number, source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (this.#at + 2 * WHOLE_BYTES_MAX + length > KeptCellPacker.#scratch.length)
      this.#grow(length);
    const bytes = KeptCellPacker.#scratch;
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

  copyInto(target: Buffer, at: number): void {
    KeptCellPacker.#scratch.copy(target, at, 0, this.#at);
  }

  #grow(length: number): void {
    const old = KeptCellPacker.#scratch;
    const grown = Buffer.allocUnsafeSlow(old.length * 2 + length);
    old.copy(grown, 0, 0, this.#at);
    KeptCellPacker.#scratch = grown;
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
