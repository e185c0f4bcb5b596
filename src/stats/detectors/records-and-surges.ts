/**
 * What a fleet is watched by: `records` for what was never seen before, `surges` for what comes again and is still
 * far from usual; the higher score counts. `docs/decisions/0022` says what each misses alone.
 */
import { BytesReader, BytesWriter } from '../bytes.ts';
import type { Detector } from './detector.ts';
import { RecordsDetector } from './records.ts';
import { SurgesDetector } from './surges.ts';

const VERSION = 1;

export class RecordsAndSurgesDetector implements Detector {
  readonly #records: RecordsDetector;
  readonly #surges: SurgesDetector;

  constructor(records = new RecordsDetector(), surges = new SurgesDetector()) {
    this.#records = records;
    this.#surges = surges;
  }

  push(timestampMs: number, value: number): number {
    return Math.max(this.#records.push(timestampMs, value), this.#surges.push(timestampMs, value));
  }

  /** Version u8 = 1 · length varint and bytes of surges · bytes of records. */
  toBytes(): Buffer {
    const surges = this.#surges.toBytes();
    const records = this.#records.toBytes();
    const writer = new BytesWriter(10 + surges.length + records.length);
    writer.u8(VERSION);
    writer.varint(surges.length);
    writer.raw(surges);
    writer.raw(records);
    return writer.bytes();
  }

  /** Throws DIGEST_CORRUPT when the bytes can't have come from `toBytes`. */
  static fromBytes(bytes: Uint8Array): RecordsAndSurgesDetector {
    const reader = new BytesReader(bytes, 'detector');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const length = reader.varint();
    const rest = reader.rest();
    reader.expect(length <= rest.length, 'its parts are torn');
    return new RecordsAndSurgesDetector(
      RecordsDetector.fromBytes(rest.subarray(length)),
      SurgesDetector.fromBytes(rest.subarray(0, length)),
    );
  }
}
