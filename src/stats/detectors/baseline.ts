/** Something that knows what is usual, and learns it as it goes. */
import type { BytesWriter } from '../bytes.ts';

export interface Baseline {
  /** How far `value` is from the usual; undefined while that is not known. Takes it in. */
  push(timestampMs: number, value: number): number | undefined;
  /** At most what `write` needs. */
  readonly bytesMax: number;
  write(writer: BytesWriter): void;
}
