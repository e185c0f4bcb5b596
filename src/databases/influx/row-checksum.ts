/**
 * CRC-32 as zlib's, of ranges so short that a call into native code would take longer than the sum itself. Four bytes at
 * a time: their four look-ups wait for nothing but the last four.
 */
const TABLES = new Int32Array(4 * 256);
for (let byte = 0; byte < 256; byte++) {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  TABLES[byte] = sum;
}
// Of a byte and then so many bytes of zero: one in the second table, two in the third.
for (let i = 256; i < TABLES.length; i++) {
  const before = TABLES[i - 256] as number;
  TABLES[i] = (TABLES[before & 0xff] as number) ^ (before >>> 8);
}

/** Of the bytes from `from` to `to`, exclusive. */
export function rowChecksum(bytes: Uint8Array, from: number, to: number): number {
  let sum = -1;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    sum ^=
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    sum =
      (TABLES[768 + (sum & 0xff)] as number) ^
      (TABLES[512 + ((sum >>> 8) & 0xff)] as number) ^
      (TABLES[256 + ((sum >>> 16) & 0xff)] as number) ^
      (TABLES[sum >>> 24] as number);
  }
  for (; i < to; i++) {
    sum = (TABLES[(sum ^ (bytes[i] as number)) & 0xff] as number) ^ (sum >>> 8);
  }
  return ~sum >>> 0;
}
