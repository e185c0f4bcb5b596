/** Reads through the cell cache, held against the store beneath: in peace, and while writes and deletes overtake them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Clock } from '../../../runtime/index.ts';
import { batchOf } from '../cell-batch.ts';
import { encodeColumn } from '../column.ts';
import { CellPacker, eachCell } from '../packed-cells.ts';
import type { RowTimeUnit } from '../row-spec.ts';
import type { CellRange } from '../wide-rows.ts';
import { CellCache } from './cell-cache.ts';

/** Columns of the tests: a cell each ten seconds of a row that starts at 0. */
const STEP = 10_000;
const COLUMNS = 61;
const MAX_AGE_MS = 600_000;
const SETTLED_MS = 120_000;
/** Cells of the last two minutes, and what is left of the minute before, are not settled. */
const NOW_MS = 505_000 + SETTLED_MS;
const SETTLED = 48;

const rowKey = (name: string, rowTimeMs = 0n): Buffer => {
  const time = Buffer.alloc(8);
  time.writeBigInt64BE(rowTimeMs);
  return Buffer.concat([Buffer.from(`${name}\0`), time, Buffer.from('\0\x0dkairos_doublehost=a:')]);
};
const KEYS = [rowKey('a'), rowKey('b')] as const;

type Turn = () => Promise<unknown>;
const atOnce: Turn = async () => {};

/** Cells in memory. Each page is made and sent at a time of `turn`'s choosing. */
class ModelStore {
  readonly cells = KEYS.map(() => new Map<number, string>());
  /** Every value that a cell has had, with the count of changes when it got it. */
  readonly history = KEYS.map(() => new Map<number, { change: number; value?: string }[]>());
  changes = 0;
  reads = 0;
  cellsRead = 0;
  turn = atOnce;

  set(row: number, column: number, value?: string): void {
    this.changes++;
    const cells = this.cells[row] as Map<number, string>;
    if (value === undefined) cells.delete(column);
    else cells.set(column, value);
    const history = this.history[row] as Map<number, { change: number; value?: string }[]>;
    const values = history.get(column) ?? [];
    values.push({ change: this.changes, ...(value === undefined ? {} : { value }) });
    history.set(column, values);
  }

  read = async function* (this: ModelStore, range: CellRange) {
    this.reads++;
    const row = KEYS.findIndex((key) => key.equals(range.key));
    const isDescending = range.order === 'descending';
    let first = range.first?.readUInt32BE(0) ?? 0;
    let last = range.last?.readUInt32BE(0) ?? 0xffff_ffff;
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    for (;;) {
      await this.turn();
      const cells = [...(this.cells[row] ?? [])]
        .filter(([column]) => column >= first && column <= last)
        .sort(([a], [b]) => (isDescending ? b - a : a - b))
        .slice(0, Math.min(left, range.pageCells ?? 5_000));
      if (cells.length === 0) return;
      const packer = new CellPacker();
      for (const [column, value] of cells) packer.add(column, Buffer.from(value), 0, value.length);
      await this.turn();
      const [end] = cells.at(-1) as [number, string];
      if (isDescending) last = end - 1;
      else first = end + 1;
      left -= cells.length;
      this.cellsRead += cells.length;
      yield packer.page;
      if (left <= 0 || first > last) return;
    }
  }.bind(this);
}

interface Options {
  readonly bytesMax?: number;
  readonly stretchCells?: number;
  readonly unit?: RowTimeUnit;
}

