import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Compression, compress, decompress } from './compression.ts';
import { encodeBatch } from './record-batch-encode.ts';
import { RecordQueue } from './record-queue.ts';
import { openRecordSet, openRuns } from './record-set.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../../test/golden/kafka-record-batches.json', import.meta.url), 'utf8'),
) as { recordSets: Record<string, string> };

const codecs: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

async function read(records: Buffer) {
  const set = openRecordSet(records, 0, []);
  const queue = new RecordQueue({ topic: 't', partition: 0 }, 0);
  queue.push({ runs: await openRuns(records, set), nextOffset: set.nextOffset, release() {} });
  const found: string[] = [];
  let handOvers = 0;
  for (let batch = queue.take(0); batch !== null; batch = queue.take(0), handOvers++) {
    for (let i = 0; i < batch.count; i++) {
      const key = batch.bytes.toString('utf8', batch.keyStart[i], batch.keyEnd[i]);
      const value = batch.bytes.toString('utf8', batch.valueStart[i], batch.valueEnd[i]);
      found.push(`${batch.offsets[i]} ${key} ${value}`);
    }
  }
  return { found, handOvers };
}

describe('compression', () => {
  test.each(Object.entries(golden.recordSets))('reads what %s wrote', async (_maker, base64) => {
    const { found } = await read(Buffer.from(base64, 'base64'));
    expect(found).toEqual(
      Array.from(
        { length: 40 },
        (_, i) => `${i} k${i} the same words again and again, number ${i}`,
      ),
    );
  });

  test.each(codecs)('unpacking undoes packing with %s', { tags: 'heavy' }, async (codec) => {
    for (const size of [0, 1, 1000, 3_000_000]) {
      const bytes = Buffer.from(Array.from({ length: size }, (_, i) => (i * i) % 251));
      expect((await decompress(codec, await compress(codec, bytes))).equals(bytes)).toBe(true);
    }
  });

  test.each(codecs.slice(1))('damaged %s is refused as a damaged batch', async (codec) => {
    const packed = await compress(codec, Buffer.alloc(10_000, 'abc'));
    await expect(decompress(codec, packed.subarray(0, packed.length >> 1))).rejects.toMatchObject({
      code: 'CORRUPT_BATCH',
    });
  });

  test('records that packing would enlarge are written plain', async () => {
    const identity = { producerId: 1n, producerEpoch: 0, baseSequence: 0, transactional: false };
    const bytes = await encodeBatch([{ key: null, value: Buffer.from('x') }], identity, 'gzip', 0);
    expect(bytes.readInt16BE(21) & 7).toBe(0);
    expect((await read(bytes)).found).toEqual(['0  x']);
  });

  test('small packed batches of any codecs side by side come in few hand-overs, in order', async () => {
    const identity = { producerId: 1n, producerEpoch: 0, baseSequence: 0, transactional: false };
    const parts: Buffer[] = [];
    const expected: string[] = [];
    for (let i = 0; i < 50; i++) {
      const value = `${i} `.repeat(100);
      const records = [{ key: Buffer.from('k'), value: Buffer.from(value) }];
      const bytes = await encodeBatch(records, identity, codecs[1 + (i % 4)]!, 0);
      bytes.writeBigInt64BE(BigInt(i), 0);
      parts.push(bytes);
      expected.push(`${i} k ${value}`);
    }
    const { found, handOvers } = await read(Buffer.concat(parts));
    expect(found).toEqual(expected);
    expect(handOvers).toBe(1);
  });
});
