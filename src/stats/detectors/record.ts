/**
 * How surprising it is that a value lies beyond all before it. Among n like values the next is a record once in
 * n + 1 times; the farther out it lies, the rarer, by a Pareto tail. The level is −log10 of that probability. A
 * record raises the bar by itself, so an event that goes on is told once.
 */
import type { BytesReader, BytesWriter } from '../bytes.ts';

/** Earlier, everything is a record. */
const ROWS_MIN = 200;
/** The margin, in parts of the range so far, at which a record is four times as rare as without it. */
const MARGIN_SCALE = 0.003;
/** Exponent of the tail. */
const TAIL_EXPONENT = 2;
/** The bar sinks by this share of its height per row, so that one giant doesn't deafen for ever. */
const FORGETTING = 5e-6;
/** What was forgotten is no evidence. */
const ROWS_MAX = 1 / FORGETTING;

export class RecordLevel {
  readonly #overlap: number;
  #low = Number.POSITIVE_INFINITY;
  #high = Number.NEGATIVE_INFINITY;
  #count = 0;

  /** `rows`: over how many the values were averaged; neighbours share them, so √rows of them count as one. */
  constructor(rows: number) {
    this.#overlap = Math.log10(rows) / 2;
  }

  /** The level of `x`, 0 when it is no record; takes it in. */
  push(x: number): number {
    const outside = Math.max(x - this.#high, this.#low - x);
    const range = this.#high - this.#low;
    const isRecord = this.#count >= ROWS_MIN && outside > 0;
    // The first change of what was constant has no range to compare with: it counts as its double.
    const margin = range > 0 ? outside / range : 1;
    const level = isRecord
      ? Math.log10(this.#count) -
        this.#overlap +
        TAIL_EXPONENT * Math.log10(1 + margin / MARGIN_SCALE)
      : 0;
    if (this.#count > 0) {
      this.#low += FORGETTING * (x - this.#low);
      this.#high += FORGETTING * (x - this.#high);
    }
    this.#low = Math.min(this.#low, x);
    this.#high = Math.max(this.#high, x);
    this.#count = Math.min(this.#count + 1, ROWS_MAX);
    return level;
  }

  static readonly bytesMax = 24;

  /** Low, high f64 · count varint. */
  write(writer: BytesWriter): void {
    writer.f64(this.#low);
    writer.f64(this.#high);
    writer.varint(this.#count);
  }

  static read(reader: BytesReader, rows: number): RecordLevel {
    const record = new RecordLevel(rows);
    record.#low = reader.f64();
    record.#high = reader.f64();
    record.#count = reader.varint();
    const isOrdered = record.#count === 0 || record.#low <= record.#high;
    reader.expect(isOrdered && record.#count <= ROWS_MAX, 'its range is torn');
    return record;
  }
}
