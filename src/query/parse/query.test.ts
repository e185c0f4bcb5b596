/** Messages and statuses are held to a real KairosDB in test/golden/kairos-query. Here: nothing gets through sideways. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aggregators } from '../aggregators/index.ts';
import { QueryFailed, QueryRefused } from '../errors.ts';
import { timeUnits } from '../time/time-unit.ts';
import { parseQuery } from './query.ts';

const NOW = Date.parse('2024-03-31T12:00:00Z');

const scalar = fc.oneof(
  fc.constantFrom(null, true, '', 'x', '5', 'NaN', 'asc', 'regex:[', 'UTC', '+05:30', 1e308, -1, 0),
  fc.integer(),
  fc.double(),
  fc.string(),
);
const anything = fc.oneof(
  { weight: 4, arbitrary: scalar },
  fc.jsonValue().map((v) => v as never),
);
const span = fc.record(
  { value: anything, unit: fc.oneof(fc.constantFrom(...timeUnits), anything) },
  { requiredKeys: [] },
);
const maybe = <T>(likely: fc.Arbitrary<T>) => fc.oneof({ weight: 5, arbitrary: likely }, anything);
const aggregator = fc
  .tuple(
    fc.constantFrom(...aggregators.values()),
    fc.dictionary(fc.string(), anything, { maxKeys: 1 }),
  )
  .chain(([kind, extra]) =>
    fc
      .record(
        Object.fromEntries(
          Object.keys(kind.properties).map((name) => [
            name,
            name === 'sampling' ? maybe(span) : anything,
          ]),
        ),
        { requiredKeys: [] },
      )
      .map((properties) => ({ name: kind.name, ...properties, ...extra })),
  );
const groupBy = fc.record(
  {
    name: maybe(fc.constantFrom('tag', 'time', 'value', 'bin')),
    tags: maybe(fc.array(anything)),
    range_size: fc.oneof(span, anything),
    group_count: anything,
    bins: maybe(fc.array(anything)),
  },
  { requiredKeys: ['name'] },
);
const metric = fc.record(
  {
    name: maybe(fc.string({ minLength: 1 })),
    tags: maybe(fc.dictionary(fc.string(), fc.oneof(anything, fc.array(anything)))),
    limit: anything,
    order: anything,
    exclude_tags: anything,
    group_by: maybe(fc.array(maybe(groupBy), { maxLength: 2 })),
    aggregators: maybe(fc.array(maybe(aggregator), { maxLength: 2 })),
    plugins: anything,
  },
  { requiredKeys: ['name'] },
);
const query = fc.record(
  {
    start_absolute: anything,
    end_absolute: anything,
    start_relative: maybe(span),
    end_relative: maybe(span),
    time_zone: anything,
    cache_time: anything,
    plugins: anything,
    metrics: maybe(fc.array(maybe(metric), { maxLength: 2 })),
  },
  { requiredKeys: ['metrics'] },
);

test('whatever is asked is understood, refused or failed, and nothing else', {
  tags: 'heavy',
}, () => {
  fc.assert(
    fc.property(query, (json) => {
      try {
        for (const each of parseQuery(JSON.stringify(json), NOW).metrics) {
          expect(each.startMs).toBeLessThanOrEqual(each.endMs);
          expect(each.name).not.toBe('');
        }
      } catch (error) {
        expect(error).toSatisfy((e) => e instanceof QueryRefused || e instanceof QueryFailed);
      }
    }),
    { numRuns: 3_000 },
  );
});

describe('times', () => {
  const timesOf = (times: object) => {
    const text = JSON.stringify({ ...times, metrics: [{ name: 'm' }] });
    const [parsed] = parseQuery(text, NOW).metrics;
    return [parsed?.startMs, parsed?.endMs];
  };

  test('relative times count back from now, and absolute ones win', () => {
    const months = { value: 1, unit: 'months' };
    expect(timesOf({ start_relative: months })).toEqual([
      Date.parse('2024-02-29T12:00:00Z'),
      Number.POSITIVE_INFINITY,
    ]);
    expect(timesOf({ start_relative: months, end_relative: { unit: 'DAYS' } })[1]).toBe(NOW);
    expect(timesOf({ start_relative: months, start_absolute: '5', end_absolute: 6 })).toEqual([
      5, 6,
    ]);
  });
});
