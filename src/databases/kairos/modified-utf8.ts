/**
 * Java's modified UTF-8, as DataOutput.writeUTF: U+0000 is `C0 80`, and what lies beyond the basic plane is two
 * surrogates of three bytes each. Unlike UTF-8 it keeps any sequence of UTF-16 units, also lone surrogates.
 *
 *   ┌───────────────────┬───────────┐      hello     0005 68656c6c6f
 *   │ byte length, u16  │ bytes     │      é€\0😀    000d c3a9 e282ac c080 eda0bd edb880
 *   └───────────────────┴───────────┘
 */
import { PoisonError } from '../../model/index.ts';

export const MODIFIED_UTF8_BYTES_MAX = 65_535;

/** Bytes of the text without its length. */
export function modifiedUtf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7ff) length += 2;
    else if (unit > 0x7f || unit === 0) length += 1;
  }
  return length;
}

/** Length and bytes. Throws RangeError beyond 65,535 bytes: check `modifiedUtf8Length` first. */
export function encodeModifiedUtf8(text: string): Buffer {
  const length = modifiedUtf8Length(text);
  if (length > MODIFIED_UTF8_BYTES_MAX) throw new RangeError(`text of ${length} bytes is too long`);
  const bytes = Buffer.allocUnsafe(2 + length);
  let at = bytes.writeUInt16BE(length, 0);
  if (length === text.length) {
    bytes.write(text, at, 'latin1');
    return bytes;
  }
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7ff) {
      bytes[at++] = 0xe0 | (unit >> 12);
      bytes[at++] = 0x80 | ((unit >> 6) & 0x3f);
      bytes[at++] = 0x80 | (unit & 0x3f);
    } else if (unit > 0x7f || unit === 0) {
      bytes[at++] = 0xc0 | (unit >> 6);
      bytes[at++] = 0x80 | (unit & 0x3f);
    } else {
      bytes[at++] = unit;
    }
  }
  return bytes;
}

/** Undoes `encodeModifiedUtf8`. Throws PoisonError KAIROS_VALUE_INVALID where Java's reader would throw. */
export function decodeModifiedUtf8(bytes: Buffer): string {
  if (bytes.length < 2) throw malformed(bytes);
  const end = 2 + bytes.readUInt16BE(0);
  if (bytes.length < end) throw malformed(bytes);
  let i = 2;
  while (i < end && (bytes[i] as number) < 0x80) i++;
  let text = bytes.toString('latin1', 2, i);
  while (i < end) {
    const first = bytes[i] as number;
    const width = first < 0x80 ? 1 : first >> 5 === 0b110 ? 2 : first >> 4 === 0b1110 ? 3 : 0;
    if (width === 0 || i + width > end) throw malformed(bytes);
    let unit = width === 1 ? first : first & (width === 2 ? 0x1f : 0x0f);
    for (let k = 1; k < width; k++) {
      const next = bytes[i + k] as number;
      if (next >> 6 !== 0b10) throw malformed(bytes);
      unit = (unit << 6) | (next & 0x3f);
    }
    text += String.fromCharCode(unit);
    i += width;
  }
  return text;
}

const malformed = (bytes: Buffer): PoisonError =>
  new PoisonError(`text ${bytes.subarray(0, 32).toString('hex')} is not Java's modified UTF-8`, {
    code: 'KAIROS_VALUE_INVALID',
  });
