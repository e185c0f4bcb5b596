/** Count, sum, extremes, mean and spread of a field in 41 bytes: what suffices where no percentile is asked for. */
import { Moments } from '../../stats/index.ts';
import type { Aggregate } from '../aggregate.ts';
import { numberCells } from './number-cells.ts';

/** Records without a number in the field are passed over. */
export const moments = (field: string): Aggregate<Moments> => ({
  name: `moments(${field})`,
  create: () => new Moments(),
  adder: (batch) => {
    const cell = numberCells(batch, field);
    return (state, i) => {
      const value = cell(i);
      if (!Number.isNaN(value)) state.add(value);
    };
  },
  merge: (into, from) => into.merge(from),
  encode: (state) => state.toBytes(),
  decode: (bytes) => Moments.fromBytes(bytes),
});
