import fc from 'fast-check';
import { Partitioners } from 'kafkajs';
import { expect, test } from 'vitest';
import { murmur2, partitionOfKey } from './partitioner.ts';

// From Kafka's UtilsTest.testMurmur2 (Java).
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])("murmur2 of %j is Kafka's", (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash);
});

test('an empty key has a partition of its own right', () => {
  expect(partitionOfKey(Buffer.alloc(0), 7)).toBe((murmur2(Buffer.alloc(0)) & 0x7fffffff) % 7);
});

test("every key goes where kafkajs' default partitioner sends it", () => {
  const choose = Partitioners.DefaultPartitioner();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 1, max: 50 }), (key, count) => {
      const bytes = Buffer.from(key);
      const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
        partitionId,
        leader: 0,
        partitionErrorCode: 0,
        replicas: [],
        isr: [],
        offlineReplicas: [],
      }));
      const chosen = choose({
        topic: 't',
        partitionMetadata,
        message: { key: bytes, value: null },
      });
      expect(partitionOfKey(bytes, count)).toBe(chosen);
    }),
  );
});
