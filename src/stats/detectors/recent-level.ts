/** What was usual lately: an exponential average of the rows before. */
import type { BytesReader, BytesWriter } from '../bytes.ts';
import { ExponentialAverage } from '../moving-average.ts';
import type { Baseline } from './baseline.ts';

/** The weight of about 100 rows. */
const ALPHA = 0.02;

export class RecentLevel implements Baseline {
  readonly #average = new ExponentialAverage(ALPHA);

  push(_timestampMs: number, value: number): number | undefined {
    const before = this.#average.value;
    this.#average.push(value);
    return Number.isNaN(before) ? undefined : value - before;
  }

  readonly bytesMax = 8;

  /** Average f64; NaN before the first value. */
  write(writer: BytesWriter): void {
    writer.f64(this.#average.value);
  }

  static read(reader: BytesReader): RecentLevel {
    const level = new RecentLevel();
    const average = reader.f64();
    if (!Number.isNaN(average)) level.#average.push(average);
    return level;
  }
}
