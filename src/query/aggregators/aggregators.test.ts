/** Results are held to a real KairosDB in test/golden/kairos-query. Here: what it can not show. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseQuery } from '../parse/query.ts';
import type { PointSink, QueryValue } from '../point.ts';
import type { GroupFrame } from './index.ts';

type Points = readonly (readonly [number, QueryValue])[];
const NOW = 1e12;

/** Runs aggregators over the points of each group, one group after the other. */
function run(
  aggregators: readonly object[],
  groups: readonly Points[],
  more: object = {},
  give: (sink: PointSink, points: Points) => void = oneByOne,
) {
  const json = {
    start_absolute: 0,
    end_absolute: 100_000,
    time_zone: 'UTC',
    metrics: [{ name: 'm', aggregators }],
    ...more,
  };
  const [metric] = parseQuery(JSON.stringify(json), NOW).metrics;
  const saved: unknown[] = [];
  const results = groups.map((points) => {
    const out: [number, QueryValue][] = [];
    const frame: GroupFrame = {
      metric: 'm',
      tags: new Map([
        ['host', new Set(['a'])],
        ['dc', new Set(['x', 'y'])],
      ]),
      save: (each) => saved.push(...each),
    };
    const last: PointSink = { push: (at, value) => out.push([at, value]), end: () => {} };
    const sink = (metric?.aggregators ?? []).reduceRight(
      (next, aggregator) => aggregator.open(next, frame),
      last,
    );
    give(sink, points);
    sink.end();
    return out;
  });
  return { results, saved };
}

function oneByOne(sink: PointSink, points: Points): void {
  for (const [at, value] of points) sink.push(at, value);
}

const second = { sampling: { value: 1, unit: 'seconds' } };

test('a percentile is exact beyond the 1,028 points that KairosDB samples', {
  tags: 'heavy',
}, () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), {
        minLength: 1_029,
        maxLength: 1_500,
      }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (values, p) => {
        const points = values.map((value, i) => [i % 1_000, value] as const);
        const { results } = run([{ name: 'percentile', percentile: p, ...second }], [points]);
        const sorted = Float64Array.from(values).sort();
        const at = p * (sorted.length + 1);
        const low = sorted[Math.min(Math.max(Math.floor(at), 1), sorted.length) - 1] as number;
        const high = sorted[Math.min(Math.max(Math.ceil(at), 1), sorted.length) - 1] as number;
        const result = results[0]?.[0]?.[1] as number;
        expect(result).toBeGreaterThanOrEqual(low);
        expect(result).toBeLessThanOrEqual(high);
      },
    ),
    { numRuns: 20 },
  );
});

test('columns give what the same points give one by one', () => {
  const names = ['avg', 'count', 'dev', 'max', 'min', 'percentile', 'sum'];
  const point = fc.tuple(
    fc.integer({ min: 0, max: 99_999 }),
    fc.oneof(fc.double({ noNaN: true }), fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n })),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.array(point, { minLength: 1, maxLength: 100 }),
      fc.integer({ min: 1, max: 40 }),
      (name, given, size) => {
        const points = given.toSorted(([a], [b]) => a - b);
        const own = name === 'percentile' ? { percentile: 0.9 } : {};
        const aggregator = { name, ...own, ...second };
        const times = Float64Array.from(points, ([at]) => at);
        const numbers = Float64Array.from(points, ([, value]) => Number(value));
        const inColumns = (sink: PointSink) => {
          for (let from = 0; from < points.length; from += size) {
            const to = Math.min(from + size, points.length);
            const columns = {
              times: times.slice(from),
              numbers: numbers.slice(from),
              count: to - from,
            };
            (sink.pushNumbers as NonNullable<PointSink['pushNumbers']>).call(sink, columns);
          }
        };
        expect(run([aggregator], [points], {}, inColumns)).toEqual(run([aggregator], [points]));
      },
    ),
  );
});

