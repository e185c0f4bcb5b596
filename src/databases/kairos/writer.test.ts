import { expect, test } from 'vitest';
import type { DataPoint } from '../../model/index.ts';
import { ManualClock } from '../../runtime/index.ts';
import type { CellBatch } from './cell-batch.ts';
import type { RowIndex } from './row-index.ts';
import type { RowSpec } from './row-spec.ts';
import type { WideRows } from './wide-rows.ts';
import { PointWriter } from './writer.ts';

const spec: RowSpec = { unit: 'MILLISECONDS', rowModulusMs: 1_000_000, rowSpanMs: 1_000_000 };

/** A writer into rows that store a batch when they are told to. */
function openWriter() {
  const storing: { readonly batch: CellBatch; done(): void; fail(error: Error): void }[] = [];
  const rows = {
    writeCells: (batch: CellBatch) =>
      new Promise((resolve, reject) => {
        storing.push({ batch, done: () => resolve([]), fail: reject });
      }),
  } as unknown as WideRows;
  const index = { ensure: async () => new Map() } as unknown as RowIndex;
  const writer = new PointWriter(rows, index, new ManualClock(0), {});
  /** Resolves once the rows have the batch. */
  const write = async (points: number) => {
    const before = storing.length;
    const written = writer.write(
      Array.from(
        { length: points },
        (_, i): DataPoint => ({
          metric: 'm',
          tags: { host: 'a' },
          timestampMs: i,
          value: i,
        }),
      ),
      spec,
    );
    while (storing.length === before) await new Promise((resolve) => setImmediate(resolve));
    const { batch, done, fail } = storing[before] as (typeof storing)[number];
    const ended = async (end: () => void) => {
      end();
      await written.catch(() => {});
    };
    return { batch, stored: () => ended(done), failed: () => ended(() => fail(new Error('no'))) };
  };
  return { write };
}

test('while writes follow each other the room of one is the next one’s, and none is left when they have ended', async () => {
  const { write } = openWriter();
  const [first, second] = [await write(20_000), await write(20_000)];
  expect(second.batch).not.toBe(first.batch);
  await first.stored();
  const third = await write(20_000);
  expect(third.batch).toBe(first.batch);
  await second.stored();
  await third.stored();
  const later = await write(10);
  expect([first.batch, second.batch]).not.toContain(later.batch);
  expect(later.batch.roomBytes).toBeLessThan(64 * 1_024);
  await later.stored();
});

test('a small batch is used again after a rest, and none whose write failed', async () => {
  const { write } = openWriter();
  const first = await write(10);
  await first.stored();
  const second = await write(10);
  expect(second.batch).toBe(first.batch);
  await second.failed();
  const third = await write(10);
  expect(third.batch).not.toBe(first.batch);
  await third.stored();
});
