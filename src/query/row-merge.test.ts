import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ColumnPool, type Columns } from './column-pool.ts';
import { pageOf, type StoredPoint } from './point-page.suite.ts';
import { mergeRows } from './row-merge.ts';
import type { PointPage, RowReadOptions, SeriesStore, StoredRow } from './store.ts';
import { Turns } from './turns.ts';

const SPAN_MS = 100;

interface TestRow extends StoredRow {
  readonly points: readonly StoredPoint[];
}

const rowOf = (rowTimeMs: number, times: readonly [number, number][], pad = 0): TestRow => ({
  row: { metric: 'm', rowTimeMs, type: 'kairos_double', tags: [['pad', String(pad)]] },
  points: times
    .map(([offset, value]) => ({ timestampMs: rowTimeMs + offset, value }))
    .sort((a, b) => a.timestampMs - b.timestampMs),
});

/** Counts the rows that are open at once. Rows `isAtHand` says yes to are read without waiting. */
function storeOf(pagePoints: number, isAtHand: (row: StoredRow) => boolean = () => false) {
  const open = { now: 0, most: 0 };
  function* pages(row: StoredRow, options: RowReadOptions): Generator<PointPage> {
    const { order, limit, columns } = options;
    open.most = Math.max(open.most, ++open.now);
    try {
      const all = (row as TestRow).points;
      const ordered = (order === 'descending' ? all.toReversed() : all).slice(0, limit);
      for (let i = 0; i < ordered.length; i += pagePoints)
        yield pageOf(ordered.slice(i, i + pagePoints), columns);
    } finally {
      open.now--;
    }
  }
  const store: SeriesStore = {
    spec: { rowSpanMs: SPAN_MS },
    async *findRows() {},
    async *readRow(row, options) {
      yield* pages(row, options);
    },
    readRowAtHand: (row, options) => (isAtHand(row) ? pages(row, options) : undefined),
  };
  return { store, open };
}

/** Whoever reads columns that went back reads no numbers. */
class SpoilingPool extends ColumnPool {
  override giveBack(columns: Columns): void {
    columns.times.fill(Number.NaN);
    columns.numbers.fill(Number.NaN);
    super.giveBack(columns);
  }
}

const rows = fc.array(
  fc
    .tuple(
      fc.integer({ min: -3, max: 5 }),
      fc.uniqueArray(
        fc.tuple(fc.integer({ min: 0, max: SPAN_MS - 1 }), fc.integer({ min: 0, max: 3 })),
        {
          maxLength: 12,
          selector: ([offset]) => offset,
        },
      ),
    )
    .map(([row, times]) => rowOf(row * SPAN_MS, times)),
  { maxLength: 8 },
);

test('rows in any pages come out as one sorted stream, in either order, point by point or as columns', async () => {
  await fc.assert(
    fc.asyncProperty(
      rows,
      fc.constantFrom('ascending' as const, 'descending' as const),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      fc.func(fc.boolean()),
      async (given, order, pagePoints, inColumns, isAtHand) => {
        const { store, open } = storeOf(pagePoints, ({ row }) => isAtHand(row.rowTimeMs));
        const seen: StoredPoint[] = [];
        const announced = new Set<StoredRow>();
        const options = {
          ...{ fromMs: 0, toMs: 1, order, limit: undefined },
          turns: new Turns(),
          columns: new SpoilingPool(),
        };
        await mergeRows(store, given, options, {
          row: (row) => announced.add(row),
          point: (timestampMs, value) => seen.push({ timestampMs, value }),
          numbers: inColumns
            ? ({ times, numbers, count }) => {
                for (let i = 0; i < count; i++) {
                  seen.push({ timestampMs: times[i] as number, value: numbers[i] as number });
                }
              }
            : undefined,
        });
        const all = given.flatMap(({ points }) => points);
        const sign = order === 'ascending' ? 1 : -1;
        const byTimeAndValue = (a: StoredPoint, b: StoredPoint) =>
          sign * (a.timestampMs - b.timestampMs || Number(a.value) - Number(b.value));
        expect(seen).toEqual(all.toSorted(byTimeAndValue));
        expect(announced).toEqual(new Set(given.filter(({ points }) => points.length > 0)));
        expect(open.now).toBe(0);
      },
    ),
  );
});

test.each([
  ['waited for', false],
  ['at hand', true],
])('rows whose last pages are here go at once, whenever each ends: %s', async (_, areAtHand) => {
  const { store } = storeOf(10, () => areAtHand);
  const given = Array.from({ length: 50 }, (_unused, i) =>
    rowOf(
      0,
      Array.from({ length: 10 }, (_point, k): [number, number] => [k * 5 + i, i]),
    ),
  );
  const counts: number[] = [];
  await mergeRows(
    store,
    given,
    { fromMs: 0, toMs: 1, order: 'ascending', limit: undefined, turns: new Turns() },
    { row: () => {}, point: () => {}, numbers: ({ count }) => counts.push(count) },
  );
  expect(counts).toEqual([500]);
});

