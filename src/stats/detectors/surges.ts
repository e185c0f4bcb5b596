/**
 * How far a value lies from the usual, in usual distances: mean and mean absolute distance over some days, to which
 * one value adds at most so much. So a second event like the first still stands out, where `records` keeps silent.
 * Only the peak of an event is told, and of a series that has events often none: there they are usual.
 */
import { BytesReader, BytesWriter } from '../bytes.ts';
import { checkInput, type Detector, scoreOf } from './detector.ts';
import { Peaks } from './peaks.ts';

const VERSION = 1;
/** Half a day of five-minute values: fewer have seen too little of the day's rhythm. */
const ROWS_MIN = 144;
/** From then on the newest counts one part in so many: three and a half days. */
const ROWS_MAX = 1_000;
/** A value counts as no farther away than so many usual distances. */
const CLIP = 20;
/** A day's rhythm and its noise reach some three distances. */
const ALARM_DISTANCES = 8;
/** Rows past the alarm with fewer rows between them are one event. */
const EVENT_ROWS = 50;
/** An event counts for half after so long … */
const HALF_LIFE_MS = 7 * 86_400_000;
/** … and when so many count, the next is usual. */
const EVENTS_MAX = 3;
/** A share of the value below which a distance is the arithmetic's own. */
const ROUNDING = 1e-9;

export class SurgesDetector implements Detector {
  #mean = 0;
  #distance = 0;
  #rows = 0;
  /** Events so far, the older the less, as of the last one. */
  #events = 0;
  #eventAtMs = 0;
  /** Rows since the last one past the alarm, up to EVENT_ROWS. */
  #quietRows = EVENT_ROWS;
  #isTold = false;
  #peaks = new Peaks(EVENT_ROWS);

  push(timestampMs: number, value: number): number {
    checkInput(timestampMs, value);
    const strength = this.#take(value);
    if (strength >= ALARM_DISTANCES) {
      if (this.#quietRows >= EVENT_ROWS) this.#begin(timestampMs);
      this.#quietRows = 0;
    } else this.#quietRows = Math.min(this.#quietRows + 1, EVENT_ROWS);
    const peak = this.#peaks.push(strength);
    return peak >= ALARM_DISTANCES && !this.#isTold ? 0 : scoreOf(peak, ALARM_DISTANCES);
  }

  #begin(timestampMs: number): void {
    const passedMs = Math.max(0, timestampMs - this.#eventAtMs);
    const count = this.#events * 2 ** (-passedMs / HALF_LIFE_MS);
    this.#isTold = count < EVENTS_MAX;
    this.#events = count + 1;
    this.#eventAtMs = timestampMs;
  }

  /** Its strength, in usual distances. */
  #take(value: number): number {
    const away = value - this.#mean;
    const far = Math.abs(away);
    // What never moved has no usual distance: its first change is a record's to tell.
    const hasDistance = this.#distance > ROUNDING * Math.abs(this.#mean);
    const isKnown = this.#rows >= ROWS_MIN && hasDistance;
    const strength = isKnown ? far / this.#distance : 0;
    const taken = isKnown ? Math.min(far, CLIP * this.#distance) : far;
    this.#rows = Math.min(this.#rows + 1, ROWS_MAX);
    this.#mean += (Math.sign(away) * taken) / this.#rows;
    // The first value is no distance from anything.
    if (this.#rows > 1) this.#distance += (taken - this.#distance) / this.#rows;
    return strength;
  }

  /** Version u8 = 1 · rows, quiet rows varint · told u8 · mean, distance, events, time of the last f64 · peaks. */
  toBytes(): Buffer {
    const writer = new BytesWriter(60 + this.#peaks.bytesMax);
    writer.u8(VERSION);
    writer.varint(this.#rows);
    writer.varint(this.#quietRows);
    writer.u8(this.#isTold ? 1 : 0);
    for (const value of [this.#mean, this.#distance, this.#events, this.#eventAtMs])
      writer.f64(value);
    this.#peaks.write(writer);
    return writer.bytes();
  }

  /** Throws DIGEST_CORRUPT when the bytes can't have come from `toBytes`. */
  static fromBytes(bytes: Uint8Array): SurgesDetector {
    const reader = new BytesReader(bytes, 'detector');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const detector = new SurgesDetector();
    detector.#rows = reader.varint();
    detector.#quietRows = reader.varint();
    detector.#isTold = reader.u8() === 1;
    detector.#mean = reader.f64();
    detector.#distance = reader.f64();
    detector.#events = reader.f64();
    detector.#eventAtMs = reader.f64();
    reader.expect(detector.#rows <= ROWS_MAX, 'it has too many rows');
    reader.expect(detector.#quietRows <= EVENT_ROWS, 'it was quiet for too long');
    detector.#peaks = Peaks.read(reader, EVENT_ROWS);
    reader.end();
    return detector;
  }
}
