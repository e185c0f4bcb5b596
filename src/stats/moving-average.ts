/** Moving averages: over the last windows of a key, each counting as much as it holds, and exponential. */
import { FatalError } from '../model/index.ts';
import { BytesReader, BytesWriter } from './bytes.ts';

const VERSION = 1;
const WINDOWS_MAX = 100_000;

/**
 * The mean of all values in the last `windows` windows: sums over counts, so that a window of ten records counts
 * ten times one of a single record. It is summed anew from the oldest on at each reading: no rounding adds up.
 */
export class MovingAverage {
  readonly windows: number;
  readonly #sums: number[] = [];
  readonly #counts: number[] = [];

  constructor(windows: number) {
    if (!Number.isInteger(windows) || windows < 1 || windows > WINDOWS_MAX) {
      throw new FatalError(
        `a moving average over ${windows} windows is none; give a whole number from 1 to ${WINDOWS_MAX}`,
        { code: 'MOVING_AVERAGE_INVALID' },
      );
    }
    this.windows = windows;
  }

  /** Takes in the next window and gives the average with it. An empty window takes a place but no part. */
  push(window: { readonly sum: number; readonly count: number }): number {
    this.#sums.push(window.sum);
    this.#counts.push(window.count);
    if (this.#sums.length > this.windows) {
      this.#sums.shift();
      this.#counts.shift();
    }
    return this.value;
  }

  /** NaN while no value was seen in the windows kept. */
  get value(): number {
    let sum = 0;
    let count = 0;
    for (let i = 0; i < this.#sums.length; i++) {
      sum += this.#sums[i] as number;
      count += this.#counts[i] as number;
    }
    return count === 0 ? Number.NaN : sum / count;
  }

  /** Version u8 = 1 · windows varint · kept varint · then of each, oldest first: sum f64, count varint. */
  toBytes(): Buffer {
    const writer = new BytesWriter(17 + 16 * this.#sums.length);
    writer.u8(VERSION);
    writer.varint(this.windows);
    writer.varint(this.#sums.length);
    for (let i = 0; i < this.#sums.length; i++) {
      writer.f64(this.#sums[i] as number);
      writer.varint(this.#counts[i] as number);
    }
    return writer.bytes();
  }

  /** Undoes `toBytes`. Throws DIGEST_CORRUPT when the bytes can't have come from there. */
  static fromBytes(bytes: Uint8Array): MovingAverage {
    const reader = new BytesReader(bytes, 'moving average');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const windows = reader.varint();
    reader.expect(windows >= 1 && windows <= WINDOWS_MAX, 'it has no windows');
    const average = new MovingAverage(windows);
    const kept = reader.varint();
    reader.expect(kept <= windows, 'it keeps more windows than it has');
    for (let i = 0; i < kept; i++) {
      const sum = reader.f64();
      reader.expect(!Number.isNaN(sum), 'a sum is no number');
      average.#sums.push(sum);
      average.#counts.push(reader.varint());
    }
    reader.end();
    return average;
  }
}

/**
 * Exponentially weighted moving average: each value counts `alpha`, all before it 1 − alpha. Starts at the first
 * value.
 */
export class ExponentialAverage {
  readonly alpha: number;
  #value = Number.NaN;

  /** `alpha` in (0, 1]; for the weight of n windows the usual choice is 2 / (n + 1). */
  constructor(alpha: number) {
    if (!(alpha > 0 && alpha <= 1)) {
      throw new FatalError(`alpha is ${alpha}; give a share above 0, at most 1`, {
        code: 'MOVING_AVERAGE_INVALID',
      });
    }
    this.alpha = alpha;
  }

  /** Takes in the next value and gives the average with it. */
  push(x: number): number {
    this.#value = Number.isNaN(this.#value) ? x : this.#value + this.alpha * (x - this.#value);
    return this.#value;
  }

  /** NaN before the first value. */
  get value(): number {
    return this.#value;
  }

  /** Version u8 = 1 · alpha f64 · value f64. */
  toBytes(): Buffer {
    const writer = new BytesWriter(17);
    writer.u8(VERSION);
    writer.f64(this.alpha);
    writer.f64(this.#value);
    return writer.bytes();
  }

  /** Undoes `toBytes`. Throws DIGEST_CORRUPT when the bytes can't have come from there. */
  static fromBytes(bytes: Uint8Array): ExponentialAverage {
    const reader = new BytesReader(bytes, 'moving average');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const alpha = reader.f64();
    reader.expect(alpha > 0 && alpha <= 1, 'its alpha is no share');
    const average = new ExponentialAverage(alpha);
    average.#value = reader.f64();
    reader.end();
    return average;
  }
}
