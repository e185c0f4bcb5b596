import { expect, test } from 'vitest';
import { CellPacker } from './packed-cells.ts';
import { readRow } from './row-reader.ts';
import { defaultStoredWidth, parseRowSpec } from './row-spec.ts';
import type { CellPage, WideRows } from './wide-rows.ts';

test('bytes that were sent are let go of before their points wait for a reader', async () => {
  const value = Buffer.alloc(8);
  value.writeDoubleBE(2.5);
  const packer = new CellPacker();
  packer.add(2, value, 0, value.length);
  let isReleased = false;
  const page: CellPage = {
    ...packer.page,
    release() {
      isReleased = true;
    },
  };
  const rows = {
    async *readCellPages() {
      yield page;
    },
  } as Partial<WideRows> as WideRows;
  const spec = parseRowSpec('MILLISECONDS', String(defaultStoredWidth('MILLISECONDS')));
  const row = { metric: 'm', rowTimeMs: 0, type: 'kairos_double', tags: [] };
  const found = { row, key: Buffer.from('key'), legacy: false };
  const pages = readRow(rows, spec, found, { fromMs: 0, toMs: 10 });
  const { value: points } = await pages.next();
  expect(isReleased).toBe(true);
  expect([points?.times[0], points?.numbers[0]]).toEqual([2, 2.5]);
  await pages.return(undefined);
});
