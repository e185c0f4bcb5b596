/** The last values of a series, in the order of arrival, with their mean and spread. */
import type { BytesReader, BytesWriter } from '../bytes.ts';

export class TrailingWindow {
  readonly size: number;
  readonly #values: Float64Array;
  #count = 0;
  #next = 0;
  #sum = 0;
  #squares = 0;
  /** Squares are taken around it, so that large values with small spread keep their digits. */
  #origin = 0;

  constructor(size: number) {
    this.size = size;
    this.#values = new Float64Array(size);
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.size;
  }

  /** NaN when empty, as is the spread. */
  get mean(): number {
    return this.#origin + this.#sum / this.#count;
  }

  /** Of the population (n, not n − 1). */
  get stddev(): number {
    const mean = this.#sum / this.#count;
    return Math.sqrt(Math.max(0, this.#squares / this.#count - mean * mean));
  }

  /** Takes in `x` and gives the value that fell out, if one did. */
  push(x: number): number | undefined {
    const evicted = this.isFull ? (this.#values[this.#next] as number) : undefined;
    this.#values[this.#next] = x;
    this.#next = (this.#next + 1) % this.size;
    if (evicted === undefined) this.#count++;
    if (this.#next === 0 || this.#count === 1) {
      // Once per round everything is summed anew: no rounding adds up.
      this.#sumAnew();
      return evicted;
    }
    this.#add(x, 1);
    if (evicted !== undefined) this.#add(evicted, -1);
    return evicted;
  }

  /** Oldest first. */
  values(): Float64Array {
    const start = this.isFull ? this.#next : 0;
    return Float64Array.from(
      { length: this.#count },
      (_, i) => this.#values[(start + i) % this.size] as number,
    );
  }

  #add(x: number, times: 1 | -1): void {
    const away = x - this.#origin;
    this.#sum += times * away;
    this.#squares += times * away * away;
  }

  #sumAnew(): void {
    this.#origin = this.#values[0] as number;
    this.#sum = 0;
    this.#squares = 0;
    for (let i = 0; i < this.#count; i++) this.#add(this.#values[i] as number, 1);
  }

  /** At most. */
  get bytesMax(): number {
    return 24 + 16 + 8 * this.size;
  }

  /** Count varint · next varint · origin, sum, squares f64 · values f64 as they lie; the sums, so that equal stays equal. */
  write(writer: BytesWriter): void {
    writer.varint(this.#count);
    writer.varint(this.#next);
    for (const value of [this.#origin, this.#sum, this.#squares]) writer.f64(value);
    for (let i = 0; i < this.#count; i++) writer.f64(this.#values[i] as number);
  }

  static read(reader: BytesReader, size: number): TrailingWindow {
    const window = new TrailingWindow(size);
    window.#count = reader.varint();
    window.#next = reader.varint();
    const isWhole = window.#count === size || window.#next === window.#count % size;
    reader.expect(window.#count <= size && window.#next < size && isWhole, 'its window is torn');
    window.#origin = reader.f64();
    window.#sum = reader.f64();
    window.#squares = reader.f64();
    for (let i = 0; i < window.#count; i++) window.#values[i] = reader.f64();
    return window;
  }
}
