/**
 * The four codecs a record batch can be packed with. Kafka's LZ4 is the LZ4 *frame* format; its Snappy comes
 * either raw or cut into blocks behind the `\x82SNAPPY\0` header of xerial's snappy-java, which the Java client
 * writes and which we write too.
 */
import { promisify } from 'node:util';
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib';
import lz4 from 'lz4-napi';
import snappy from 'snappy';
import { FatalError, messageOf } from '../../model/index.ts';

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** By the low three bits of a batch's attributes. */
export const compressions: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

const gzipAsync = promisify(gzip);
const gunzipAsync = promisify(gunzip);
const zstdCompressAsync = promisify(zstdCompress);
const zstdDecompressAsync = promisify(zstdDecompress);

/** magic (8) | version int32 = 1 | compatible version int32 = 1 | then blocks: size int32, raw Snappy. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEADER_BYTES = 16;

const unsnappy = async (bytes: Buffer): Promise<Buffer> =>
  (await snappy.uncompress(bytes, { asBuffer: true })) as Buffer;

async function snappyDecompress(bytes: Buffer): Promise<Buffer> {
  if (!bytes.subarray(0, 8).equals(XERIAL_MAGIC)) return unsnappy(bytes);
  const blocks: Buffer[] = [];
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    const size = bytes.readInt32BE(at);
    at += 4;
    blocks.push(await unsnappy(bytes.subarray(at, at + size)));
    at += size;
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks);
}

async function snappyCompress(bytes: Buffer): Promise<Buffer> {
  const block = await snappy.compress(bytes);
  const head = Buffer.alloc(XERIAL_HEADER_BYTES + 4);
  XERIAL_MAGIC.copy(head);
  head.writeInt32BE(1, 8);
  head.writeInt32BE(1, 12);
  head.writeInt32BE(block.length, 16);
  return Buffer.concat([head, block]);
}

/** Packs the records of a batch. */
export function compress(compression: Compression, bytes: Buffer): Promise<Buffer> {
  switch (compression) {
    case 'gzip':
      return gzipAsync(bytes, { level: 1 });
    case 'snappy':
      return snappyCompress(bytes);
    case 'lz4':
      return lz4.compressFrame(bytes);
    case 'zstd':
      return zstdCompressAsync(bytes);
    case 'none':
      return Promise.resolve(bytes);
  }
}

/** Unpacks the records of a batch; rejects with FatalError CORRUPT_BATCH. */
export async function decompress(compression: Compression, bytes: Buffer): Promise<Buffer> {
  try {
    switch (compression) {
      case 'gzip':
        return await gunzipAsync(bytes);
      case 'snappy':
        return await snappyDecompress(bytes);
      case 'lz4':
        return await lz4.decompressFrame(bytes);
      case 'zstd':
        return await zstdDecompressAsync(bytes);
      case 'none':
        return bytes;
    }
  } catch (error) {
    throw new FatalError(
      `a record batch packed with ${compression} is damaged: ${messageOf(error)}`,
      {
        code: 'CORRUPT_BATCH',
        cause: error,
      },
    );
  }
}
