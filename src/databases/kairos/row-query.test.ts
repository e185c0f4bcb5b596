/** How the keys of many row times are asked for. */
import { expect, test } from 'vitest';
import type { RowKey } from './row-key.ts';
import { findRows } from './row-query.ts';
import { DEFAULT_ROW_WIDTH_MS, parseRowSpec } from './row-spec.ts';
import type { RowKeyFilter, WideRows } from './wide-rows.ts';

const spec = parseRowSpec('MILLISECONDS', `${DEFAULT_ROW_WIDTH_MS}`);
const TIMES = Array.from({ length: 60 }, (_, i) => i * DEFAULT_ROW_WIDTH_MS);

/**
 * A store of so many series, each of which has all row times, that notes for how many times it is asked. It leaves out what
 * is not wanted.
 */
function storeOf(series: number) {
  const asked: number[] = [];
  const keysAt = (rowTimeMs: number): RowKey[] =>
    Array.from({ length: series }, (_, n) => ({
      ...{ metric: 'm', rowTimeMs, type: 'kairos_double' },
      tags: [['n', String(n)]],
    }));
  async function* rowKeysOfTimes(_metric: string, times: readonly number[], wanted?: RowKeyFilter) {
    asked.push(times.length);
    if (wanted === undefined) yield times.flatMap(keysAt);
    else wanted.mostOfOneTime = Math.max(wanted.mostOfOneTime, series);
  }
  const rows: Partial<WideRows> = {
    async *legacyRowKeys() {},
    async *rowTimes() {
      yield TIMES;
    },
    rowKeys: (metric, rowTimeMs, wanted) => rowKeysOfTimes(metric, [rowTimeMs], wanted),
    rowKeysOfTimes,
  };
  return { asked, rows: rows as WideRows };
}

test.each([
  [1, [...Array(8).fill(1), 16, 16, 16, 4]],
  [100, [...Array(8).fill(1), ...Array(10).fill(5), 2]],
  [300, Array(60).fill(1)],
])(
  'of %i series behind the first eight row times as many are asked for together as have few keys',
  async (series, requests) => {
    const { asked, rows } = storeOf(series);
    const found: number[] = [];
    const range = { fromMs: 0, toMs: Infinity };
    for await (const page of findRows(rows, spec, { metric: 'm', ...range }))
      found.push(...page.map(({ row }) => row.rowTimeMs));
    expect(asked).toEqual(requests);
    expect(found).toEqual(TIMES.flatMap((time) => Array(series).fill(time)));

    // Those that the store leaves out count as well.
    asked.length = 0;
    const tags = new Map([['n', { values: new Set(['none']) }]]);
    for await (const page of findRows(rows, spec, { metric: 'm', ...range, tags }))
      expect(page).toEqual([]);
    expect(asked).toEqual(requests);
  },
);
