/**
 * The best detector here: it waits for records (values beyond all before them) in five views of the series, and
 * reports each event once. Nothing is tuned to a series; `node bench/nab.ts` tells what it is worth.
 *
 *   value ─┬─► as it is ─────────────────────────────────────────► record? ─┐
 *          ├─► mean of 24 rows ──────────────────────────────────► record? ─┤
 *          ├─► minus its recent level ───────────────────────────► record? ─┼─► highest ─► peak of 50 rows ─► score
 *          ├─► minus the usual of this hour of the day ──────────► record? ─┤
 *          └─► minus the usual of this hour of the week ─► mean of 12 rows ─► record? ─┘
 */
import { BytesReader, BytesWriter } from '../bytes.ts';
import type { Baseline } from './baseline.ts';
import { checkInput, type Detector, scoreOf } from './detector.ts';
import { Peaks } from './peaks.ts';
import { Profile } from './profile.ts';
import { RecentLevel } from './recent-level.ts';
import { RecordLevel } from './record.ts';
import { TrailingWindow } from './trailing-window.ts';

const VERSION = 1;
/** An event is over when nothing was as high for so many rows. */
const PEAK_ROWS = 50;
/** −log10 of the chance of a false alarm per row, if rows were independent and their tails as assumed. */
const ALARM_LEVEL = 5.4;

const day = { hours: 24, rate: 0.1, visitsMin: 3 };
const week = { hours: 168, rate: 0.3, visitsMin: 1 };

/** What is taken off a value, if anything, and over how many rows the rest is averaged. */
interface View {
  readonly rows: number;
  readonly baseline?: { create(): Baseline; read(reader: BytesReader): Baseline };
}

const views: readonly View[] = [
  { rows: 1 },
  { rows: 24 },
  { rows: 1, baseline: { create: () => new RecentLevel(), read: RecentLevel.read } },
  {
    rows: 1,
    baseline: { create: () => new Profile(day), read: (reader) => Profile.read(reader, day) },
  },
  {
    rows: 12,
    baseline: { create: () => new Profile(week), read: (reader) => Profile.read(reader, week) },
  },
];

interface ViewState {
  readonly baseline: Baseline | undefined;
  readonly window: TrailingWindow;
  readonly record: RecordLevel;
}

export class RecordsDetector implements Detector {
  readonly #views: readonly ViewState[];
  readonly #peaks: Peaks;

  constructor(
    states: readonly ViewState[] = views.map(({ rows, baseline }) => ({
      baseline: baseline?.create(),
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
    for (const { baseline, window, record } of this.#views) {
      const seen = baseline === undefined ? value : baseline.push(timestampMs, value);
      if (seen === undefined) continue;
      window.push(seen);
      if (window.isFull) level = Math.max(level, record.push(timestampMs, window.mean));
    }
    return scoreOf(this.#peaks.push(level), ALARM_LEVEL);
  }

  /** Version u8 = 1 · of each view: baseline if it has one, window, record · peaks. About 2.5 kB. */
  toBytes(): Buffer {
    const bytesMax = this.#views.reduce(
      (sum, { baseline, window }) =>
        sum + (baseline?.bytesMax ?? 0) + window.bytesMax + RecordLevel.bytesMax,
      1 + this.#peaks.bytesMax,
    );
    const writer = new BytesWriter(bytesMax);
    writer.u8(VERSION);
    for (const { baseline, window, record } of this.#views) {
      baseline?.write(writer);
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
    const states = views.map(({ rows, baseline }) => ({
      baseline: baseline?.read(reader),
      window: TrailingWindow.read(reader, rows),
      record: RecordLevel.read(reader, rows),
    }));
    const peaks = Peaks.read(reader, PEAK_ROWS);
    reader.end();
    return new RecordsDetector(states, peaks);
  }
}
