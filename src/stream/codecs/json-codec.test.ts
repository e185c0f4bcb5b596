import { expect, test } from 'vitest';
import { recordBatchOf } from '../record-batch.ts';
import { jsonCodec } from './index.ts';

const batchOf = (values: readonly (string | null)[]) =>
  recordBatchOf(
    'any',
    0,
    values.map((value, offset) => ({ key: null, value, offset, timestamp: 1_000 + offset })),
  );

interface Reading {
  readonly host: string;
  readonly at: number;
  readonly load?: number;
}

test('rows are what JSON.parse gives, their time is the field that was named', () => {
  const codec = jsonCodec<Reading>({ timestamp: 'at' });
  const readings = [
    { host: 'a', at: 5, load: 0.5 },
    { host: 'b', at: 6 },
  ];
  const decoded = codec.createDecoder().decode(batchOf(readings.map((r) => `${codec.encode(r)}`)));
  expect([decoded.row(0), decoded.row(1)]).toEqual(readings);
  expect(decoded.timestamps).toEqual(Float64Array.of(5, 6));
  expect(decoded.selected).toBeUndefined();
  expect(Object.keys(decoded.columns)).toEqual(['host', 'at', 'load']);
  expect(decoded.columns.load).toEqual(Float64Array.of(0.5, Number.NaN));
  expect(decoded.columns.host).toMatchObject({ codes: Int32Array.of(0, 1) });
});

test('without a time field it is the time of the log', () => {
  const decoded = jsonCodec<number>()
    .createDecoder()
    .decode(batchOf(['1', '[2]']));
  expect(decoded.timestamps).toEqual(Float64Array.of(1_000, 1_001));
  expect([decoded.row(0), decoded.row(1)]).toEqual([1, [2]]);
});

test('records that are no JSON or lack a time are rejected, the others decode', () => {
  const decoded = jsonCodec<Reading>({ timestamp: 'at' })
    .createDecoder()
    .decode(
      batchOf(['x', '{"host":"a","at":1}', '{"at":"1"}', null, 'null', '{"host":"b","at":2}']),
    );
  expect(decoded.selected).toEqual(Int32Array.of(1, 5));
  expect(decoded.rejects.map(({ row, code }) => [row, code])).toEqual([
    [0, 'NOT_JSON'],
    [2, 'FIELD_INVALID'],
    [3, 'NOT_JSON'],
    [4, 'FIELD_INVALID'],
  ]);
  expect(decoded.rejects[1]?.message).toBe(
    'at: expected milliseconds since the epoch as a number, got "1"',
  );
  expect(decoded.columns.host).toMatchObject({ codes: Int32Array.of(-1, 0, -1, -1, -1, 1) });
});

test('a field seen before has a column of absent cells in a batch without it', () => {
  const decoder = jsonCodec<Reading>({ timestamp: 'at' }).createDecoder();
  decoder.decode(batchOf(['{"at":1,"load":2}']));
  const { columns } = decoder.decode(batchOf(['{"at":1}']));
  expect(columns.load).toEqual(Float64Array.of(Number.NaN));
});

test('a column of mixed values is text, of what is no text its JSON', () => {
  const { columns } = jsonCodec()
    .createDecoder()
    .decode(batchOf(['{"v":1}', '{"v":"1"}', '{"v":[2]}', '{"v":null}', '{}']));
  const { codes, dictionary } = columns.v as {
    codes: Int32Array;
    dictionary: { text(code: number): string };
  };
  expect(codes).toEqual(Int32Array.of(0, 0, 1, -1, -1));
  expect([0, 1].map((code) => dictionary.text(code))).toEqual(['1', '[2]']);
});

test('a field that no record has had yet reads as absent, so that one odd record stops no topology', () => {
  const decoded = jsonCodec()
    .createDecoder()
    .decode(batchOf(['{"other":1}', '"text"']));
  expect(decoded.columns.host).toBeUndefined();
  expect(decoded.absent?.()).toEqual(Float64Array.of(Number.NaN, Number.NaN));
});
