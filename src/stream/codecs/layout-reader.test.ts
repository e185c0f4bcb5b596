import { expect, test } from 'vitest';
import { ByteDictionary, viewOf } from '../dictionary.ts';
import { integer, text } from './fields.ts';
import { layoutReader } from './layout-reader.ts';
import { type FieldTarget, RecordParser } from './record-parser.ts';

const COUNT = 4;

const targets = (): FieldTarget[] => {
  const cells = () => ({
    numbers: new Float64Array(COUNT),
    codes: new Int32Array(COUNT),
    dictionary: new ByteDictionary(),
  });
  const host = text({ maxBytes: 9 });
  const number = { isText: false, isWhole: true, min: 0, max: 99, ...cells() };
  return [
    { name: 'host', field: host, isText: true, isWhole: false, min: 0, max: 0, ...cells() },
    { name: 'requests', field: integer({ min: 0, max: 99 }), ...number, ...cells() },
    {
      name: 'failures',
      field: integer({ min: 0, max: 99, optional: true }),
      ...number,
      ...cells(),
    },
  ];
};

/** Reads records after a layout was learned from `usual`; gives the calls to `readOn`. */
function readingOn(usual: string, records: readonly string[]) {
  const into = targets();
  const parser = new RecordParser(into);
  parser.from(viewOf(Buffer.from(usual)));
  expect(parser.parse(0, 0, usual.length)).toBe(true);
  const reader = layoutReader(parser.layout(), into);
  const bytes = Buffer.from(records.join(''));
  let end = 0;
  const ends = Int32Array.from(records, (record) => {
    end += record.length;
    return end;
  });
  const starts = Int32Array.from(ends, (at, i) => at - (records[i] as string).length);
  const calls: unknown[] = [];
  reader?.(viewOf(bytes), into, starts, ends, records.length, (row, at, _, state, seen) => {
    calls.push({ row, at: at - (starts[row] as number), state, seen });
  });
  return { calls, into };
}

const usual = '{"host":"a","requests":12,"failures":3}';

test('records of the layout are read without help, with or without the optional fields at its end', () => {
  const { calls, into } = readingOn(usual, [usual, '{"host":"a","requests":7}', usual]);
  expect(calls).toEqual([]);
  expect(into[1]?.numbers.slice(0, 3)).toEqual(Float64Array.of(12, 7, 12));
  expect(into[2]?.numbers.slice(0, 3)).toEqual(Float64Array.of(3, 0, 3));
});

test('a record that differs is handed on from the gap before the difference', () => {
  const { calls } = readingOn(usual, [
    '{"host":"b","requests":12,"failures":3}',
    '{"host":"a","failures":3,"requests":12}',
    '{"host":"a","requests":100,"failures":3}',
    '{"host":"a","requests":12,"failures":3 }',
  ]);
  expect(calls).toEqual([
    { row: 0, at: 0, state: 3, seen: 0b000 },
    { row: 1, at: 11, state: 0, seen: 0b001 },
    { row: 2, at: 11, state: 0, seen: 0b001 },
    { row: 3, at: 38, state: 2, seen: 0b111 },
  ]);
});

test('the same layout has the same reader; without a layout there is none', () => {
  const parser = new RecordParser(targets());
  expect(layoutReader(parser.layout(), targets())).toBeUndefined();
  parser.from(viewOf(Buffer.from(usual)));
  parser.parse(0, 0, usual.length);
  expect(layoutReader(parser.layout(), targets())).toBe(layoutReader(parser.layout(), targets()));
});
