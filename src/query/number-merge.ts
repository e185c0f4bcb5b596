/**
 * Sorted runs of points made one, by time and then value: pairs of runs into longer ones until a single one is left,
 * as columns of doubles, where a heap of rows costs an object's way through the processor for every point.
 */
import type { NumberColumns } from './point.ts';

export class NumberMerge {
  #times = new Float64Array(1_024);
  #numbers = new Float64Array(1_024);
  #otherTimes = new Float64Array(1_024);
  #otherNumbers = new Float64Array(1_024);
  /** Where each run ends. */
  #ends: number[] = [];
  #count = 0;

  /** Empties it and makes room for as many points. */
  begin(points: number): void {
    this.#ends = [];
    this.#count = 0;
    if (points <= this.#times.length) return;
    const size = Math.max(points, this.#times.length * 2);
    this.#times = new Float64Array(size);
    this.#numbers = new Float64Array(size);
    this.#otherTimes = new Float64Array(size);
    this.#otherNumbers = new Float64Array(size);
  }

  /** A further run, which `fill` writes at an index. */
  add(count: number, fill: (times: Float64Array, numbers: Float64Array, at: number) => void): void {
    if (count === 0) return;
    fill(this.#times, this.#numbers, this.#count);
    this.#count += count;
    this.#ends.push(this.#count);
  }

  /** All points in order; they stand until the next `begin`. */
  merged(): NumberColumns {
    while (this.#ends.length > 1) {
      const ends: number[] = [];
      let from = 0;
      for (let i = 0; i < this.#ends.length; i += 2) {
        const middle = this.#ends[i] as number;
        const to = this.#ends[i + 1] ?? middle;
        this.#mergePair(from, middle, to);
        ends.push(to);
        from = to;
      }
      this.#ends = ends;
      [this.#times, this.#otherTimes] = [this.#otherTimes, this.#times];
      [this.#numbers, this.#otherNumbers] = [this.#otherNumbers, this.#numbers];
    }
    return { times: this.#times, numbers: this.#numbers, count: this.#count };
  }

  #mergePair(from: number, middle: number, to: number): void {
    const [times, numbers] = [this.#times, this.#numbers];
    const [outTimes, outNumbers] = [this.#otherTimes, this.#otherNumbers];
    let [a, b, at] = [from, middle, from];
    while (a < middle && b < to) {
      const aMs = times[a] as number;
      const bMs = times[b] as number;
      if (bMs < aMs || (bMs === aMs && (numbers[b] as number) < (numbers[a] as number))) {
        outTimes[at] = bMs;
        outNumbers[at++] = numbers[b++] as number;
      } else {
        outTimes[at] = aMs;
        outNumbers[at++] = numbers[a++] as number;
      }
    }
    const [rest, end] = a < middle ? [a, middle] : [b, to];
    outTimes.set(times.subarray(rest, end), at);
    outNumbers.set(numbers.subarray(rest, end), at);
  }
}
