import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { open, type RootDatabase } from 'lmdb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CellBatch, CellRow } from '../kairos/cell-batch.ts';
import { cellsOf } from '../kairos/packed-cells.ts';
import { lastColumnOf } from './cell-entry.ts';
import type { ColumnRange } from './cell-scan.ts';
import { binaryTable, CellTable } from './cells.ts';
import { rowTableKey, writeUint32, writeUint48 } from './keys.ts';

const START_MS = 1_700_000_000_000;
const COLUMN_MAX = 0xff_ff_ff_ff;
const ROWS = ['a', 'b'];

/** Few columns, so that most writes meet others; and the ends of what there is. */
const column = fc.oneof(
  { weight: 8, arbitrary: fc.nat(60) },
  { weight: 1, arbitrary: fc.constantFrom(127, 128, 16_383, 16_384, COLUMN_MAX - 1, COLUMN_MAX) },
);
const value = fc.oneof(
  { weight: 12, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(0, 127, 128, 256, 257, 5_000)
      .map((length) => new Uint8Array(length).fill(7)),
  },
);
const ttlSeconds = fc.constantFrom(0, 0, 0, 5, 5, 9);
const cell = fc.record({ row: fc.constantFrom(...ROWS), column, value, ttlSeconds });
/** Points of one series come as a run, all of one life. */
const run = fc
  .record({
    row: fc.constantFrom(...ROWS),
    column,
    value,
    ttlSeconds,
    length: fc.integer({ min: 2, max: 120 }),
    step: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ length, step, column: first, ...rest }) =>
    Array.from({ length }, (_, i) => ({ ...rest, column: first + i * step })).filter(
      (each) => each.column <= COLUMN_MAX,
    ),
  );
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      by: fc.nat(1),
      cells: fc.oneof(fc.array(cell, { minLength: 1, maxLength: 20 }), run),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('delete' as const),
      by: fc.nat(1),
      row: fc.constantFrom(...ROWS),
      first: column,
      last: column,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.integer({ min: 1, max: 6_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('sweep' as const),
      by: fc.nat(1),
      limit: fc.integer({ min: 1, max: 50 }),
    }),
  },
);
const question = fc.record({
  row: fc.constantFrom(...ROWS),
  first: column,
  last: column,
  isDescending: fc.boolean(),
  limit: fc.integer({ min: 1, max: 40 }),
});

interface Known {
  readonly value: Uint8Array;
  readonly expiryMs: number;
}

describe('cells of the embedded store', () => {
  let directory: string;
  let root: RootDatabase;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-entries-'));
    root = open({ path: directory, noSubdir: false, maxDbs: 8, noSync: true });
  });
  afterEach(async () => {
    await root.close();
    rmSync(directory, { recursive: true });
  });

  test('are those that a map would hold, whoever writes, in whatever order, before and after a former release', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(cell, { maxLength: 30 }),
        fc.array(action, { minLength: 1, maxLength: 30 }),
        fc.array(question, { minLength: 4, maxLength: 4 }),
        async (before, actions, questions) => {
          // New rows for each run, in one environment.
          const prefix = `${run++} `;
          const model = new Map(ROWS.map((row) => [row, new Map<number, Known>()]));
          const known = (row: string) => model.get(row) as Map<number, Known>;
          let nowMs = START_MS;
          await writeAsFormerRelease(root, prefix, before);
          for (const each of before)
            known(each.row).set(each.column, { value: each.value, expiryMs: expiry(each, nowMs) });
          // Two processes, each with what it remembers of the rows.
          const writers = [0, 1].map(() => ({
            table: new CellTable(root),
            rows: new Map(ROWS.map((row) => [row, new CellRow(Buffer.from(prefix + row))])),
          }));
          const writer = (by: number) => writers[by] as (typeof writers)[0];
          for (const each of actions) {
            if (each.do === 'wait') nowMs += each.ms;
            else if (each.do === 'write') {
              const { table, rows } = writer(each.by);
              await table.write(batchOf(each.cells, rows), nowMs);
              for (const one of each.cells)
                known(one.row).set(one.column, { value: one.value, expiryMs: expiry(one, nowMs) });
            } else if (each.do === 'delete') {
              const { first, last } = each;
              const range = {
                key: Buffer.from(prefix + each.row),
                first: bytesOf(first),
                last: bytesOf(last),
              };
              await root.transaction(() => writer(each.by).table.delete(range));
              for (const at of [...known(each.row).keys()])
                if (at >= first && at <= last) known(each.row).delete(at);
            } else
              await root.transaction(() => void writer(each.by).table.sweep(nowMs, each.limit));
          }
          expectEntriesApart(root);
          const everything = ROWS.flatMap((row) =>
            [false, true].map((isDescending) => ({
              row,
              first: 0,
              last: COLUMN_MAX,
              isDescending,
              limit: 7,
            })),
          );
          for (const { row, first, last, isDescending, limit } of [...questions, ...everything]) {
            const expected = [...known(row)]
              .filter(
                ([at, { expiryMs }]) =>
                  at >= first && at <= last && (expiryMs === 0 || expiryMs > nowMs),
              )
              .sort(([a], [b]) => (isDescending ? b - a : a - b))
              .map(([at, one]) => `${at} ${Buffer.from(one.value).toString('hex')}`);
            const key = Buffer.from(prefix + row);
            for (const { table } of writers)
              expect(pages(table, key, { first, last, isDescending }, limit, nowMs)).toEqual(
                expected,
              );
          }
        },
      ),
      { numRuns: 80 },
    );
  });
});

