/** The sum of a field, and of how many numbers. */
import type { Aggregate } from '../aggregate.ts';
import { numberCells } from './number-cells.ts';

export interface Sum {
  /** Added in the order of the log, so that a replay gives the same bits; exact for whole numbers up to 2^53. */
  sum: number;
  /** Records without a number in the field are not counted. */
  count: number;
}

/** State entry: sum f64 · count f64. */
export const sum = (field: string): Aggregate<Sum> => ({
  name: `sum(${field})`,
  create: () => ({ sum: 0, count: 0 }),
  adder: (batch) => {
    const cell = numberCells(batch, field);
    return (state, i) => {
      const value = cell(i);
      if (Number.isNaN(value)) return;
      state.sum += value;
      state.count++;
    };
  },
  merge: (into, from) => {
    into.sum += from.sum;
    into.count += from.count;
  },
  encode: (state) => {
    const bytes = Buffer.allocUnsafe(16);
    bytes.writeDoubleBE(state.sum, 0);
    bytes.writeDoubleBE(state.count, 8);
    return bytes;
  },
  decode: (bytes) => ({ sum: bytes.readDoubleBE(0), count: bytes.readDoubleBE(8) }),
});
