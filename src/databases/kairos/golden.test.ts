/** Bytes that a real KairosDB wrote (test/golden/kairos/record.ts says how), against ours. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { columnOf, decodeColumn, encodeColumn, rowTimeOf, timestampOf } from './column.ts';
import { decodeRowKey, encodeRowKey } from './row-key.ts';
import { parseRowSpec } from './row-spec.ts';
import { sortTags } from './tag-string.ts';
import { decodeValue, encodeValue, type KairosValue, typeOfValue } from './value.ts';

interface GoldenCase {
  readonly name: string;
  readonly metric: string;
  readonly tags: [string, string][];
  readonly type: 'long' | 'double' | 'string';
  /** Values as JSON texts. */
  readonly points: [timestampMs: number, value: string][];
  readonly rowKeys: { rowTimeMs: number; type: string; tags: [string, string][]; value: null }[];
  readonly cells: { key: string; column: string; value: string }[];
}

const golden = JSON.parse(
  readFileSync(new URL('../../../test/golden/kairos/rows-1.3.0.json', import.meta.url), 'utf8'),
) as { version: string; cases: GoldenCase[] };
const spec = parseRowSpec('MILLISECONDS', '1814400000');

const parseValue = (type: GoldenCase['type'], text: string): KairosValue =>
  type === 'long' ? BigInt(text) : type === 'double' ? Number(text) : (JSON.parse(text) as string);

describe(`what ${golden.version} wrote`, () => {
  test('every kind of case was recorded', () => {
    expect(golden.cases.length).toBe(8);
    for (const { cells, points, rowKeys } of golden.cases) {
      expect(cells.length).toBe(points.length);
      expect(rowKeys.length).toBeGreaterThan(0);
    }
  });

  test.each(golden.cases)(
    'is what we write: $name',
    ({ metric, tags, type, points, cells, rowKeys }) => {
      const sorted = sortTags(tags);
      const ours = points.map(([timestampMs, text]) => {
        const value = parseValue(type, text);
        const rowTimeMs = rowTimeOf(spec, timestampMs);
        const key = { metric, rowTimeMs, type: typeOfValue(value), tags: sorted };
        return {
          key: encodeRowKey(key).toString('hex'),
          column: encodeColumn(columnOf(spec, rowTimeMs, timestampMs)).toString('hex'),
          value: encodeValue(value).toString('hex'),
        };
      });
      ours.sort((a, b) => (a.key + a.column < b.key + b.column ? -1 : 1));
      expect(ours).toEqual(cells);
      // Cassandra keeps the entries of a frozen map in byte order, whatever order they were sent in.
      for (const rowKey of rowKeys) expect(sortTags(rowKey.tags)).toEqual(sorted);
    },
  );

  test.each(golden.cases)('is what we read: $name', ({ metric, tags, type, points, cells }) => {
    const read = cells.map((cell) => {
      const row = decodeRowKey(Buffer.from(cell.key, 'hex'));
      expect(row.metric).toBe(metric);
      expect(row.tags).toEqual(sortTags(tags));
      const column = decodeColumn(Buffer.from(cell.column, 'hex'));
      const value = decodeValue(row.type, Buffer.from(cell.value, 'hex'));
      return [timestampOf(spec, row.rowTimeMs, column), value] as const;
    });
    const written = points.map(([time, text]) => [time, parseValue(type, text)] as const);
    const byTime = (a: readonly [number, unknown], b: readonly [number, unknown]) => a[0] - b[0];
    expect([...read].sort(byTime)).toEqual([...written].sort(byTime));
  });
});
