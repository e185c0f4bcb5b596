/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), which every record batch that we write carries.
 * Eight bytes at a time by table ("slicing by 8"); Node has only CRC-32 built in.
 */
const tables: readonly Int32Array[] = makeTables();

function makeTables(): Int32Array[] {
  const made: Int32Array[] = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    made[0]![byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    let crc = made[0]![byte]!;
    for (let table = 1; table < 8; table++) {
      crc = (crc >>> 8) ^ made[0]![crc & 0xff]!;
      made[table]![byte] = crc;
    }
  }
  return made;
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

/** The checksum of bytes[start .. end), unsigned. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = -1;
  let at = start;
  const last = end - 8;
  for (; at <= last; at += 8) {
    const low =
      crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc =
      t7[low & 0xff]! ^
      t6[(low >>> 8) & 0xff]! ^
      t5[(low >>> 16) & 0xff]! ^
      t4[low >>> 24]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 0xff]!;
  return (crc ^ -1) >>> 0;
}
