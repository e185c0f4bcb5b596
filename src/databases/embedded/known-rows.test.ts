import { expect, test } from 'vitest';
import { encodeRowKey } from '../kairos/row-key.ts';
import { KnownRows } from './known-rows.ts';

const bytesOf = (metric: string) =>
  Buffer.from(JSON.stringify([metric, 7, 'kairos_long', [['straße', 'ü']]])).toString('latin1');

test('a row is decoded once, with its key', () => {
  const rows = new KnownRows();
  const plain = {
    metric: 'm',
    rowTimeMs: 7,
    type: 'kairos_long',
    tags: [['straße', 'ü']] as const,
  };
  const row = rows.rowOf(bytesOf('m'));
  expect(row).toEqual(plain);
  expect(row.key).toEqual(encodeRowKey(plain));
  expect(rows.rowOf(bytesOf('m'))).toBe(row);
});

test('what is remembered is bounded', () => {
  const rows = new KnownRows();
  const first = rows.rowOf(bytesOf('m'));
  for (let n = 0; n < 17; n++) rows.rowOf(bytesOf('x'.repeat(2 ** 18) + n));
  expect(rows.rowOf(bytesOf('m'))).not.toBe(first);
  expect(rows.rowOf(bytesOf('m'))).toEqual(first);
});
