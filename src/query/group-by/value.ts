/** Groups by value divided by a size, cut off towards zero; text is in group −1. */
import { int, long } from '../parse/property.ts';
import { groupByKind, toInt } from './group-by.ts';

export const value = groupByKind({
  name: 'value',
  javaClass: 'ValueGroupBy',
  properties: { range_size: int, start_date: long },
  violations: ({ range_size: size = 0 }) =>
    size < 1 ? [['rangeSize', 'must be greater than or equal to 1']] : [],
  make({ range_size: size = 1 }) {
    const wide = BigInt(size);
    return {
      numberOf(_timestampMs, point) {
        if (typeof point === 'bigint') return Number(BigInt.asIntN(32, point / wide));
        return typeof point === 'number' ? Math.trunc(toInt(point) / size) + 0 : -1;
      },
      entry: (number) => `{"name":"value","range_size":${size},"group":{"group_number":${number}}}`,
    };
  },
});
