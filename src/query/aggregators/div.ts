/** Each value divided. */
import { double } from '../parse/property.ts';
import { aggregatorKind } from './aggregator.ts';
import { mapValues } from './map-values.ts';

export const div = aggregatorKind({
  name: 'div',
  javaClass: 'DivideAggregator',
  properties: { divisor: double },
  violations: ({ divisor = 0 }) => (divisor === 0 ? [['m_divisor', 'may not be zero']] : []),
  make: ({ divisor = 0 }) => mapValues((value) => value / divisor),
});
