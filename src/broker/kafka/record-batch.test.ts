import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FatalError } from '../../model/index.ts';
import type { RecordBatch } from '../contract.ts';
import { crc32c } from './crc32c.ts';
import { readBatchHeader } from './record-batch.ts';
import { type BatchIdentity, type EncodableRecord, encodeBatch } from './record-batch-encode.ts';
import { RecordQueue } from './record-queue.ts';
import { openRecordSet, openRuns } from './record-set.ts';

const plainIdentity: BatchIdentity = {
  producerId: 7n,
  producerEpoch: 2,
  baseSequence: 5,
  transactional: false,
};

/** All that a record set hands over. */
async function decodeAll(records: Buffer, from = 0): Promise<RecordBatch[]> {
  const set = openRecordSet(records, from, []);
  const queue = new RecordQueue({ topic: 't', partition: 0 }, from);
  queue.push({ runs: await openRuns(records, set), nextOffset: set.nextOffset, release() {} });
  const batches: RecordBatch[] = [];
  for (let batch = queue.take(1000); batch !== null; batch = queue.take(1000)) batches.push(batch);
  return batches;
}

const part = (batch: RecordBatch, start: number, end: number): Buffer | null =>
  start < 0 ? null : Buffer.from(batch.bytes.subarray(start, end));

const plain = (batches: readonly RecordBatch[]) =>
  batches.flatMap((batch) =>
    Array.from({ length: batch.count }, (_, i) => ({
      offset: batch.offsets[i]!,
      timestamp: batch.timestamps[i]!,
      key: part(batch, batch.keyStart[i]!, batch.keyEnd[i]!),
      value: part(batch, batch.valueStart[i]!, batch.valueEnd[i]!),
    })),
  );

async function batchAt(baseOffset: number, records: readonly EncodableRecord[]): Promise<Buffer> {
  const bytes = await encodeBatch(records, plainIdentity, 'none', 1_700_000_000_000);
  bytes.writeBigInt64BE(BigInt(baseOffset), 0);
  return bytes;
}

const records = (count: number): EncodableRecord[] =>
  Array.from({ length: count }, (_, i) => ({ key: null, value: Buffer.from(`v${i}`) }));

describe('crc32c', () => {
  test('gives the check value of the CRC catalogue for 123456789', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  });

  test('gives the test vectors of RFC 3720 B.4', () => {
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
    expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e);
  });

  test('is the same over a part as over a copy of it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 80 }), (bytes) => {
        expect(crc32c(bytes, 3, 19)).toBe(crc32c(bytes.slice(3, 19)));
      }),
    );
  });
});

