/** Answers are held to a real KairosDB in test/golden/kairos-query. Here: what they cost, and what ends them. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { parseQuery } from './parse/query.ts';
import { pageOf, type StoredPoint } from './point-page.suite.ts';
import { runQuery } from './run-query.ts';
import type { SeriesStore, StoredRow } from './store.ts';

const PAGE_POINTS = 1_000;

/** One series without end: each row holds 10,000 points, a millisecond apart, made as they are read. */
function storeOf(
  rows: number,
  made = (timestampMs: number): StoredPoint['value'] => timestampMs % 7,
) {
  const rowSpanMs = 10_000;
  const read = { pages: 0 };
  const store: SeriesStore = {
    spec: { rowSpanMs },
    async *findRows({ metric }) {
      yield Array.from(
        { length: rows },
        (_, i): StoredRow => ({
          row: { metric, rowTimeMs: i * rowSpanMs, type: 'kairos_double', tags: [['host', 'a']] },
        }),
      );
    },
    async *readRow({ row }, { limit = Number.POSITIVE_INFINITY }) {
      for (let from = 0; from < Math.min(rowSpanMs, limit); from += PAGE_POINTS) {
        read.pages++;
        const length = Math.min(PAGE_POINTS, limit - from);
        yield pageOf(
          Array.from({ length }, (_, i) => {
            const timestampMs = row.rowTimeMs + from + i;
            return { timestampMs, value: made(timestampMs) };
          }),
        );
      }
    },
  };
  return { store, read };
}

const ask = async (store: SeriesStore, metric: object) => {
  const metrics = [{ name: 'm', ...metric }];
  const text = JSON.stringify({ start_absolute: 0, time_zone: 'UTC', metrics });
  const { parts } = await runQuery(store, parseQuery(text, Date.UTC(2024, 0, 1)));
  return JSON.parse(parts.join('')).queries[0];
};
const sum = { name: 'sum', sampling: { value: 1, unit: 'minutes' } };

test('the store works for the groups that follow, up to so many rows, however few a group has', async () => {
  const open = { now: 0, most: 0 };
  const { store } = storeOf(1);
  const many: SeriesStore = {
    ...store,
    async *findRows({ metric }) {
      yield Array.from(
        { length: 300 },
        (_, n): StoredRow => ({
          row: { metric, rowTimeMs: 0, type: 'kairos_double', tags: [['host', `h${n}`]] },
        }),
      );
    },
    async *readRow() {
      open.most = Math.max(open.most, ++open.now);
      await nextTurn();
      yield pageOf([{ timestampMs: 1, value: 1 }]);
      open.now--;
    },
  };
  const answer = await ask(many, { group_by: [{ name: 'tag', tags: ['host'] }] });
  expect(answer.results).toHaveLength(300);
  expect(open).toEqual({ now: 0, most: 64 });
});

test('other work has its turn while a query runs over data at hand', async () => {
  let turns = 0;
  let running = true;
  const others = (async () => {
    for (; running; turns++) await nextTurn();
  })();
  const { sample_size: size } = await ask(storeOf(10).store, { aggregators: [sum] });
  running = false;
  await others;
  expect(size).toBe(100_000);
  expect(turns).toBeGreaterThanOrEqual(15);
});

describe('a limit', () => {
  test('holds for each stored row and for the group, and the sample size tells the former', async () => {
    const { store, read } = storeOf(3);
    const answer = await ask(store, { limit: 5 });
    expect(answer.sample_size).toBe(15);
    expect(answer.results[0].values).toHaveLength(5);
    expect(read.pages).toBe(3);
  });

  test('below zero is refused', async () => {
    await expect(ask(storeOf(1).store, { limit: -1 })).rejects.toThrow('limit must be');
  });
});

test('of several groups that fail, the first in the answer says why', async () => {
  const { store } = storeOf(1, (timestampMs) => (timestampMs < 3 ? timestampMs : Number.NaN));
  const failing = ask(store, { group_by: [{ name: 'value', range_size: 1 }] });
  await expect(failing).rejects.toThrow(
    'NaN or Infinity:NaN data point=DoubleDataPoint{m_value=NaN, m_timestamp=3}',
  );
});

test('what a store throws comes out as it is', async () => {
  const { store } = storeOf(1);
  const broken: SeriesStore = {
    ...store,
    readRow: () => {
      throw new Error('disk gone');
    },
  };
  await expect(ask(broken, {})).rejects.toThrow('disk gone');
});
