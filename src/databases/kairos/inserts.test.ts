import { expect, test } from 'vitest';
import { batchOfInserts, INSERTS_MAX, insertsFor } from './inserts.ts';
import { statements } from './statements.ts';

test('few sizes of batches have room for every number of them, with little of it to spare', () => {
  const counts = Array.from({ length: INSERTS_MAX }, (_, i) => i + 1);
  const sizes = new Set(counts.map(insertsFor));
  expect([...sizes]).toEqual([
    1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128,
  ]);
  for (const count of counts) {
    expect(insertsFor(count)).toBeGreaterThanOrEqual(count);
    expect(insertsFor(count)).toBeLessThan(count * 1.5);
  }
});

test('a batch is as many INSERTs, in one statement', () => {
  const text = batchOfInserts(statements.writeCell, 3);
  expect(text.split(statements.writeCell)).toEqual([
    'BEGIN UNLOGGED BATCH ',
    '; ',
    '; ',
    '; APPLY BATCH',
  ]);
  expect(batchOfInserts(statements.writeRowKey, 3)).not.toBe(text);
  expect(batchOfInserts(statements.writeCell, 3)).toBe(text);
});
