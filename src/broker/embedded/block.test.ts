import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BLOCK_BYTES_MAX,
  BLOCK_RECORDS_MAX,
  BlockBuilder,
  type BlockHeader,
  columnsOf,
  decodeRows,
  openBlock,
  rowAt,
  rowsWithin,
} from './block.ts';

interface Row {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

function encode(rows: readonly Row[], base = rows[0]?.offset ?? 0, next?: number): Buffer {
  const builder = new BlockBuilder(base);
  for (const { offset, timestamp, key, value } of rows) builder.add(offset, timestamp, key, value);
  return builder.finish(next ?? (rows.at(-1)?.offset ?? base) + 1);
}

const opened = (block: Buffer) => openBlock(block) as BlockHeader;

function decode(bytes: Buffer, start: number, first: number, rows: number): Row[] {
  const columns = columnsOf(rows);
  decodeRows(bytes, start, first, rows, columns, 0);
  const slice = (from = -1, to = -1) =>
    from === -1 ? null : Buffer.from(bytes.subarray(from, to));
  return Array.from({ length: rows }, (_, i) => ({
    offset: columns.offsets[i] as number,
    timestamp: columns.timestamps[i] as number,
    key: slice(columns.keyStart[i], columns.keyEnd[i]),
    value: slice(columns.valueStart[i], columns.valueEnd[i]),
  }));
}

/** The layout in the file's comment, byte for byte. */
test('a block of one record has the bytes drawn above its codec', () => {
  const block = encode([
    { offset: 7, timestamp: 1000, key: Buffer.from('k'), value: Buffer.from('v1') },
  ]);
  expect(block.toString('hex')).toBe(
    '544d4231679a77f30000000000001c4000000000000020400000000000408f4001000000000000000200000003000000' +
      '6b7631',
  );
});

test('a compacted block with gaps, two times and nulls has its two more columns', () => {
  const block = encode(
    [
      { offset: 3, timestamp: 1, key: null, value: Buffer.alloc(0) },
      { offset: 5, timestamp: 2, key: Buffer.from('k'), value: null },
    ],
    2,
    9,
  );
  expect(block.subarray(8).toString('hex')).toBe(
    [
      '0000000000000040', // base 2
      '0000000000002240', // next 9
      '000000000000f03f', // timestamp of the first
      '02000000', // two records
      '03000000', // offset and timestamp columns
      '00000000', // no key
      '02000000', // key of one byte
      '01000000', // empty value
      '00000000', // no value
      '01000000', // offset 2 + 1
      '03000000', // offset 2 + 3
      '000000000000f03f', // 1 ms
      '0000000000000040', // 2 ms
      '6b', // k
    ].join(''),
  );
});

const bytes = fc.option(fc.uint8Array({ maxLength: 40 }).map((all) => Buffer.from(all)));
const rows = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(), bytes, bytes), { maxLength: 40 })
  .map((all) => {
    let offset = 2 ** 40;
    return all.map(([gap, timestamp, key, value]): Row => {
      offset += gap;
      return { offset, timestamp, key, value };
    });
  });

test('decoding gives back what was added, wherever the block lies and whatever row one starts at', () => {
  fc.assert(
    fc.property(rows, fc.nat(17), fc.nat(40), (all, padding, from) => {
      const block = encode(all);
      const header = opened(block);
      expect(header.count).toBe(all.length);
      const first = Math.min(from, all.length);
      const shifted = Buffer.concat([Buffer.alloc(padding), block]);
      expect(decode(shifted, padding, first, all.length - first)).toEqual(all.slice(first));
    }),
  );
});

test('rowAt finds the first row at or after an offset, also where offsets have gaps', () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: -2, max: 130 }), (all, distance) => {
      const block = encode(all);
      const from = 2 ** 40 + distance;
      const expected = all.findIndex(({ offset }) => offset >= from);
      expect(rowAt(block, opened(block), from)).toBe(expected === -1 ? all.length : expected);
    }),
  );
});

test('one changed byte anywhere makes a block unreadable', () => {
  const block = encode([
    { offset: 0, timestamp: 5, key: Buffer.from('key'), value: Buffer.from('value') },
    { offset: 1, timestamp: 5, key: null, value: Buffer.from('more') },
  ]);
  expect(openBlock(block)).toBeDefined();
  for (let at = 0; at < block.length; at++) {
    const broken = Buffer.from(block);
    broken[at] = (broken[at] as number) ^ 0x10;
    expect(openBlock(broken)).toBeUndefined();
  }
  for (let length = 0; length < block.length; length++)
    expect(openBlock(block.subarray(0, length))).toBeUndefined();
});

test('rowsWithin takes at least one row and no more than fit', () => {
  const block = encode(
    Array.from({ length: 10 }, (_, offset) => ({
      offset,
      timestamp: 0,
      key: null,
      value: Buffer.alloc(100),
    })),
  );
  const header = opened(block);
  expect(rowsWithin(block, header, 0, 1)).toBe(1);
  expect(rowsWithin(block, header, 0, 108 * 3)).toBe(3);
  expect(rowsWithin(block, header, 8, 1e9)).toBe(2);
});

test('a builder is full at its bytes or at its records', () => {
  const byBytes = new BlockBuilder(0);
  byBytes.add(0, 0, null, 'x'.repeat(BLOCK_BYTES_MAX));
  expect(byBytes.full).toBe(true);
  const byRecords = new BlockBuilder(0);
  for (let i = 0; i < BLOCK_RECORDS_MAX; i++) {
    expect(byRecords.full).toBe(false);
    byRecords.add(i, 0, null, null);
  }
  expect(byRecords.full).toBe(true);
});

test('texts are stored as UTF-8', () => {
  const builder = new BlockBuilder(0);
  builder.add(0, 0, 'schlüssel', '値🌊');
  const block = builder.finish(1);
  expect(openBlock(block)).toBeDefined();
  expect(decode(block, 0, 0, 1)[0]).toMatchObject({
    key: Buffer.from('schlüssel'),
    value: Buffer.from('値🌊'),
  });
});
