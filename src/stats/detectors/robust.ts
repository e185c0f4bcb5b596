/**
 * The modified z-score of Iglewicz and Hoaglin (1993): distance from the median in median absolute deviations,
 * over the window before the value. Where most values are alike and some are not (idle, then busy) that measure is
 * next to nothing and everything would alarm; so the mean absolute deviation counts when it is the larger one.
 */
import { BytesReader, BytesWriter } from '../bytes.ts';
import { checkInput, type Detector, scoreOf } from './detector.ts';
import { TrailingWindow } from './trailing-window.ts';

const VERSION = 1;
const WINDOW_ROWS = 1_000;
const ROWS_MIN = 30;
/** Standard deviations of a normal distribution per median, and per mean, absolute deviation. */
const SIGMAS_PER_MEDIAN_DEVIATION = 1.482602218505602;
const SIGMAS_PER_MEAN_DEVIATION = 1.2533141373155;
/** Their recommendation. */
const ALARM_SIGMAS = 3.5;

export class RobustDetector implements Detector {
  readonly #window: TrailingWindow;
  /** The window's values, ascending in the first `count` places. */
  readonly #sorted = new Float64Array(WINDOW_ROWS);

  constructor(window = new TrailingWindow(WINDOW_ROWS)) {
    this.#window = window;
    this.#sorted.set(window.values().sort());
  }

  push(timestampMs: number, value: number): number {
    checkInput(timestampMs, value);
    const { count } = this.#window;
    const strength = count < ROWS_MIN ? 0 : this.#strengthOf(value, count);
    const evicted = this.#window.push(value);
    if (evicted !== undefined) this.#remove(evicted, count);
    this.#insert(value, evicted === undefined ? count : count - 1);
    return scoreOf(strength, ALARM_SIGMAS);
  }

  #strengthOf(value: number, count: number): number {
    const half = count >> 1;
    const upper = this.#sorted[half] as number;
    const median = count % 2 === 1 ? upper : ((this.#sorted[half - 1] as number) + upper) / 2;
    const away = Math.abs(value - median);
    if (away === 0) return 0;
    let sum = 0;
    for (let i = 0; i < count; i++) sum += Math.abs((this.#sorted[i] as number) - median);
    return (
      away /
      Math.max(
        SIGMAS_PER_MEDIAN_DEVIATION * this.#medianDeviation(median, count),
        (SIGMAS_PER_MEAN_DEVIATION * sum) / count,
      )
    );
  }

  /** The half of all values that is closest to the median lies together; its farther end is the answer. */
  #medianDeviation(median: number, count: number): number {
    const near = (count >> 1) + 1;
    let low = 0;
    let high = count - near;
    while (low < high) {
      const middle = (low + high) >> 1;
      const below = median - (this.#sorted[middle] as number);
      const above = (this.#sorted[middle + near] as number) - median;
      if (below > above) low = middle + 1;
      else high = middle;
    }
    const below = median - (this.#sorted[low] as number);
    return Math.max(below, (this.#sorted[low + near - 1] as number) - median);
  }

  #remove(value: number, count: number): void {
    const at = this.#place(value, count);
    this.#sorted.copyWithin(at, at + 1, count);
  }

  #insert(value: number, count: number): void {
    const at = this.#place(value, count);
    this.#sorted.copyWithin(at + 1, at, count);
    this.#sorted[at] = value;
  }

  /** Where the first value that is not below `value` stands. */
  #place(value: number, count: number): number {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Version u8 = 1 · the window. */
  toBytes(): Buffer {
    const writer = new BytesWriter(1 + this.#window.bytesMax);
    writer.u8(VERSION);
    this.#window.write(writer);
    return writer.bytes();
  }

  /** Throws DIGEST_CORRUPT when the bytes can't have come from `toBytes`. */
  static fromBytes(bytes: Uint8Array): RobustDetector {
    const reader = new BytesReader(bytes, 'detector');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const window = TrailingWindow.read(reader, WINDOW_ROWS);
    reader.end();
    return new RobustDetector(window);
  }
}
