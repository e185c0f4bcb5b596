import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PoisonError } from '../../../model/index.ts';
import { PointsDraft, recordOf } from './draft.ts';
import { readPackedPoints } from './read-points.ts';

const points = fc.array(
  fc.record({
    metric: fc.constantFrom('m', 'löng.name'),
    tags: fc.constantFrom({ host: 'a' }, { host: 'b', dc: 'x=y' }),
    timestampMs: fc.integer({ min: -1_000, max: 4_000_000_000_000 }),
    value: fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.double({ noNaN: true }),
      fc.string({ maxLength: 30, unit: 'grapheme' }),
    ),
    ttlSeconds: fc.constantFrom(0, 0, 60),
  }),
  { maxLength: 60 },
);

function recordWith(given: Parameters<PointsDraft['add']>[0][]): Buffer {
  const draft = new PointsDraft({
    partitions: 1,
    partitionOf: () => 0,
    nowMs: () => 0,
    nonFinite: 'store',
  });
  for (const point of given) expect(draft.add(point)).toBeUndefined();
  return recordOf(draft.take());
}

test('reading packed points undoes packing them', () => {
  fc.assert(
    fc.property(points, (given) => {
      expect(readPackedPoints(recordWith(given))).toEqual(given);
    }),
  );
});

test('a record that was cut gives no point', () => {
  const whole = recordWith([{ metric: 'm', tags: { host: 'a' }, timestampMs: 1, value: 'text' }]);
  for (let length = 6; length < whole.length; length++) {
    expect(() => readPackedPoints(whole.subarray(0, length))).toThrow(PoisonError);
  }
});
