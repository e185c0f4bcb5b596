/** Groups by the bin that the value falls into, 0 below the first; text is in group −1. */
import { QueryFailed } from '../errors.ts';
import { jsonDoubleText } from '../json/java-number.ts';
import { typedDouble } from '../json/json-value.ts';
import { list, long } from '../parse/property.ts';
import { groupByKind } from './group-by.ts';

const bins = {
  read: (json: Parameters<typeof list.read>[0]) =>
    (list.read(json) ?? []).map((edge) => {
      if (edge === null) throw new QueryFailed('a bin may not be null');
      return typedDouble(edge);
    }),
};

export const bin = groupByKind({
  name: 'bin',
  javaClass: 'BinGroupBy',
  properties: { bins, start_date: long },
  make: ({ bins: edges = [] }) => ({
    numberOf(_timestampMs, value) {
      if (value === null || typeof value === 'string') return -1;
      // Without bins only a group of points shows it (spec, "observed later").
      if (edges.length === 0) throw new QueryFailed('Index 0 out of bounds for length 0');
      const x = Number(value);
      if (x < (edges[0] as number)) return 0;
      for (let i = 0; i < edges.length - 1; i++) {
        if (x >= (edges[i] as number) && x < (edges[i + 1] as number)) return i + 1;
      }
      return edges.length;
    },
    entry(number) {
      if (!edges.every(Number.isFinite)) throw new QueryFailed('a bin is no number');
      return `{"name":"bin","bins":[${edges.map(jsonDoubleText).join(',')}],"group":{"bin_number":${number}}}`;
    },
  }),
});
