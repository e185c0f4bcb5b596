/** The plain detector: how many standard deviations a value lies from the mean of the window before it. */
import { BytesReader, BytesWriter } from '../bytes.ts';
import { checkInput, type Detector, scoreOf } from './detector.ts';
import { TrailingWindow } from './trailing-window.ts';

const VERSION = 1;
/** Three and a half days of 5-minute values. */
const WINDOW_ROWS = 1_000;
/** Fewer tell nothing about spread. */
const ROWS_MIN = 30;
/** Mission S3: alert at 2σ. */
const ALARM_SIGMAS = 2;

export class ZScoreDetector implements Detector {
  readonly #window: TrailingWindow;

  constructor(window = new TrailingWindow(WINDOW_ROWS)) {
    this.#window = window;
  }

  push(timestampMs: number, value: number): number {
    checkInput(timestampMs, value);
    const { count, mean, stddev } = this.#window;
    const away = Math.abs(value - mean);
    this.#window.push(value);
    if (count < ROWS_MIN || away === 0) return 0;
    return scoreOf(away / stddev, ALARM_SIGMAS);
  }

  /** Version u8 = 1 · the window. */
  toBytes(): Buffer {
    const writer = new BytesWriter(1 + this.#window.bytesMax);
    writer.u8(VERSION);
    this.#window.write(writer);
    return writer.bytes();
  }

  /** Throws DIGEST_CORRUPT when the bytes can't have come from `toBytes`. */
  static fromBytes(bytes: Uint8Array): ZScoreDetector {
    const reader = new BytesReader(bytes, 'detector');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const window = TrailingWindow.read(reader, WINDOW_ROWS);
    reader.end();
    return new ZScoreDetector(window);
  }
}
