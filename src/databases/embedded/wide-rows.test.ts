import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../runtime/index.ts';
import { batchOf } from '../kairos/cell-batch.ts';
import { collect, wideRowsSuite } from '../kairos/wide-rows.suite.ts';
import type { WideRows } from '../kairos/wide-rows.ts';
import { embeddedWideRows } from './wide-rows.ts';

const START_MS = 1_700_000_000_000;

wideRowsSuite('the embedded store', async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'tidemark-store-'));
  const clock = new ManualClock(START_MS);
  const rows = embeddedWideRows({ dataDirectory, clock });
  await rows.connect();
  return {
    rows,
    passSeconds: (seconds) => clock.advance(seconds * 1_000),
    close: async () => {
      await rows.close();
      rmSync(dataDirectory, { recursive: true });
    },
  };
});

describe('the embedded store', () => {
  const directories: string[] = [];
  const stores: WideRows[] = [];
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((rows) => rows.close()));
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
  });
  const directory = () => {
    directories.push(mkdtempSync(join(tmpdir(), 'tidemark-store-')));
    return directories.at(-1) as string;
  };
  const open = async (dataDirectory: string, clock = new ManualClock(START_MS)) => {
    const rows = embeddedWideRows({ dataDirectory, clock });
    stores.push(rows);
    await rows.connect();
    return rows;
  };
  const key = Buffer.from('row');
  const cell = (n: number, ttlSeconds = 0) => ({
    key,
    column: Buffer.from([0, 0, 0, n]),
    value: Buffer.from(`${n}`),
    ttlSeconds,
  });

  test.runIf(process.platform === 'linux')('maps its file once, however it grows', async () => {
    const dataDirectory = directory();
    const rows = await open(dataDirectory);
    for (let n = 0; n < 40; n++) {
      const value = Buffer.alloc(1_000, n);
      const row = Buffer.from(`row ${n}`);
      const cells = Array.from({ length: 50 }, (_, i) => ({ ...cell(i), key: row, value }));
      await rows.writeCells(batchOf(cells));
      expect(await collect(rows.readCells({ key: row }))).toHaveLength(50);
    }
    const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
    const file = join(dataDirectory, 'store', 'data.mdb');
    expect(maps.filter((line) => line.endsWith(file))).toHaveLength(1);
  });

  test('keeps what was written when it is opened again', async () => {
    const dataDirectory = directory();
    const first = await open(dataDirectory);
    await first.writeCells(batchOf([cell(1)]));
    await first.writeMetricNames(['m']);
    await first.close();
    const second = await open(dataDirectory);
    await second.writeCells(batchOf([{ ...cell(9), key: Buffer.from('another row') }, cell(2)]));
    expect(await collect(second.readCells({ key }))).toHaveLength(2);
    expect(await collect(second.metricNames())).toEqual(['m']);
  });

  test('finds rows again that another process has dropped meanwhile, and no other row in their place', async () => {
    const dataDirectory = directory();
    const mine = await open(dataDirectory);
    const theirs = await open(dataDirectory);
    const other = Buffer.from('another row');
    await mine.writeCells(batchOf([cell(1), cell(2)]));
    await theirs.deleteRow(key);
    await theirs.writeCells(batchOf([{ ...cell(7), key: other }]));
    await mine.writeCells(batchOf([cell(3)]));
    await theirs.deleteRow(key);
    // Both at once: whichever comes first, what was written last can be found.
    const dropping = theirs.writeCells(batchOf([cell(4)])).then(() => theirs.deleteRow(key));
    await Promise.all([dropping, mine.writeCells(batchOf([cell(5)]))]);
    await mine.writeCells(batchOf([cell(6)]));
    const columnsOf = async (row: Buffer) =>
      (await collect(theirs.readCells({ key: row }))).map(({ column }) => column[3]);
    // What another process wrote is seen from the next turns on: LMDB keeps a reader's view for a moment.
    await expect.poll(() => columnsOf(key)).toContain(6);
    expect(await columnsOf(key)).not.toContain(1);
    expect(await columnsOf(other)).toEqual([7]);
    // A row that is empty again leaves nothing under any id.
    await mine.deleteRow(key);
    await expect.poll(() => columnsOf(key)).toEqual([]);
  });

  test('finds a row by what it remembers of its key, also after it went and came again', async () => {
    const dataDirectory = directory();
    const mine = await open(dataDirectory);
    const theirs = await open(dataDirectory);
    const row = { metric: 'm', rowTimeMs: 0, type: 'kairos_double', tags: [] };
    await mine.writeRowKeys([{ row, indexedTags: [], ttlSeconds: 0 }]);
    const [known] = await collect(mine.rowKeys('m', 0));
    if (known?.key === undefined) throw new Error('no row key');
    const range = { key: known.key, row: known };
    const columns = async () =>
      (await collect(mine.readCells(range))).map(({ column }) => column[3]);
    expect(await columns()).toEqual([]);
    await mine.writeCells(batchOf([{ ...cell(1), key: known.key }]));
    expect(await columns()).toEqual([1]);
    await mine.deleteRow(known.key);
    expect(await columns()).toEqual([]);
    await mine.writeCells(batchOf([{ ...cell(2), key: known.key }]));
    expect(await columns()).toEqual([2]);
    await theirs.deleteRow(known.key);
    await theirs.writeCells(batchOf([{ ...cell(3), key: known.key }]));
    await expect.poll(columns).toEqual([3]);
    // The same object again, for as long as it is remembered.
    expect((await collect(mine.rowKeys('m', 0)))[0]).toBe(known);
  });

  test('two who read more row keys than a page at the same time each find theirs, once', async () => {
    const rows = await open(directory());
    const hosts = Array.from({ length: 2_500 }, (_, i) => `host-${i}`);
    const metrics = ['one', 'another'];
    for (const metric of metrics) {
      const entries = hosts.map((host) => ({
        row: { metric, rowTimeMs: 0, type: 'kairos_long', tags: [['host', host] as const] },
        indexedTags: [],
        ttlSeconds: 0,
      }));
      expect(await rows.writeRowKeys(entries)).toEqual([]);
    }
    const hostsOf = async (metric: string) =>
      (await collect(rows.rowKeys(metric, 0))).map(({ tags }) => tags[0]?.[1]).sort();
    const found = await Promise.all(metrics.map(hostsOf));
    expect(found).toEqual(metrics.map(() => hosts.toSorted()));
  });

  test('sweeps what has expired, and only that', async () => {
    const clock = new ManualClock(START_MS);
    const rows = await open(directory(), clock);
    const many = Array.from({ length: 200 }, (_, n) => cell(n, 30));
    await rows.writeCells(batchOf(many));
    await rows.writeCells(batchOf([cell(7), cell(8, 3_600)]));
    await rows.writeRowTimes([{ metric: 'm', rowTimeMs: 0, ttlSeconds: 30 }]);
    await clock.advance(60_000);
    await rows.check();
    // The sweep took the others off the disk: even a reader with an old watch finds only two.
    await rows.close();
    const later = await open(directories[0] as string, new ManualClock(START_MS));
    const left = await collect(later.readCells({ key }));
    expect(left.map(({ column }) => column[3])).toEqual([7, 8]);
    expect(await later.hasRowTime('m', 0)).toBe(false);
  });

  test('gives pages that later reads and writes do not change', async () => {
    const rows = await open(directory());
    await rows.writeCells(batchOf([cell(1), cell(2)]));
    const page = await collect(rows.readCells({ key }));
    await rows.writeCells(
      batchOf([1, 2, 3].map((n) => ({ ...cell(n), value: Buffer.from('changed') }))),
    );
    await collect(rows.readCells({ key }));
    expect(page.map(({ value }) => value.toString())).toEqual(['1', '2']);
  });

  test('says how to mend it when it is not open, and when its directory is unusable', async () => {
    const closed = embeddedWideRows({ dataDirectory: directory() });
    await expect(closed.writeCells(batchOf([cell(1)]))).rejects.toMatchObject({
      family: 'retriable',
      code: 'SINK_UNREACHABLE',
    });
    const nowhere = embeddedWideRows({ dataDirectory: '/dev/null' });
    await expect(nowhere.connect()).rejects.toMatchObject({
      family: 'fatal',
      code: 'STORE_UNUSABLE',
    });
  });
});
