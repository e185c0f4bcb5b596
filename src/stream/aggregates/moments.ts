/** Count, sum, extremes, mean and spread of a field in 41 bytes: what suffices where no percentile is asked for. */
import { Moments } from '../../stats/index.ts';
import type { Aggregate } from '../aggregate.ts';
import { ofNumbers } from './of-numbers.ts';

/** Records without a number in the field are passed over. */
export const moments = (field: string): Aggregate<Moments> =>
  ofNumbers('moments', field, {
    create: () => new Moments(),
    fromBytes: (bytes) => Moments.fromBytes(bytes),
  });
