import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { rowChecksum } from './row-checksum.ts';

it('a row’s checksum is zlib’s CRC-32 of just its bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), fc.nat(300), (bytes, a, b) => {
      const [from, to] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)];
      expect(rowChecksum(bytes, from, to)).toBe(crc32(bytes.subarray(from, to)));
    }),
  );
});
