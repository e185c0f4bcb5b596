/**
 * Count, sum, extremes and spread of numbers, mergeable. The sum of whole numbers is exact up to 2^53. Squared
 * deviations are updated as Youngs & Cramer and merged as Chan, Golub & LeVeque (1983) do, so nothing cancels
 * when values are large and close together.
 */
import { FatalError } from '../model/index.ts';
import { BytesReader, BytesWriter } from './bytes.ts';

const VERSION = 1;
const BYTES_MAX = 1 + 8 + 4 * 8;

/** What is added to the squared deviations when `x` becomes the n-th value and `sum` is the new sum. */
export function deviationOf(x: number, n: number, sum: number): number {
  if (n === 1) return 0;
  const distance = n * x - sum;
  return (distance * distance) / (n * (n - 1));
}

/** What is added when `a` and `b`, each with count and sum, become one. */
export function deviationBetween(
  a: { readonly count: number; readonly sum: number },
  b: { readonly count: number; readonly sum: number },
): number {
  if (a.count === 0 || b.count === 0) return 0;
  const distance = b.sum / b.count - a.sum / a.count;
  return distance * distance * ((a.count * b.count) / (a.count + b.count));
}

/** The root of the mean squared deviation; 0, not rounding's leavings, when all values are equal. */
export function stddevOf(deviations: number, count: number, allEqual: boolean): number {
  if (count === 0) return Number.NaN;
  return allEqual ? 0 : Math.sqrt(Math.max(0, deviations) / count);
}

export class Moments {
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #deviations = 0;

  get count(): number {
    return this.#count;
  }

  /** 0 when empty. */
  get sum(): number {
    return this.#sum;
  }

  /** NaN when empty, as are max, mean and stddev. */
  get min(): number {
    return this.#count === 0 ? Number.NaN : this.#min;
  }

  get max(): number {
    return this.#count === 0 ? Number.NaN : this.#max;
  }

  get mean(): number {
    return this.#min === this.#max ? this.#min : this.#sum / this.#count;
  }

  /** Of the population (n, not n − 1). */
  get stddev(): number {
    return stddevOf(this.#deviations, this.#count, this.#min === this.#max);
  }

  /** Adds a finite number; throws MOMENTS_VALUE_INVALID for others. */
  add(x: number): void {
    if (!Number.isFinite(x)) {
      throw new FatalError(`moments can't add ${x}; leave out what is no finite number`, {
        code: 'MOMENTS_VALUE_INVALID',
      });
    }
    this.#count++;
    this.#sum += x;
    this.#deviations += deviationOf(x, this.#count, this.#sum);
    if (x < this.#min) this.#min = x;
    if (x > this.#max) this.#max = x;
  }

  /** Adds all of `other`, which stays as it is. */
  merge(other: Moments): void {
    this.#deviations += other.#deviations + deviationBetween(this, other);
    this.#count += other.#count;
    this.#sum += other.#sum;
    this.#min = Math.min(this.#min, other.#min);
    this.#max = Math.max(this.#max, other.#max);
  }

  /** Version u8 = 1 · count varint · and unless that is 0: sum, min, max, squared deviations as f64. */
  toBytes(): Buffer {
    const writer = new BytesWriter(BYTES_MAX);
    writer.u8(VERSION);
    writer.varint(this.#count);
    if (this.#count > 0) {
      for (const x of [this.#sum, this.#min, this.#max, this.#deviations]) writer.f64(x);
    }
    return writer.bytes();
  }

  /** Undoes `toBytes`. Throws DIGEST_CORRUPT when the bytes can't have come from there. */
  static fromBytes(bytes: Uint8Array): Moments {
    const reader = new BytesReader(bytes, 'summary');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const moments = new Moments();
    moments.#count = reader.varint();
    if (moments.#count > 0) {
      moments.#sum = reader.f64();
      moments.#min = reader.f64();
      moments.#max = reader.f64();
      moments.#deviations = reader.f64();
      reader.expect(moments.#min <= moments.#max, 'its extremes are no numbers in order');
      reader.expect(!(moments.#deviations < 0), 'its spread is negative');
    }
    reader.end();
    return moments;
  }
}
