/**
 * What is usual at this time of the day, or of the week: one mean per hour, learned as the hours pass. The first
 * visits of an hour count equally, later ones count `rate` each; an hour visited too rarely has no opinion.
 */
import type { BytesReader, BytesWriter } from '../bytes.ts';
import type { Baseline } from './baseline.ts';

const HOUR_MS = 3_600_000;
/** A share of the value below which a difference is the arithmetic's own. */
const ROUNDING = 1e-9;

export interface ProfileShape {
  /** Hours in the cycle: 24 for the day, 168 for the week (both in UTC). */
  readonly hours: number;
  /** Share in (0, 1] of the newest visit once there have been enough. */
  readonly rate: number;
  /** Visits before an hour has an opinion. */
  readonly visitsMin: number;
}

export class Profile implements Baseline {
  readonly #shape: ProfileShape;
  readonly #means: Float64Array;
  readonly #visits: Float64Array;
  /** The hour that is being visited; −1 before the first value. */
  #hour = -1;
  #sum = 0;
  #count = 0;

  constructor(shape: ProfileShape) {
    this.#shape = shape;
    this.#means = new Float64Array(shape.hours);
    this.#visits = new Float64Array(shape.hours);
  }

  push(timestampMs: number, value: number): number | undefined {
    const { hours, visitsMin } = this.#shape;
    const hour = (((Math.floor(timestampMs / HOUR_MS) % hours) + hours) % hours) as number;
    if (hour !== this.#hour) this.#leave(hour);
    this.#sum += value;
    this.#count++;
    if ((this.#visits[hour] as number) < visitsMin) return undefined;
    const usual = this.#means[hour] as number;
    const away = value - usual;
    return Math.abs(away) <= ROUNDING * Math.max(Math.abs(value), Math.abs(usual)) ? 0 : away;
  }

  #leave(next: number): void {
    if (this.#hour >= 0) {
      const visits = (this.#visits[this.#hour] as number) + 1;
      const mean = this.#means[this.#hour] as number;
      const share = Math.max(this.#shape.rate, 1 / visits);
      this.#visits[this.#hour] = visits;
      this.#means[this.#hour] = mean + share * (this.#sum / this.#count - mean);
    }
    this.#hour = next;
    this.#sum = 0;
    this.#count = 0;
  }

  get bytesMax(): number {
    return 32 + 16 * this.#shape.hours;
  }

  /** Hour + 1 varint · sum f64 · count varint · of each hour: visits varint, mean f64. */
  write(writer: BytesWriter): void {
    writer.varint(this.#hour + 1);
    writer.f64(this.#sum);
    writer.varint(this.#count);
    for (let i = 0; i < this.#means.length; i++) {
      writer.varint(this.#visits[i] as number);
      writer.f64(this.#means[i] as number);
    }
  }

  static read(reader: BytesReader, shape: ProfileShape): Profile {
    const profile = new Profile(shape);
    profile.#hour = reader.varint() - 1;
    reader.expect(profile.#hour < shape.hours, 'its hour is not of the cycle');
    profile.#sum = reader.f64();
    profile.#count = reader.varint();
    for (let i = 0; i < shape.hours; i++) {
      profile.#visits[i] = reader.varint();
      profile.#means[i] = reader.f64();
    }
    return profile;
  }
}
