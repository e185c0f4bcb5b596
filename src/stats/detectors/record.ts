/**
 * How surprising it is that a value lies beyond all before it. Among n like values the next is a record once in
 * n + 1 times; the farther out it lies, the rarer, by a Pareto tail. The level is −log10 of that probability. A
 * record raises the bar by itself, so an event that goes on is told once.
 */
import type { BytesReader, BytesWriter } from '../bytes.ts';

/** Earlier, everything is a record: by count, and because most things have a day. */
const ROWS_MIN = 100;
const LEARNING_MS = 86_400_000;
/** More rows are no more evidence: neighbours are alike, and a record by nothing must never alarm. */
const EVIDENCE_ROWS_MAX = 20_000;
/** The margin, in parts of the range so far, at which a record is four times as rare as without it. */
const MARGIN_SCALE = 0.003;
/** Exponent of the tail. */
const TAIL_EXPONENT = 2;
/** Extremes are forgotten after one to two of these, so that one giant doesn't deafen for ever. */
const EPOCH_MS = 91 * 86_400_000;
/** A share of the value below which a difference is the arithmetic's own. */
const ROUNDING = 1e-12;

/** What was seen in one epoch. */
interface Extremes {
  low: number;
  high: number;
  rows: number;
}

const nothing = (): Extremes => ({
  low: Number.POSITIVE_INFINITY,
  high: Number.NEGATIVE_INFINITY,
  rows: 0,
});

export class RecordLevel {
  readonly #overlap: number;
  #before = nothing();
  #now = nothing();
  #epoch = 0;
  /** When learning began; NaN before. */
  #start = Number.NaN;

  /** `rows`: over how many the values were averaged; neighbours share them, so √rows of them count as one. */
  constructor(rows: number) {
    this.#overlap = Math.log10(rows) / 2;
  }

  /** The level of `x`, 0 when it is no record; takes it in. */
  push(timestampMs: number, x: number): number {
    if (Number.isNaN(this.#start)) this.#start = timestampMs;
    this.#turn(Math.floor(timestampMs / EPOCH_MS));
    const rows = this.#before.rows + this.#now.rows;
    const low = Math.min(this.#before.low, this.#now.low);
    const high = Math.max(this.#before.high, this.#now.high);
    this.#now.low = Math.min(this.#now.low, x);
    this.#now.high = Math.max(this.#now.high, x);
    this.#now.rows++;

    const outside = Math.max(x - high, low - x);
    const isRounding = !(outside > ROUNDING * Math.max(Math.abs(low), Math.abs(high)));
    const isLearning = rows < ROWS_MIN || timestampMs < this.#start + LEARNING_MS;
    if (isLearning || isRounding) return 0;
    // The first change of what was constant has no range to compare with: it counts as its double.
    const margin = high > low ? outside / (high - low) : 1;
    const evidence = Math.log10(Math.min(rows, EVIDENCE_ROWS_MAX)) - this.#overlap;
    return evidence + TAIL_EXPONENT * Math.log10(1 + margin / MARGIN_SCALE);
  }

  #turn(epoch: number): void {
    if (epoch <= this.#epoch) return;
    this.#before = epoch === this.#epoch + 1 ? this.#now : nothing();
    this.#now = nothing();
    this.#epoch = epoch;
  }

  static readonly bytesMax = 64;

  /** Epoch, start f64 · of the epoch before and of this one: low f64, high f64, rows varint. */
  write(writer: BytesWriter): void {
    writer.f64(this.#epoch);
    writer.f64(this.#start);
    for (const { low, high, rows } of [this.#before, this.#now]) {
      writer.f64(low);
      writer.f64(high);
      writer.varint(rows);
    }
  }

  static read(reader: BytesReader, rows: number): RecordLevel {
    const record = new RecordLevel(rows);
    record.#epoch = reader.f64();
    record.#start = reader.f64();
    for (const extremes of [record.#before, record.#now]) {
      extremes.low = reader.f64();
      extremes.high = reader.f64();
      extremes.rows = reader.varint();
      const isOrdered = extremes.rows === 0 || extremes.low <= extremes.high;
      reader.expect(isOrdered, 'its range is torn');
    }
    return record;
  }
}
