/** The distribution of a field: moments, and any quantile from a digest that merges. */
import { Summary } from '../../stats/index.ts';
import type { Aggregate } from '../aggregate.ts';
import { numberCells } from './number-cells.ts';

/** Records without a number in the field are passed over. Read `mean`, `quantile(0.99)` and the rest of Summary. */
export const summary = (field: string): Aggregate<Summary> => ({
  name: `summary(${field})`,
  create: () => new Summary(),
  adder: (batch) => {
    const cell = numberCells(batch, field);
    return (state, i) => {
      const value = cell(i);
      if (!Number.isNaN(value)) state.add(value);
    };
  },
  merge: (into, from) => into.merge(from),
  encode: (state) => state.toBytes(),
  decode: (bytes) => Summary.fromBytes(bytes),
});
