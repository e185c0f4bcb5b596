/** Each value multiplied; by 0 when no factor is given. */
import { double } from '../parse/property.ts';
import { aggregatorKind } from './aggregator.ts';
import { mapValues } from './map-values.ts';

export const scale = aggregatorKind({
  name: 'scale',
  javaClass: 'ScaleAggregator',
  properties: { factor: double },
  make: ({ factor = 0 }) => mapValues((value) => value * factor),
});