describe('gaps', () => {
  const points: Points = [
    [3_000, 1],
    [5_500, 2n],
  ];

  test('mark every bucket of the query that has no point', () => {
    const { results } = run([{ name: 'gaps', ...second }], [points], { end_absolute: 6_500 });
    expect(results[0]).toEqual([
      [0, null],
      [1_000, null],
      [2_000, null],
      [3_000, 1],
      [4_000, null],
      [5_500, 2n],
      [6_000, null],
    ]);
  });

  test('stop at now, however far the query goes', () => {
    const { results } = run([{ name: 'gaps', sampling: { value: 1, unit: 'years' } }], [[]], {
      end_absolute: undefined,
    });
    expect(results[0]?.at(-1)?.[0]).toBe(Date.UTC(2001, 0, 1));
  });

  test('that no answer could hold are refused before they are made', () => {
    expect(() => run([{ name: 'gaps' }], [[]], { end_absolute: undefined })).toThrow(
      'gaps: ask for',
    );
    const far: Points = [[1e11, 1]];
    expect(() => run([{ name: 'gaps' }], [far])).toThrow('gaps: ask for');
  });

  test('fail what looks at their value, and a score without thresholds does not', () => {
    const gaps = { name: 'gaps', ...second };
    const ask = (thresholds: readonly object[]) =>
      run([gaps, { name: 'score', thresholds }], [[]], { end_absolute: 1_500 }).results[0];
    expect(() => ask([{ value: 4 }])).toThrow('No aggregator can be chained after');
    expect(ask([])).toEqual([
      [0, 0],
      [1_000, 0],
    ]);
  });

  test('trimmed, begin with the first point of the first group only', () => {
    const { results } = run([{ name: 'gaps', ...second, trim: true }], [points, points]);
    expect(results[0]?.map(([at]) => at)).toEqual([3_000, 4_000, 5_500]);
    expect(results[1]?.map(([at]) => at)).toEqual([0, 1_000, 2_000, 3_000, 4_000, 5_500]);
  });
});

test('a chain of samplings sums what one sampling sums, whatever the points', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 99_999 }), { minLength: 1 }), (times) => {
      const points = times.sort((a, b) => a - b).map((at) => [at, BigInt(at)] as const);
      const minute = { sampling: { value: 1, unit: 'minutes' } };
      const direct = run([{ name: 'sum', ...minute }], [points]).results[0];
      const sum = { name: 'sum', align_start_time: true };
      const chained = run(
        [
          { ...sum, ...second },
          { ...sum, ...minute },
        ],
        [points],
      ).results[0];
      expect(chained?.map(([, value]) => value)).toEqual(direct?.map(([, value]) => value));
    }),
  );
});

test('save_as stores what passes, without gaps, with the tags that the whole group shares', () => {
  const points: Points = [
    [1_000, 1],
    [2_000, null],
    [3_000, 'x'],
  ];
  const aggregators = [{ name: 'save_as', metric_name: 'copy', tags: { by: 5 }, ttl: 60 }];
  const group_by = [{ name: 'tag', tags: ['host', 'dc'] }];
  const { results, saved } = run([], [points], {
    metrics: [{ name: 'm', aggregators, group_by }],
  });
  expect(results[0]).toEqual(points);
  const common = { metric: 'copy', ttlSeconds: 60, tags: { by: '5', saved_from: 'm', host: 'a' } };
  expect(saved).toEqual([
    { ...common, timestampMs: 1_000, value: 1 },
    { ...common, timestampMs: 3_000, value: 'x' },
  ]);
});

test('two points at one time have no rate', () => {
  const points: Points = [
    [1_000, 1],
    [1_000, 2],
  ];
  for (const name of ['rate', 'sampler']) {
    expect(() => run([{ name }], [points])).toThrow(
      `You must precede ${name} with another aggregator.`,
    );
  }
});

test('a point in the second pass of a repeated hour, behind the edge of its bucket, is answered', () => {
  const day = Date.UTC(2024, 9, 27);
  const minutes = (n: number) => day + n * 60_000;
  // Days of Berlin from 02:53:58; on the 27th that comes twice, and the edge is the first.
  const start_absolute = Date.UTC(2024, 6, 11, 0, 53, 58);
  const days = { sampling: { value: 1, unit: 'days' }, align_sampling: false };
  const points: Points = [
    [minutes(30), 1],
    [minutes(90), 2],
    [minutes(120), 4],
  ];
  const { results } = run([{ name: 'sum', ...days }], [points], {
    start_absolute,
    end_absolute: minutes(600),
    time_zone: 'Europe/Berlin',
  });
  expect(results[0]).toEqual(points);
});
