/** Messages are held to a real KairosDB in test/golden/kairos-query. Here: what is good is kept, and nothing gets through. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { QueryFailed, QueryRefused } from '../../query/index.ts';
import { readDataPoints } from './data-points-body.ts';

const metric = (name: string, timestampMs: number) =>
  `{"name":"${name}","timestamp":${timestampMs},"value":${timestampMs},"tags":{"a":"b"}}`;
const point = (name: string, timestampMs: number) => ({
  metric: name,
  timestampMs,
  value: BigInt(timestampMs),
  tags: { a: 'b' },
});

test('what stands before a fault is kept', () => {
  const { points, errors, fault } = readDataPoints(
    `[${metric('x', 1)},${metric('y', 2)},{"name":}]`,
  );
  expect(points).toEqual([point('x', 1), point('y', 2)]);
  expect(errors).toEqual([]);
  expect(fault).toBeInstanceOf(QueryRefused);
});

test('a body cut off between metrics says so twice, as KairosDB does', () => {
  const { points, errors, fault } = readDataPoints(`[${metric('x', 1)},`);
  expect(points).toEqual([point('x', 1)]);
  expect(errors).toEqual(Array(2).fill('Invalid json. No content due to end of input.'));
  expect(fault).toBeUndefined();
});

test('good points of a metric are stored beside bad ones', () => {
  const body = '{"name":"x","datapoints":[[1],[2,2],[3,""]],"tags":{"a":"b"},"ttl":"60"}';
  const { points, errors } = readDataPoints(body);
  expect(points).toEqual([{ ...point('x', 2), ttlSeconds: 60 }]);
  expect(errors).toEqual([
    'metric[0](name=x).datapoints[0].value cannot be null or empty.',
    'metric[0](name=x).datapoints[1].value may not be empty.',
  ]);
});

const scalar = fc.oneof(
  fc.constantFrom(null, true, '', 'x', '1.5', '9'.repeat(30)),
  fc.integer(),
  fc.double(),
);
const value = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 2 }),
  fc.dictionary(fc.string(), scalar),
);
const metricBody = fc.record(
  {
    name: fc.oneof(fc.string(), value),
    timestamp: fc.oneof(fc.integer(), value),
    time: value,
    value,
    datapoints: fc.oneof(fc.array(fc.array(value, { maxLength: 4 }), { maxLength: 4 }), value),
    tags: fc.oneof(fc.dictionary(fc.string(), scalar), value),
    type: fc.oneof(fc.constantFrom('long', 'double', 'string', 'foo'), value),
    ttl: value,
    skip_validate: value,
  },
  { requiredKeys: [] },
);

test('any body gives points, reasons or a fault, and nothing else', { tags: 'heavy' }, () => {
  fc.assert(
    fc.property(fc.array(metricBody, { maxLength: 3 }), fc.nat(), (metrics, cut) => {
      const whole = JSON.stringify(metrics);
      for (const text of [whole, whole.slice(0, cut % (whole.length + 1))]) {
        const { points, errors, fault } = readDataPoints(text);
        for (const each of points) {
          expect(each.metric).toBeTypeOf('string');
          expect(each.timestampMs).toSatisfy(Number.isInteger);
          for (const tag of Object.values(each.tags)) expect(tag).toBeTypeOf('string');
        }
        for (const error of errors) expect(error).not.toBe('');
        expect(fault).toSatisfy(
          (f) => f === undefined || f instanceof QueryRefused || f instanceof QueryFailed,
        );
      }
    }),
    { numRuns: 3_000 },
  );
});
