/** Cells as hexadecimal text, for tests, and as the runs that the cache keeps. */
import { expect } from 'vitest';
import { eachKeptCell, type KeptRun } from './kept-cells.ts';
import { RawPacker, type RawRun } from './raw-run.ts';

export type Cell = readonly [column: number, value: string];

/** `start`: the column before the first cell. */
export function rawRunOf(given: readonly Cell[], start = 0): RawRun {
  const before = { column: start, distance: 0, length: 0 };
  const packer = new RawPacker(before);
  for (const [column, hex] of given) {
    const value = Buffer.from(hex, 'hex');
    packer.add(column, value, 0, value.length);
  }
  const bytes = Buffer.alloc(packer.bytes);
  packer.copyInto(bytes, 0);
  return { bytes, at: 0, count: given.length, ...before };
}

export function unpacked(...runs: KeptRun[]): Cell[] {
  const seen: Cell[] = [];
  eachKeptCell(runs, (index, column, bytes, from, to) => {
    expect(index).toBe(seen.length);
    seen.push([column, bytes.toString('hex', from, to)]);
  });
  return seen;
}
