import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { batchOf } from '../kairos/cell-batch.ts';
import { binaryTable, CellTable } from './cells.ts';

const NOW_MS = 1_700_000_000_000;

describe('the tables of cells', () => {
  let directory: string;
  let root: RootDatabase;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-cells-'));
    root = open({ path: directory, noSubdir: false, maxDbs: 8 });
  });
  afterEach(async () => {
    await root.close();
    rmSync(directory, { recursive: true });
  });
  const cell = (key: Buffer, n: number) => ({
    key,
    column: Buffer.from([0, 0, 0, n]),
    value: Buffer.alloc(8, n),
    ttlSeconds: 0,
  });
  const entries = (name: string): number => binaryTable(root, name).getKeysCount();

  test('fill their pages with rows that come one after another', async () => {
    const cells = Array.from({ length: 100 }, (_, row) =>
      Array.from({ length: 250 }, (_, n) => cell(Buffer.from(`row ${row}`), n)),
    ).flat();
    await new CellTable(root).write(batchOf(cells), NOW_MS);
    const { treeLeafPageCount, pageSize } = binaryTable(root, 'cells').getStats() as {
      treeLeafPageCount: number;
      pageSize: number;
    };
    // A value of 8, its length, its step from the one before, and a hundredth of what LMDB and a block's head take.
    expect((treeLeafPageCount * pageSize) / cells.length).toBeLessThan(13.5);
  });

  test('stay where they are when others of one batch go before and behind them', async () => {
    const table = new CellTable(root);
    const key = Buffer.from('row');
    const at = (column: number) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(column);
      return { ...cell(key, 7), column: bytes };
    };
    const held = Array.from({ length: 5_000 }, (_, n) => at(1_000 + n * 2));
    await table.write(batchOf(held), NOW_MS);
    const stored = () =>
      [...binaryTable(root, 'cells').getRange()].map(({ value }) => value.toString('hex'));
    const before = new Set(stored());
    await table.write(batchOf([at(1), at(4_001), at(4_001 + 2), at(90_000)]), NOW_MS);
    const [written, all] = [stored().filter((entry) => !before.has(entry)), stored()];
    expect(before.size).toBeGreaterThan(80);
    // The first, the one that two went into, now two, and the last.
    expect([written.length, all.length - before.size]).toEqual([4, 2]);
  });

  test('lose a row with its last cell, also one whose header a former release put before its cells', async () => {
    const table = new CellTable(root);
    const [key, former] = [Buffer.from('row'), Buffer.from('row of a former release')];
    const cells = [key, former].flatMap((row) => [cell(row, 1), cell(row, 2)]);
    await table.write(batchOf(cells), NOW_MS);
    const headers = binaryTable(root, 'row-headers');
    for (const { key: id, value } of [...headers.getRange()]) {
      if (!value.equals(former)) continue;
      await binaryTable(root, 'cells').put(Buffer.from(id), Buffer.from(value));
      await headers.remove(Buffer.from(id));
    }
    expect([entries('row-headers'), entries('cells')]).toEqual([1, 3]);

    const all = { first: 0, last: 0xff_ff_ff_ff, isDescending: false };
    expect(table.readPage({ key: former }, all, 10, NOW_MS).count).toBe(2);
    await root.transaction(() => table.delete({ key, last: Buffer.from([0, 0, 0, 1]) }));
    await root.transaction(() => table.delete({ key: former }));
    // Of `rows` one says how often rows went, one who wrote last.
    expect([entries('rows'), entries('row-headers'), entries('cells')]).toEqual([3, 1, 1]);
    await root.transaction(() => table.delete({ key }));
    expect([entries('rows'), entries('row-headers'), entries('cells')]).toEqual([2, 0, 0]);
  });
});