const expiry = ({ ttlSeconds }: { ttlSeconds: number }, nowMs: number): number =>
  ttlSeconds === 0 ? 0 : nowMs + ttlSeconds * 1_000;

const bytesOf = (at: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(at);
  return bytes;
};

interface OneCell {
  readonly row: string;
  readonly column: number;
  readonly value: Uint8Array;
  readonly ttlSeconds: number;
}

function batchOf(cells: readonly OneCell[], rows: ReadonlyMap<string, CellRow>): CellBatch {
  const batch = new CellBatch();
  const places = new Map<string, number>();
  for (const { row, column, value, ttlSeconds } of cells) {
    const place = places.get(row) ?? batch.addRow(rows.get(row) as CellRow);
    places.set(row, place);
    batch.addBytes(place, column, ttlSeconds, value, 0, value.length);
  }
  return batch;
}

/** One entry for each cell, as before there were blocks. */
async function writeAsFormerRelease(
  root: RootDatabase,
  prefix: string,
  cells: readonly OneCell[],
): Promise<void> {
  const rows = new Map(ROWS.map((row) => [row, new CellRow(Buffer.from(prefix + row))]));
  const first = ROWS.map((row) => ({ row, column: 0, value: new Uint8Array(1), ttlSeconds: 0 }));
  await new CellTable(root).write(batchOf(first, rows), START_MS);
  await root.transaction(() => {
    const placeOf = (row: string, column: number) => {
      const key = Buffer.alloc(10);
      binaryTable(root, 'rows')
        .get(rowTableKey(Buffer.from(prefix + row)))
        ?.copy(key);
      writeUint32(column, key, 6);
      return key;
    };
    for (const row of ROWS) void binaryTable(root, 'cells').remove(placeOf(row, 0));
    for (const each of cells) {
      const head = Buffer.alloc(each.ttlSeconds === 0 ? 1 : 7);
      const place = placeOf(each.row, each.column);
      if (each.ttlSeconds !== 0) {
        head[0] = 1;
        writeUint48(expiry(each, START_MS), head, 1);
        const due = Buffer.concat([head.subarray(1), place]);
        void binaryTable(root, 'cell-expiries').put(due, Buffer.alloc(0));
      }
      void binaryTable(root, 'cells').put(place, Buffer.concat([head, each.value]));
    }
  });
}

/** Of two entries of a row, one ends before the other begins. */
function expectEntriesApart(root: RootDatabase): void {
  let row = '';
  let last = -1;
  for (const { key, value } of binaryTable(root, 'cells').getRange()) {
    const id = key.toString('hex', 0, 6);
    const at = key.readUInt32BE(6);
    if (id === row) expect(at).toBeGreaterThan(last);
    row = id;
    last = lastColumnOf({ column: at, bytes: value });
  }
}

/** Page by page, as the store reads. */
function pages(
  table: CellTable,
  key: Buffer,
  { first, last, isDescending }: ColumnRange,
  limit: number,
  nowMs: number,
): string[] {
  const found: string[] = [];
  let range = { first, last, isDescending };
  for (;;) {
    const page = table.readPage({ key }, range, limit, nowMs);
    for (const { column, value } of cellsOf(page))
      found.push(`${column.readUInt32BE(0)} ${value.toString('hex')}`);
    expect(page.count).toBeLessThanOrEqual(limit);
    if (page.count < limit) return found;
    range = isDescending
      ? { ...range, last: page.lastColumn - 1 }
      : { ...range, first: page.lastColumn + 1 };
  }
}
