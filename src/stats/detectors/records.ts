/**
 * The best detector here: it waits for records (values beyond all before them) in four views of the series, and
 * reports each event once. Nothing is tuned to a series; `node bench/nab.ts` tells what it is worth.
 *
 *   value ─┬─► as it is ─────────────────────────────────────────► record? ─┐
 *          ├─► mean of 24 rows ──────────────────────────────────► record? ─┤
 *          ├─► minus the usual of this hour of the day ──────────► record? ─┼─► highest ─► peak of 100 rows ─► score
 *          └─► minus the usual of this hour of the week ─► mean 12 record? ─┘
 */
import { BytesReader, BytesWriter } from '../bytes.ts';
import { checkInput, type Detector, scoreOf } from './detector.ts';
import { Peaks } from './peaks.ts';
import { Profile, type ProfileShape } from './profile.ts';
import { RecordLevel } from './record.ts';
import { TrailingWindow } from './trailing-window.ts';

const VERSION = 1;
/** An event is over when nothing was as high for so many rows. */
const PEAK_ROWS = 100;
/** −log10 of the chance of a false alarm per row. */
const ALARM_LEVEL = 5.2;

interface View {
  /** What is usual is taken off first; undefined: nothing is. */
  readonly profile: ProfileShape | undefined;
  /** Rows averaged. */
  readonly rows: number;
}

const views: readonly View[] = [
  { profile: undefined, rows: 1 },
  { profile: undefined, rows: 24 },
  { profile: { hours: 24, rate: 0.1, visitsMin: 3 }, rows: 1 },
  { profile: { hours: 168, rate: 0.3, visitsMin: 1 }, rows: 12 },
];

interface ViewState {
  readonly profile: Profile | undefined;
  readonly window: TrailingWindow;
  readonly record: RecordLevel;
}

export class RecordsDetector implements Detector {
  readonly #views: readonly ViewState[];
  readonly #peaks: Peaks;

  constructor(
    states: readonly ViewState[] = views.map(({ profile, rows }) => ({
      profile: profile === undefined ? undefined : new Profile(profile),
      window: new TrailingWindow(rows),
      record: new RecordLevel(rows),
    })),
    peaks = new Peaks(PEAK_ROWS),
  ) {
    this.#views = states;
    this.#peaks = peaks;
  }

  push(timestampMs: number, value: number): number {
    checkInput(timestampMs, value);
    let level = 0;
    for (const { profile, window, record } of this.#views) {
      const seen = profile === undefined ? value : profile.push(timestampMs, value);
      if (seen === undefined) continue;
      window.push(seen);
      if (window.isFull) level = Math.max(level, record.push(timestampMs, window.mean));
    }
    return scoreOf(this.#peaks.push(level), ALARM_LEVEL);
  }

  /** Version u8 = 1 · of each view: profile if it has one, window, record · peaks. About 2.5 kB. */
  toBytes(): Buffer {
    const bytesMax = this.#views.reduce(
      (sum, { window }, i) => sum + window.bytesMax + profileBytes(i) + RecordLevel.bytesMax,
      1 + this.#peaks.bytesMax,
    );
    const writer = new BytesWriter(bytesMax);
    writer.u8(VERSION);
    for (const { profile, window, record } of this.#views) {
      profile?.write(writer);
      window.write(writer);
      record.write(writer);
    }
    this.#peaks.write(writer);
    return writer.bytes();
  }

  /** Throws DIGEST_CORRUPT when the bytes can't have come from `toBytes`. */
  static fromBytes(bytes: Uint8Array): RecordsDetector {
    const reader = new BytesReader(bytes, 'detector');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const states = views.map(({ profile, rows }) => ({
      profile: profile === undefined ? undefined : Profile.read(reader, profile),
      window: TrailingWindow.read(reader, rows),
      record: RecordLevel.read(reader, rows),
    }));
    const peaks = Peaks.read(reader, PEAK_ROWS);
    reader.end();
    return new RecordsDetector(states, peaks);
  }
}

function profileBytes(view: number): number {
  const shape = views[view]?.profile;
  return shape === undefined ? 0 : Profile.bytesMax(shape);
}
