/** Writes and reads the small binary forms of this room: bytes, LEB128 varints, zigzag varints, f64 (little-endian). */
import { FatalError } from '../model/index.ts';

/** Varints carry whole numbers below 2^53, so eight bytes at most. */
const VARINT_BYTES_MAX = 8;

export class BytesWriter {
  readonly #bytes: Buffer;
  #at = 0;

  /** `bytesMax`: at least as many as will be written. */
  constructor(bytesMax: number) {
    this.#bytes = Buffer.allocUnsafe(bytesMax);
  }

  u8(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  f64(value: number): void {
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.u8(0x80 + (rest % 0x80));
      rest = Math.floor(rest / 0x80);
    }
    this.u8(rest);
  }

  zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** `value` · 4 + `bits` (0 … 3) as one varint, for values up to 2^53. */
  varintAndBits(value: number, bits: number): void {
    const head = (value % 0x20) * 4 + bits;
    const rest = Math.floor(value / 0x20);
    if (rest === 0) {
      this.u8(head);
    } else {
      this.u8(0x80 + head);
      this.varint(rest);
    }
  }

  raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** What was written, in memory of its own. */
  bytes(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#at));
  }
}

export class BytesReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;

  /** `what` names the bytes in errors: `digest`, `summary`. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  /** Throws DIGEST_CORRUPT unless `holds`. */
  expect(holds: boolean, otherwise: string): void {
    if (holds) return;
    throw new FatalError(
      `a stored ${this.#what} of ${this.#bytes.length} bytes can't be read: ${otherwise} (at byte ${this.#at}); restore it from a backup, or replay the records that it was made from`,
      { code: 'DIGEST_CORRUPT', context: { start: this.#bytes.toString('hex', 0, 64) } },
    );
  }

  u8(): number {
    this.expect(this.#at < this.#bytes.length, 'it ends too early');
    return this.#bytes[this.#at++] as number;
  }

  f64(): number {
    this.expect(this.#at + 8 <= this.#bytes.length, 'it ends too early');
    const value = this.#bytes.readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = this.u8();
      value += (byte % 0x80) * scale;
      if (byte < 0x80) {
        this.expect(Number.isSafeInteger(value), 'a number is beyond 2^53');
        return value;
      }
      scale *= 0x80;
    }
    this.expect(false, 'a number is too long');
    return 0;
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  varintAndBits(): { value: number; bits: number } {
    const head = this.u8();
    const low = (head % 0x80) >> 2;
    const value = head < 0x80 ? low : low + this.varint() * 0x20;
    this.expect(Number.isSafeInteger(value), 'a number is beyond 2^53');
    return { value, bits: head & 3 };
  }

  /** Everything from here on. */
  rest(): Buffer {
    const rest = this.#bytes.subarray(this.#at);
    this.#at = this.#bytes.length;
    return rest;
  }

  end(): void {
    this.expect(this.#at === this.#bytes.length, 'it goes on after its end');
  }
}
