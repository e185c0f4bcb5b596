/** Bytes → whole lines, without decoding them and with a bound on what is held. */
import { FatalError } from '../model/index.ts';

const NEWLINE = 0x0a;

export interface Lines {
  /** Whole lines, each ended by a newline. */
  readonly bytes: Buffer;
  /** How many lines, empty ones included. */
  readonly count: number;
}

export class LineSplitter {
  readonly #lineBytesMax: number;
  #rest: Buffer[] = [];
  #restBytes = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The whole lines that this chunk completes; undefined when it completes none. */
  push(chunk: Buffer): Lines | undefined {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      this.#keep(chunk);
      return undefined;
    }
    const whole = chunk.subarray(0, end);
    const bytes = this.#rest.length === 0 ? whole : Buffer.concat([...this.#rest, whole]);
    this.#rest = [];
    this.#restBytes = 0;
    if (end < chunk.length) this.#keep(chunk.subarray(end));
    return { bytes, count: countNewlines(bytes) };
  }

  /** The last line when no newline ended it. */
  end(): Lines | undefined {
    if (this.#restBytes === 0) return undefined;
    const bytes = Buffer.concat([...this.#rest, Buffer.from('\n')]);
    this.#rest = [];
    this.#restBytes = 0;
    return { bytes, count: 1 };
  }

  #keep(part: Buffer): void {
    this.#restBytes += part.length;
    if (this.#restBytes > this.#lineBytesMax) {
      throw new FatalError(`a line is longer than ${this.#lineBytesMax} bytes: is this NDJSON?`, {
        code: 'LINE_TOO_LONG',
      });
    }
    // A stream may use its buffer again.
    this.#rest.push(Buffer.from(part));
  }
}

function countNewlines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
