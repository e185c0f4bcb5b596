/** A stretch that grows: all its cells stand in its runs, and runs that were given out stay what they were. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeValue } from '../value.ts';
import { eachKeptCell, type KeptRun } from './kept-cells.ts';
import { RawPacker } from './raw-run.ts';
import { Stretch } from './stretch.ts';

const FIRST = 1_000;
const STEP = 60_000;

function shown(runs: readonly KeptRun[]): [number, number][] {
  const cells: [number, number][] = [];
  eachKeptCell(runs, (_i, column, bytes, from) => {
    cells.push([column, bytes.readDoubleBE(from)]);
  });
  return cells;
}

const part = fc.record({
  cells: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.nat(100)),
  digits: fc.constantFrom(0, 1, 3, 17),
  step: fc.constantFrom(STEP, STEP, STEP + 1),
});

test('cells come out of a stretch as they were appended, whichever of them are decimals', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const stretch = new Stretch({ key: '', stretches: [] }, FIRST, FIRST, 0);
      const all: [number, number][] = [];
      const given: { runs: KeptRun[]; cells: [number, number][] }[] = [];
      for (const { cells, digits, step } of parts) {
        const packer = new RawPacker(stretch.end);
        for (let i = 0; i < cells; i++) {
          const column = (all.at(-1)?.[0] ?? FIRST - step) + step;
          const value = digits === 17 ? Math.sqrt(all.length) : (all.length * 7) / 10 ** digits;
          packer.add(column, encodeValue(value), 0, 8);
          all.push([column, value]);
        }
        stretch.append(packer);
        given.push({ runs: stretch.runs, cells: [...all] });
      }
      for (const { runs, cells } of given) expect(shown(runs)).toEqual(cells);
      expect(stretch.count).toBe(all.length);
    }),
    { numRuns: 300 },
  );
});

test('decimals that come one by one are packed with those before them', () => {
  const stretch = new Stretch({ key: '', stretches: [] }, FIRST, FIRST, 0);
  for (let i = 0; i < 1_000; i++) {
    const packer = new RawPacker(stretch.end);
    packer.add(FIRST + i * STEP, encodeValue((i % 50) / 10), 0, 8);
    stretch.append(packer);
  }
  // Six bits each, and up to 31 raw ones.
  expect(stretch.bytesHeld).toBeLessThan(1_000 * (6 / 8) + 31 * 9 + 150);
});
