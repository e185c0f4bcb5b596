/** An aggregate over the numbers of one field whose state adds, merges and writes itself: what moments and summary share. */
import type { Aggregate } from '../aggregate.ts';
import { numberCells } from './number-cells.ts';

interface NumberState<S> {
  add(value: number): void;
  merge(other: S): void;
  toBytes(): Buffer;
}

/** Records without a number in the field are passed over. */
export const ofNumbers = <S extends NumberState<S>>(
  name: string,
  field: string,
  state: { readonly create: () => S; readonly fromBytes: (bytes: Buffer) => S },
): Aggregate<S> => ({
  name: `${name}(${field})`,
  create: state.create,
  adder: (batch) => {
    const cell = numberCells(batch, field);
    return (into, i) => {
      const value = cell(i);
      if (!Number.isNaN(value)) into.add(value);
    };
  },
  merge: (into, from) => into.merge(from),
  encode: (from) => from.toBytes(),
  decode: state.fromBytes,
});
