/**
 * The summary of one key's window: moments and digest of the same numbers in one object. The engine keeps one per
 * key and open window and adds to it once per record, so it holds nothing twice: count and extremes are the digest's.
 */
import { BytesReader, BytesWriter } from './bytes.ts';
import { deviationBetween, deviationOf, stddevOf } from './moments.ts';
import { TDigest } from './t-digest.ts';

const VERSION = 1;

export class Summary {
  /** The distribution; add to the summary, not to this. */
  readonly digest: TDigest;
  #sum = 0;
  #deviations = 0;

  constructor(digest: TDigest = new TDigest()) {
    this.digest = digest;
  }

  get count(): number {
    return this.digest.count;
  }

  /** 0 when empty; exact for whole numbers up to 2^53. */
  get sum(): number {
    return this.#sum;
  }

  /** NaN when empty, as are max, mean, stddev and quantiles. */
  get min(): number {
    return this.digest.min;
  }

  get max(): number {
    return this.digest.max;
  }

  get mean(): number {
    const { min } = this.digest;
    return min === this.digest.max ? min : this.#sum / this.digest.count;
  }

  /** Of the population (n, not n − 1). */
  get stddev(): number {
    const { digest } = this;
    return stddevOf(this.#deviations, digest.count, digest.min === digest.max);
  }

  /** Adds a finite number; throws DIGEST_VALUE_INVALID for others and is then unchanged. */
  add(x: number): void {
    this.digest.add(x);
    const sum = this.#sum + x;
    this.#sum = sum;
    this.#deviations += deviationOf(x, this.digest.count, sum);
  }

  /** Adds all of `other`, which stays as it is. */
  merge(other: Summary): void {
    this.#deviations += other.#deviations + deviationBetween(this, other);
    this.#sum += other.#sum;
    this.digest.merge(other.digest);
  }

  /** All of them in one: see `TDigest.merged`. */
  static merged(summaries: readonly Summary[]): Summary {
    const merged = new Summary(TDigest.merged(summaries.map(({ digest }) => digest)));
    const before = { count: 0, sum: 0 };
    for (const summary of summaries) {
      const { count } = summary.digest;
      merged.#deviations += summary.#deviations + deviationBetween(before, summary);
      before.count += count;
      before.sum += summary.#sum;
    }
    merged.#sum = before.sum;
    return merged;
  }

  /** See `TDigest.quantile`. */
  quantile(q: number): number {
    return this.digest.quantile(q);
  }

  /** Several quantiles for little more than the price of one. */
  quantiles(qs: readonly number[]): number[] {
    return this.digest.quantiles(qs);
  }

  /** See `TDigest.quantilesInto`. */
  quantilesInto(qs: readonly number[], columns: readonly Float64Array[], at: number): void {
    this.digest.quantilesInto(qs, columns, at);
  }

  clone(): Summary {
    const copy = new Summary(this.digest.clone());
    copy.#sum = this.#sum;
    copy.#deviations = this.#deviations;
    return copy;
  }

  /**
   * Version u8 = 1 · sum f64 · squared deviations f64 · the digest's bytes. The values 1 1 1 2 71:
   *   01 0000000000005340 9a9999999969ae40 010064 03 0c02 0402 048a01 00
   */
  toBytes(): Buffer {
    const digest = this.digest.toBytes();
    const writer = new BytesWriter(17 + digest.length);
    writer.u8(VERSION);
    writer.f64(this.#sum);
    writer.f64(this.#deviations);
    writer.raw(digest);
    return writer.bytes();
  }

  /** Undoes `toBytes`. Throws DIGEST_CORRUPT when the bytes can't have come from there. */
  static fromBytes(bytes: Uint8Array): Summary {
    const reader = new BytesReader(bytes, 'summary');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const sum = reader.f64();
    const deviations = reader.f64();
    reader.expect(!(deviations < 0), 'its spread is negative');
    const summary = new Summary(TDigest.fromBytes(reader.rest()));
    summary.#sum = sum;
    summary.#deviations = deviations;
    return summary;
  }
}
