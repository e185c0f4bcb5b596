/**
 * The residual of Holt–Winters over the hours of the day: hourly means feed the model, and each value is held
 * against the forecast of its hour, in standard deviations of the residuals before it. Silent for the first two
 * days, which are the model's start.
 */
import { BytesReader, BytesWriter } from '../bytes.ts';
import { HoltWinters, startOf } from '../holt-winters.ts';
import { checkInput, type Detector, scoreOf } from './detector.ts';

const VERSION = 1;
const HOUR_MS = 3_600_000;
const HOURS = 24;
const START_HOURS = 2 * HOURS;
const SMOOTHING = { alpha: 0.1, beta: 0.001, gamma: 0.2 };
/** Fewer tell nothing about their spread. */
const RESIDUALS_MIN = 30;
/** From then on the newest counts one part in so many. */
const RESIDUALS_MAX = 500;
const ALARM_SIGMAS = 3;
/** A share of the value below which a residual is the arithmetic's own. */
const ROUNDING = 1e-9;

export class SeasonalDetector implements Detector {
  /** Hourly means until there are enough of them for the model. */
  #start: number[] = [];
  #model: HoltWinters | undefined;
  /** Hours since the epoch; NaN before the first value. */
  #hour = Number.NaN;
  #sum = 0;
  #count = 0;
  /** Mean square of the residuals, and how many there were, up to the most that count. */
  #square = 0;
  #residuals = 0;

  push(timestampMs: number, value: number): number {
    checkInput(timestampMs, value);
    const hour = Math.floor(timestampMs / HOUR_MS);
    // A value from before its time counts for the hour that is open.
    if (!(hour <= this.#hour)) this.#advance(hour);
    this.#sum += value;
    this.#count++;
    if (this.#model === undefined) return 0;
    const expected = this.#model.predict();
    const away = value - expected;
    const isRounding = Math.abs(away) <= ROUNDING * Math.max(Math.abs(value), Math.abs(expected));
    const residual = isRounding ? 0 : away;
    const spread = Math.sqrt(this.#square);
    const isKnown = this.#residuals >= RESIDUALS_MIN;
    this.#residuals = Math.min(this.#residuals + 1, RESIDUALS_MAX);
    this.#square += (residual * residual - this.#square) / this.#residuals;
    if (!isKnown || residual === 0) return 0;
    return scoreOf(Math.abs(residual) / spread, ALARM_SIGMAS);
  }

  #advance(hour: number): void {
    if (this.#count > 0) {
      const mean = this.#sum / this.#count;
      this.#take(mean);
      // What is missing is as expected: it moves nothing but the time of day. Whole days move nothing at all.
      const missing = (hour - this.#hour - 1) % HOURS;
      for (let i = 0; i < missing; i++) this.#take(this.#model?.predict() ?? mean);
    }
    this.#hour = hour;
    this.#sum = 0;
    this.#count = 0;
  }

  #take(mean: number): void {
    if (this.#model !== undefined) {
      this.#model.push(mean);
      return;
    }
    this.#start.push(mean);
    if (this.#start.length < START_HOURS) return;
    const { level, season } = startOf(this.#start, HOURS, 'additive');
    this.#model = new HoltWinters('additive', SMOOTHING, { level, trend: 0, season });
    for (const each of this.#start.slice(HOURS)) this.#model.push(each);
    this.#start = [];
  }

  /** Version u8 = 1 · hour, sum, mean square f64 · count, residuals, start count varint · each f64 · the model's bytes, if any. */
  toBytes(): Buffer {
    const model = this.#model?.toBytes() ?? new Uint8Array();
    const writer = new BytesWriter(50 + 8 * START_HOURS + model.length);
    writer.u8(VERSION);
    for (const value of [this.#hour, this.#sum, this.#square]) writer.f64(value);
    for (const count of [this.#count, this.#residuals, this.#start.length]) writer.varint(count);
    for (const mean of this.#start) writer.f64(mean);
    writer.raw(model);
    return writer.bytes();
  }

  /** Throws DIGEST_CORRUPT when the bytes can't have come from `toBytes`. */
  static fromBytes(bytes: Uint8Array): SeasonalDetector {
    const reader = new BytesReader(bytes, 'detector');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const detector = new SeasonalDetector();
    detector.#hour = reader.f64();
    detector.#sum = reader.f64();
    detector.#square = reader.f64();
    detector.#count = reader.varint();
    detector.#residuals = reader.varint();
    const count = reader.varint();
    reader.expect(count < START_HOURS, 'its start is too long');
    for (let i = 0; i < count; i++) detector.#start.push(reader.f64());
    const model = reader.rest();
    if (model.length > 0) {
      detector.#model = HoltWinters.fromBytes(model);
      reader.expect(count === 0 && detector.#model.period === HOURS, 'its model is of another day');
    }
    return detector;
  }
}