describe('record batches', () => {
  test('a record without headers is laid out as the drawing says', async () => {
    const bytes = await encodeBatch(
      [{ key: Buffer.from('k'), value: Buffer.from('v') }],
      plainIdentity,
      'none',
      1_700_000_000_000,
    );
    expect(bytes.subarray(61).toString('hex')).toBe('10000000026b027600');
    expect(readBatchHeader(bytes, 0, bytes.length)).toMatchObject({
      end: bytes.length,
      baseOffset: 0,
      lastOffset: 0,
      codec: 0,
      control: false,
      transactional: false,
      producerId: 7,
      count: 1,
      baseTimestamp: 1_700_000_000_000,
    });
    expect(bytes.readUInt32BE(17)).toBe(crc32c(bytes, 21));
  });

  test('decoding undoes encoding, whatever the keys, values, times and sizes', async () => {
    const bytes = fc.option(fc.uint8Array({ maxLength: 20_000 }), { nil: null });
    const record = fc.record({
      key: bytes,
      value: bytes,
      timestamp: fc.integer({ min: 0, max: 8_640_000_000_000_000 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 0, max: 2 ** 52 }),
        async (list, baseOffset) => {
          const given = list.map(({ key, value, timestamp }) => ({
            key: key && Buffer.from(key),
            value: value && Buffer.from(value),
            timestamp,
          }));
          const found = plain(await decodeAll(await batchAt(baseOffset, given)));
          expect(found).toEqual(given.map((r, i) => ({ ...r, offset: baseOffset + i })));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('headers are skipped', async () => {
    // attributes 0, deltas 0, no key, value "v", one header "h" = "x".
    const body = Buffer.from([0, 0, 0, 1, 2, 0x76, 2, 2, 0x68, 2, 0x78]);
    const one = await batchAt(0, [{ key: null, value: Buffer.from('v') }]);
    const bytes = Buffer.concat([one.subarray(0, 61), Buffer.from([body.length * 2]), body]);
    bytes.writeInt32BE(bytes.length - 12, 8);
    expect(plain(await decodeAll(bytes)).map((r) => r.value?.toString())).toEqual(['v']);
  });

  test('with append time every record has the time of its batch', async () => {
    const bytes = await batchAt(0, records(3));
    bytes.writeInt16BE(0x08, 21);
    bytes.writeBigInt64BE(1_800_000_000_123n, 35);
    const times = plain(await decodeAll(bytes)).map((record) => record.timestamp);
    expect(times).toEqual([1_800_000_000_123, 1_800_000_000_123, 1_800_000_000_123]);
  });

  test('a batch that is cut off at the end is left for the next fetch', async () => {
    const whole = await batchAt(0, records(4));
    const next = await batchAt(4, records(4));
    for (let cut = 0; cut < next.length; cut++) {
      const bytes = Buffer.concat([whole, next.subarray(0, cut)]);
      expect(openRecordSet(bytes, 0, []).nextOffset).toBe(4);
    }
    const alone = openRecordSet(whole.subarray(0, 70), 0, []);
    expect(alone.cutOff).toBe(true);
  });

  test('damaged lengths are refused, never read past', async () => {
    const good = await batchAt(0, records(20));
    let refused = 0;
    for (let at = 61; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at] = 0xfe;
      const outcome = await decodeAll(bad).catch((error) => error);
      if (outcome instanceof FatalError) {
        expect(outcome.code).toBe('CORRUPT_BATCH');
        refused++;
      } else {
        for (const batch of outcome as RecordBatch[]) {
          for (let i = 0; i < batch.count; i++) {
            expect(batch.valueEnd[i]!).toBeLessThanOrEqual(bad.length);
          }
        }
      }
    }
    expect(refused).toBeGreaterThan(0);
  });

  test('a count that the bytes can not hold is refused before memory is taken for it', async () => {
    const bytes = await batchAt(0, records(2));
    bytes.writeInt32BE(0x7fff_ffff, 57);
    await expect(decodeAll(bytes)).rejects.toMatchObject({ code: 'CORRUPT_BATCH' });
  });

  test('the format of Kafka 0.10 and older is refused by name', async () => {
    const bytes = await batchAt(0, records(1));
    bytes[16] = 1;
    expect(() => openRecordSet(bytes, 0, [])).toThrowError(
      expect.objectContaining({ code: 'KAFKA_OLD_FORMAT' }),
    );
  });

  test('an offset past 2^53 is refused', async () => {
    const bytes = await batchAt(0, records(1));
    bytes.writeBigInt64BE(2n ** 60n, 0);
    expect(() => openRecordSet(bytes, 0, [])).toThrowError(
      expect.objectContaining({ code: 'OFFSET_TOO_LARGE' }),
    );
  });
});

describe('record queue', () => {
  test('reading from inside a batch leaves out what is before', async () => {
    const bytes = await batchAt(10, records(5));
    const found = await decodeAll(bytes, 13);
    expect(plain(found).map(({ offset }) => offset)).toEqual([13, 14]);
    expect(found[0]?.nextOffset).toBe(15);
  });

  test('batches of single records come as one, large ones in pieces of at most 4096', async () => {
    const singles = await Promise.all(
      Array.from({ length: 300 }, (_, i) => batchAt(i, records(1))),
    );
    const merged = await decodeAll(Buffer.concat(singles));
    expect(merged.map(({ count }) => count)).toEqual([300]);
    const pieces = await decodeAll(await batchAt(0, records(10_000)));
    expect(pieces.map(({ count }) => count)).toEqual([4096, 4096, 1808]);
    expect(pieces.map(({ nextOffset }) => nextOffset)).toEqual([4096, 8192, 10_000]);
    expect(pieces[0]?.bytes).toBe(pieces[1]?.bytes);
    expect(plain(pieces).map(({ offset }) => offset)).toEqual(
      Array.from({ length: 10_000 }, (_, i) => i),
    );
  });

  test('a RecordBatch holds about a mebibyte at most, and at least one record', async () => {
    const large = Array.from({ length: 12 }, () => ({ key: null, value: Buffer.alloc(300_000) }));
    const found = await decodeAll(await batchAt(0, large));
    expect(Math.max(...found.map(({ count }) => count))).toBeLessThanOrEqual(4);
    expect(plain(found)).toHaveLength(12);
    const huge = await decodeAll(await batchAt(0, [{ key: null, value: Buffer.alloc(3_000_000) }]));
    expect(huge.map(({ count }) => count)).toEqual([1]);
  });

  test('memory is given back once all of an answer was handed over, or dropped', async () => {
    const bytes = await batchAt(0, records(5000));
    for (const drop of [false, true]) {
      let released = 0;
      const set = openRecordSet(bytes, 0, []);
      const queue = new RecordQueue({ topic: 't', partition: 0 }, 0);
      const runs = await openRuns(bytes, set);
      queue.push({ runs, nextOffset: set.nextOffset, release: () => released++ });
      queue.take(0);
      expect(released).toBe(0);
      if (drop) queue.clear();
      else queue.take(0);
      expect(released).toBe(1);
      expect(queue.take(0)).toBeNull();
    }
  });

  test('what counts for nothing still moves on where to read', () => {
    const queue = new RecordQueue({ topic: 't', partition: 0 }, 5);
    queue.push({ runs: [], nextOffset: 9, release() {} });
    expect(queue.take(9)).toBeNull();
    expect(queue.nextOffset).toBe(9);
  });
});