test.each([
  ['waited for', false],
  ['at hand', true],
])('pages of a row have the columns of those before them: %s', async (_, areAtHand) => {
  const { store } = storeOf(1, () => areAtHand);
  const rooms = new Set<ArrayBufferLike>();
  const columns = new (class extends ColumnPool {
    override take(points: number): Columns {
      const taken = super.take(points);
      rooms.add(taken.times.buffer);
      return taken;
    }
  })();
  const times = Array.from({ length: 90 }, (_unused, i): [number, number] => [i, i]);
  let sum = 0;
  await mergeRows(
    store,
    [rowOf(0, times)],
    { fromMs: 0, toMs: 1, order: 'ascending', limit: undefined, turns: new Turns(), columns },
    {
      row: () => {},
      point: (_timestampMs, value) => {
        sum += Number(value);
      },
    },
  );
  expect(sum).toBe((89 * 90) / 2);
  // The page at hand, and the one that is asked for ahead.
  expect(rooms.size).toBeLessThanOrEqual(3);
});

const merged = async (store: SeriesStore, given: readonly StoredRow[]): Promise<number> => {
  let count = 0;
  const taker = { row: () => {}, point: () => count++ };
  const options = { fromMs: 0, toMs: 1, order: 'ascending', limit: undefined } as const;
  await mergeRows(store, given, { ...options, turns: new Turns() }, taker);
  return count;
};

const longRange = (rowTimes: number, pointsOfRow: number): TestRow[] => {
  const times = Array.from({ length: pointsOfRow }, (_, i): [number, number] => [
    (i * SPAN_MS) / pointsOfRow,
    i,
  ]);
  return Array.from({ length: rowTimes }, (_, i) => rowOf(i * SPAN_MS, times));
};

test.each([
  ['200 of few points, waited for: 128 are on their way', 200, 2, false, 129],
  ['20 of many points, waited for: eight are', 20, 10_000, false, 9],
  ['100 at hand, those of one time', 100, 2, true, 1],
])('a long range never holds all rows open: %s', async (_, rowTimes, points, areAtHand, most) => {
  const { store, open } = storeOf(10_000, () => areAtHand);
  expect(await merged(store, longRange(rowTimes, points))).toBe(rowTimes * points);
  expect(open.most).toBe(most);
});

test('rows are short when those before them had few points', async () => {
  const { store } = storeOf(10_000);
  const short: boolean[] = [];
  const asking: SeriesStore = {
    ...store,
    readRow(row, options) {
      short.push(options.isShort === true);
      return store.readRow(row, options);
    },
  };
  await merged(asking, longRange(20, 10));
  expect(short).toEqual(Array.from({ length: 20 }, (_, i) => i > 8));
  short.length = 0;
  await merged(asking, longRange(20, 200));
  expect(short).toEqual(Array(20).fill(false));
});

test('a page is as small as the rows of one time need it, not those of all', async () => {
  const { store } = storeOf(10_000);
  const asked = new Set<number | undefined>();
  const asking: SeriesStore = {
    ...store,
    readRow(row, options) {
      asked.add(options.pagePoints);
      return store.readRow(row, options);
    },
  };
  await merged(asking, longRange(1_000, 1));
  expect([...asked]).toEqual([5_000, 1_550]);
  asked.clear();
  const ofOneTime = Array.from({ length: 1_000 }, (_, pad) => rowOf(0, [[pad % SPAN_MS, 1]], pad));
  await merged(asking, ofOneTime);
  expect([...asked]).toEqual([200]);
});

test.each([
  ['waited for', false],
  ['at hand', true],
])(
  'a row that can not be read fails the merge and lets go of the others: %s',
  async (_, areAtHand) => {
    const { store, open } = storeOf(1, ({ row }) => areAtHand && row.tags[0]?.[1] !== '1');
    const broken: SeriesStore = {
      ...store,
      readRow(row, options) {
        if (row.row.tags[0]?.[1] !== '1') return store.readRow(row, options);
        return (async function* (): AsyncGenerator<PointPage> {
          yield pageOf([{ timestampMs: 5, value: 1 }]);
          throw new Error('gone');
        })();
      },
    };
    const three = [0, 1, 2].map((pad) =>
      rowOf(
        0,
        [
          [1, 1],
          [50, 2],
          [60, 3],
        ],
        pad,
      ),
    );
    const options = {
      fromMs: 0,
      toMs: 1,
      order: 'ascending',
      limit: undefined,
      turns: new Turns(),
    } as const;
    const taker = { row: () => {}, point: () => {} };
    await expect(mergeRows(broken, three, options, taker)).rejects.toThrow('gone');
    expect(open.now).toBe(0);
  },
);