function opened({ bytesMax = 1e6, stretchCells = 1_000, unit = 'MILLISECONDS' }: Options = {}) {
  const store = new ModelStore();
  let nowMs = NOW_MS;
  const clock = { now: () => nowMs } as Clock;
  const config = { bytesMax, maxAgeMs: MAX_AGE_MS, settledMs: SETTLED_MS };
  const cache = new CellCache(config, clock, async () => unit, stretchCells);
  return {
    store,
    cache,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

interface Ask {
  readonly row: number;
  readonly first?: number | undefined;
  readonly last?: number | undefined;
  readonly limit?: number | undefined;
  readonly pageCells?: number | undefined;
  readonly order?: 'ascending' | 'descending';
}

const rangeOf = ({ row, first, last, limit, pageCells, order }: Ask): CellRange => ({
  key: KEYS[row] as Buffer,
  first: first === undefined ? undefined : encodeColumn(first * STEP),
  last: last === undefined ? undefined : encodeColumn(last * STEP),
  limit,
  ...(pageCells === undefined ? {} : { pageCells }),
  ...(order === undefined ? {} : { order }),
});

async function cellsOf(
  pages: AsyncIterable<Parameters<typeof eachCell>[0]>,
  pageCells = 5_000,
): Promise<[number, string][]> {
  const cells: [number, string][] = [];
  for await (const page of pages) {
    expect(page.count).toBeGreaterThan(0);
    expect(page.count).toBeLessThanOrEqual(pageCells);
    eachCell(page, (_i, column, bytes, from, to) => {
      cells.push([column, bytes.toString('utf8', from, to)]);
    });
  }
  return cells;
}

const ask = (cache: CellCache, store: ModelStore, each: Ask) =>
  cellsOf(cache.read(rangeOf(each), store.read), each.pageCells);

const row = fc.nat(KEYS.length - 1);
const column = fc.nat(COLUMNS - 1);
/** One character is a long too, and packed as such. */
const value = fc.oneof(
  { weight: 4, arbitrary: fc.string({ minLength: 1, maxLength: 1, unit: 'grapheme-ascii' }) },
  fc.string({ maxLength: 12, unit: 'grapheme-ascii' }),
);
const options = fc.record({
  bytesMax: fc.constantFrom(500, 2_000, 4_000, 1e6),
  stretchCells: fc.constantFrom(1, 2, 5, 1_000),
});
const anAsk = fc.record({
  row,
  first: fc.option(column, { nil: undefined }),
  last: fc.option(column, { nil: undefined }),
  limit: fc.option(fc.nat(70), { nil: undefined, freq: 2 }),
  pageCells: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
  order: fc.constantFrom('ascending' as const, 'ascending' as const, 'descending' as const),
});
const changes = fc.oneof(
  fc.record({
    row,
    cells: fc.array(fc.tuple(column, value), { minLength: 1, maxLength: 20 }),
    fails: fc.constantFrom(false, false, false, true),
  }),
  fc.record({ row, first: column, last: column, fails: fc.constant(false) }),
);
type Change = typeof changes extends fc.Arbitrary<infer T> ? T : never;

/** As CassandraWideRows does it: the cache hears of a change when it has ended, well or not. */
async function change(cache: CellCache, store: ModelStore, each: Change): Promise<void> {
  const key = KEYS[each.row] as Buffer;
  await store.turn();
  if ('cells' in each) {
    const { cells, fails } = each;
    const applied = fails ? cells.slice(0, cells.length >> 1) : cells;
    for (const [at, text] of applied) {
      store.set(each.row, at * STEP, text);
      await store.turn();
    }
    cache.forgetCells(
      batchOf(
        cells.map(([at, text]) => ({
          key,
          column: encodeColumn(at * STEP),
          value: Buffer.from(text),
          ttlSeconds: 0,
        })),
      ),
    );
    return;
  }
  for (let at = each.first; at <= each.last; at++) store.set(each.row, at * STEP);
  await store.turn();
  const [first, last] = [each.first, each.last].map((at) => encodeColumn(at * STEP));
  cache.forget(key, first, last);
}

/** Enough of them in one stretch to be packed. */
function fillFourOfFive(store: ModelStore): void {
  for (let at = 0; at < COLUMNS; at++) {
    if (at % 5 !== 4) store.set(0, at * STEP, String.fromCharCode(0x40 + at));
  }
}

test('a read gives what the store has, whatever was read and changed before', async () => {
  await fc.assert(
    fc.asyncProperty(
      options,
      fc.array(fc.oneof(anAsk, changes, fc.constant('pass' as const)), { maxLength: 40 }),
      async (given, steps) => {
        const { store, cache, pass } = opened(given);
        fillFourOfFive(store);
        for (const step of steps) {
          if (step === 'pass') pass(20_000);
          else if ('order' in step) {
            expect(await ask(cache, store, step)).toEqual(await cellsOf(store.read(rangeOf(step))));
          } else await change(cache, store, step);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('a read that a change overtakes leaves nothing behind that is over', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      options,
      fc.array(fc.oneof(anAsk, anAsk, changes), { minLength: 2, maxLength: 14 }),
      async (scheduler, given, steps) => {
        const { store, cache } = opened(given);
        fillFourOfFive(store);
        store.turn = () => scheduler.schedule(Promise.resolve());
        /** Since when changes are under way. */
        const underWay = new Set<{ readonly since: number }>();
        const runs = steps.map(async (step) => {
          await store.turn();
          if (!('order' in step)) {
            const way = { since: store.changes };
            underWay.add(way);
            await change(cache, store, step);
            underWay.delete(way);
            return;
          }
          // What a change has done may show from then on, and must from its end on.
          const since = Math.min(store.changes, ...[...underWay].map((way) => way.since));
          const seen = new Map(await ask(cache, store, step));
          if (step.limit !== undefined) return;
          const [first, last] = [step.first ?? 0, step.last ?? COLUMNS - 1];
          for (let at = first; at <= last; at++) {
            const values = store.history[step.row]?.get(at * STEP) ?? [];
            const stood = values.filter(({ change }) => change <= since).at(-1)?.value;
            const later = values.filter(({ change }) => change > since).map((each) => each.value);
            expect([stood, ...later]).toContain(seen.get(at * STEP));
          }
        });
        await scheduler.waitFor(Promise.all(runs));
        store.turn = atOnce;
        for (const each of [0, 1]) {
          expect(await ask(cache, store, { row: each })).toEqual(
            await cellsOf(store.read(rangeOf({ row: each }))),
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

function filled(options?: Options) {
  const all = opened(options);
  for (let at = 0; at < COLUMNS; at++) all.store.set(0, at * STEP, `v${at}`);
  return all;
}

test('what is settled is read once, and what is not each time', async () => {
  const { store, cache } = filled();
  await ask(cache, store, { row: 0, first: 5, last: 20 });
  expect(store.cellsRead).toBe(16);
  await ask(cache, store, { row: 0, first: 7, last: 18, pageCells: 5 });
  expect(store.reads).toBe(1);
  await ask(cache, store, { row: 0, first: 0, last: 30 });
  expect([store.reads, store.cellsRead]).toEqual([3, 16 + 5 + 10]);
  await ask(cache, store, { row: 0 });
  expect(store.cellsRead).toBe(16 + 5 + 10 + COLUMNS - 31);
  store.cellsRead = 0;
  await ask(cache, store, { row: 0 });
  expect(store.cellsRead).toBe(COLUMNS - SETTLED);
});

test('time that moves on is read, nothing else', async () => {
  const { store, cache, pass } = filled();
  await ask(cache, store, { row: 0, last: 50 });
  pass(60_000);
  store.cellsRead = 0;
  await ask(cache, store, { row: 0, first: 6, last: 56 });
  expect(store.cellsRead).toBe(57 - SETTLED);
  store.cellsRead = 0;
  await ask(cache, store, { row: 0, first: 6, last: 56 });
  expect(store.cellsRead).toBe(57 - SETTLED - 6);
});

test('what others write shows when the cells kept are too old, and no later', async () => {
  const { store, cache, pass } = filled();
  const asked = { row: 0, first: 3, last: 3 };
  await ask(cache, store, asked);
  store.set(0, 3 * STEP, 'by another');
  pass(MAX_AGE_MS - 1);
  expect(await ask(cache, store, asked)).toEqual([[3 * STEP, 'v3']]);
  pass(1);
  expect(await ask(cache, store, asked)).toEqual([[3 * STEP, 'by another']]);
  // A clock that was set back does not make cells young.
  store.set(0, 3 * STEP, 'again');
  pass(-2 * MAX_AGE_MS);
  expect(await ask(cache, store, asked)).toEqual([[3 * STEP, 'again']]);
});

test('a gap is short when few cells are to be expected, by those before it', async () => {
  const { store, cache } = filled();
  const gaps: boolean[] = [];
  const asked = async (first: number, last: number, limit?: number) => {
    gaps.length = 0;
    const range = rangeOf({ row: 0, first, last, limit });
    await cellsOf(
      cache.read(range, (each, isShort) => {
        gaps.push(isShort);
        return store.read(each);
      }),
    );
    return gaps;
  };
  expect(await asked(5, 20)).toEqual([false]);
  expect(await asked(5, 30)).toEqual([true]);
  expect(await asked(5, 40, 30)).toEqual([false]);
  expect(await asked(5, 5_000)).toEqual([false]);
  // Nothing stands before it.
  expect(await asked(0, 30)).toEqual([false]);
});

test('a limited read keeps what it has seen', async () => {
  const { store, cache } = filled();
  await ask(cache, store, { row: 0, limit: 10 });
  store.cellsRead = 0;
  await ask(cache, store, { row: 0, limit: 10 });
  expect(store.cellsRead).toBe(0);
  expect(await ask(cache, store, { row: 0, limit: 12 })).toHaveLength(12);
  expect(store.cellsRead).toBe(2);
});

test('a read that is left keeps the pages it was given', async () => {
  const { store, cache } = filled();
  for await (const page of cache.read(rangeOf({ row: 0, pageCells: 10 }), store.read)) {
    expect(page.count).toBe(10);
    break;
  }
  store.cellsRead = 0;
  await ask(cache, store, { row: 0, last: 9 });
  expect(store.cellsRead).toBe(0);
});

test('at its bound the cells used longest ago go', async () => {
  const { store, cache } = filled({ bytesMax: 3_000, stretchCells: 5 });
  for (let at = 0; at < SETTLED; at += 5) {
    await ask(cache, store, { row: 0, first: 0, last: 4 });
    await ask(cache, store, { row: 0, first: at, last: at + 4 });
  }
  store.cellsRead = 0;
  await ask(cache, store, { row: 0, first: 0, last: 4 });
  expect(store.cellsRead).toBe(0);
  await ask(cache, store, { row: 0, first: 5, last: 9 });
  expect(store.cellsRead).toBe(5);
});

test('a cell larger than a quarter of the bound is read each time', async () => {
  const { store, cache } = opened({ bytesMax: 4_000 });
  store.set(0, STEP, 'x'.repeat(2_000));
  for (let i = 0; i < 2; i++) expect(await ask(cache, store, { row: 0, last: 9 })).toHaveLength(1);
  expect(store.cellsRead).toBe(2);
});

test('a key that is none of KairosDB’s, and a row of the future, are read each time', async () => {
  const { store, cache } = opened();
  for (const key of [Buffer.from('none'), rowKey('late', BigInt(NOW_MS))]) {
    for (let i = 0; i < 2; i++) await cellsOf(cache.read({ key }, store.read));
  }
  expect(store.reads).toBe(4);
});

test.each([
  ['MILLISECONDS', 480_000],
  ['LEGACY', 960_000],
  ['SECONDS', 480],
] as const)('columns in %s settle by their time', async (unit, settled) => {
  const { store, cache } = opened({ unit });
  store.set(0, settled - 1, 'over');
  store.set(0, settled, 'not yet');
  for (let i = 0; i < 2; i++) await ask(cache, store, { row: 0 });
  expect(store.cellsRead).toBe(2 + 1);
});

test('nothing is kept of columns before their row', async () => {
  const { store, cache } = opened();
  store.set(0, 0xffff_fff0, 'before');
  for (let i = 0; i < 2; i++) await ask(cache, store, { row: 0 });
  expect(store.cellsRead).toBe(2);
});
