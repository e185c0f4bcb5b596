/** How many of the thresholds each value is above, or with descending order how many it is not. */
import { QueryFailed, QueryRefused } from '../errors.ts';
import { isObject, typedDouble, unexpected } from '../json/json-value.ts';
import { list, lowerCaseWord } from '../parse/property.ts';
import { type Aggregator, aggregatorKind } from './aggregator.ts';
import { mapValues } from './map-values.ts';

interface Threshold {
  readonly value: number;
  /** A value equal to the threshold is above an inferior one. null: neither, it fails. */
  readonly boundary: 'superior' | 'inferior' | null;
}

const boundaryWord = lowerCaseWord(['superior', 'inferior']);

const thresholds = {
  read(json: Parameters<typeof list.read>[0]) {
    const found = (list.read(json) ?? []).map(thresholdOf);
    // Sorting is what stumbles over a null, so a single one is found only when points come.
    if (found.length === 1 || !found.includes(null)) return found;
    throw new QueryRefused(
      'Call to org.kairosdb.core.aggregator.ScoreAggregator:setThresholds failed with message: null',
    );
  },
};

export const score = aggregatorKind({
  name: 'score',
  javaClass: 'ScoreAggregator',
  properties: { thresholds, order: lowerCaseWord(['ascending', 'descending']) },
  violations: ({ thresholds: given }) =>
    given === undefined ? [['thresholds', 'may not be null']] : [],
  make({ thresholds: given = [], order = 'ascending' }) {
    const sorted = given.filter((each) => each !== null).toSorted(compareThresholds);
    // With nothing to compare with the original looks at no value, not even at a gap's.
    if (given.length === 0) return withoutThresholds;
    return mapValues((value) => {
      if (sorted.length < given.length) throw new QueryFailed(null);
      let above = 0;
      while (above < sorted.length && isAbove(value, sorted[above] as Threshold)) above++;
      return order === 'ascending' ? above : sorted.length - above;
    });
  },
});

const withoutThresholds: Aggregator = {
  takes: 'number',
  gives: 'number',
  open: (out) => ({
    push: (timestampMs) => out.push(timestampMs, 0),
    end: () => out.end(),
  }),
};

function thresholdOf(json: Parameters<typeof list.read>[0]): Threshold | null {
  if (json === null) return null;
  if (!isObject(json)) throw unexpected('BEGIN_OBJECT', json);
  const value = json.get('value') ?? null;
  const boundary = json.get('boundary');
  return {
    value: value === null ? 0 : typedDouble(value),
    boundary:
      boundary === undefined ? 'superior' : boundary === null ? null : boundaryWord.read(boundary),
  };
}

const compareThresholds = (a: Threshold, b: Threshold): number => {
  if (a.value === b.value && a.boundary === b.boundary) return 0;
  return isAbove(a.value, b) ? 1 : -1;
};

function isAbove(value: number, { value: threshold, boundary }: Threshold): boolean {
  if (value > threshold) return true;
  if (value < threshold) return false;
  if (boundary === null) throw new QueryFailed(null);
  return boundary === 'inferior';
}
