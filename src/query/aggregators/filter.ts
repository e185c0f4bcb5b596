/** Takes away the points for which the comparison with the threshold is true, and those of another kind than it. */
import { QueryFailed } from '../errors.ts';
import { JsonNumber } from '../json/json-value.ts';
import { anyCaseWord, anything } from '../parse/property.ts';
import { numberOf, type PointSink, type QueryValue } from '../point.ts';
import { aggregatorKind } from './aggregator.ts';

const operations = ['lte', 'lt', 'gte', 'gt', 'equal', 'ne'] as const;
type Operation = (typeof operations)[number];

export const filter = aggregatorKind({
  name: 'filter',
  javaClass: 'FilterAggregator',
  properties: { filter_op: anyCaseWord(operations), threshold: anything },
  make({ filter_op: operation, threshold: given }) {
    const threshold =
      given === undefined ? 0 : given instanceof JsonNumber ? Number(given.text) : given;
    return {
      takes: 'any',
      gives: 'same',
      open: (out: PointSink) => ({
        push(timestampMs, value) {
          if (operation === undefined) throw new QueryFailed(null);
          const order = orderOf(value, threshold);
          if (order !== undefined && !holds(operation, order)) out.push(timestampMs, value);
        },
        end: () => out.end(),
      }),
    };
  },
});

/** Below, at or above 0; undefined when the two can't be compared. */
function orderOf(value: QueryValue, threshold: unknown): number | undefined {
  if (typeof threshold === 'string') {
    return typeof value === 'string' ? compare(value, threshold) : undefined;
  }
  if (typeof threshold !== 'number' || typeof value === 'string') return undefined;
  return compareDoubles(numberOf(value), threshold);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `Double.compare`: −0 before 0, NaN after everything. */
export function compareDoubles(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b && a !== 0) return 0;
  return rankOfSpecial(a) - rankOfSpecial(b);
}

const rankOfSpecial = (value: number): number =>
  Number.isNaN(value) ? 2 : Object.is(value, -0) ? 0 : 1;

function holds(operation: Operation, order: number): boolean {
  switch (operation) {
    case 'lte':
      return order <= 0;
    case 'lt':
      return order < 0;
    case 'gte':
      return order >= 0;
    case 'gt':
      return order > 0;
    case 'equal':
      return order === 0;
    case 'ne':
      return order !== 0;
  }
}
