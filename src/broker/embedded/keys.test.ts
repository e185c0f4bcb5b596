import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  afterPrefix,
  blockKey,
  decodeEntry,
  encodeEntry,
  partitionKey,
  STATE_KEY_BYTES_MAX,
  timeKey,
  timeOfKey,
} from './keys.ts';

const offset = fc.maxSafeNat();

test('block keys sort as partitions and offsets do', () => {
  const place = fc.tuple(fc.nat(70_000), fc.nat(300), offset);
  fc.assert(
    fc.property(place, place, (a, b) => {
      const key = ([topic, partition, base]: [number, number, number]) =>
        blockKey(partitionKey(topic, partition), base);
      const order = a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
      expect(Math.sign(Buffer.compare(key(a), key(b)))).toBe(Math.sign(order));
    }),
  );
});

test('time keys sort by time, then offset, and give both back', () => {
  const place = fc.tuple(offset, offset);
  const partition = partitionKey(1, 2);
  fc.assert(
    fc.property(place, place, (a, b) => {
      const order = a[0] - b[0] || a[1] - b[1];
      const [first, second] = [timeKey(partition, ...a), timeKey(partition, ...b)];
      expect(Math.sign(Buffer.compare(first, second))).toBe(Math.sign(order));
      expect(timeOfKey(first)).toEqual({ timestampMs: a[0], base: a[1] });
    }),
  );
});

test('afterPrefix is above every key of the prefix and not above the next prefix', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 6 }),
      fc.uint8Array({ maxLength: 8 }),
      (prefix, rest) => {
        const end = afterPrefix(Buffer.from(prefix));
        expect(Buffer.compare(Buffer.concat([prefix, rest]), end)).toBe(-1);
      },
    ),
  );
  expect(afterPrefix(Buffer.from([1, 2]))).toEqual(Buffer.from([1, 3]));
  expect(afterPrefix(Buffer.from([1, 0xff]))).toEqual(Buffer.from([2]));
});

test('a state entry comes back from its stored form, however long its key', () => {
  const key = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc
      .constantFrom(STATE_KEY_BYTES_MAX, STATE_KEY_BYTES_MAX + 1, 5_000)
      .map((n) => Buffer.alloc(n, 7)),
  );
  fc.assert(
    fc.property(key, fc.uint8Array({ maxLength: 50 }), (keyBytes, valueBytes) => {
      const [key, value] = [Buffer.from(keyBytes), Buffer.from(valueBytes)];
      const stored = encodeEntry(3, key, value);
      expect(stored.key.length).toBeLessThanOrEqual(1978);
      expect(decodeEntry(stored.key, stored.value as Buffer)).toEqual({ key, value });
      expect(encodeEntry(3, key, null)).toEqual({ key: stored.key, value: null });
    }),
  );
});
