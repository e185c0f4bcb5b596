/** The distribution of a field: moments, and any quantile from a digest that merges. */
import { Summary } from '../../stats/index.ts';
import type { Aggregate } from '../aggregate.ts';
import { ofNumbers } from './of-numbers.ts';

/** Records without a number in the field are passed over. Read `mean`, `quantile(0.99)` and the rest of Summary. */
export const summary = (field: string): Aggregate<Summary> =>
  ofNumbers('summary', field, {
    create: () => new Summary(),
    fromBytes: (bytes) => Summary.fromBytes(bytes),
  });
