/** The mean of a field: its sum by its count, so that means of parts merge into the mean of the whole. */
import type { Aggregate } from '../aggregate.ts';
import { type Sum, sum } from './sum.ts';

export class Mean implements Sum {
  sum: number;
  count: number;

  constructor({ sum, count }: Sum = { sum: 0, count: 0 }) {
    this.sum = sum;
    this.count = count;
  }

  /** NaN when no record had a number. */
  get mean(): number {
    return this.sum / this.count;
  }
}

/** State entry: that of `sum`. */
export const mean = (field: string): Aggregate<Mean> => {
  const sums = sum(field);
  return {
    ...sums,
    name: `mean(${field})`,
    create: () => new Mean(),
    decode: (bytes) => new Mean(sums.decode(bytes)),
  };
};
