/**
 * What Grafana's KairosDB data source sends, request by request, as its plugin (grafana-kairosdb-datasource) builds
 * them: the connection test, the metric picker, tag suggestions, panels with every kind of aggregator and group-by,
 * template variables and annotations. Through a browser some come without a content type or from another origin.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type KairosServerOfTest, kairosServer } from '../support/kairos-server.ts';

const START = 1_700_000_000_000;
let server: KairosServerOfTest;

beforeAll(async () => {
  server = await kairosServer();
  await server.store.connect();
  await server.store.write(
    ['web1', 'web2'].flatMap((host) =>
      Array.from({ length: 60 }, (_, n) => ({
        metric: 'cpu.load',
        tags: { host, dc: host === 'web1' ? 'eu' : 'us' },
        timestampMs: START + n * 60_000,
        value: n + 0.5,
      })),
    ),
  );
  await server.store.write([
    { metric: 'deploys', tags: { app: 'x' }, timestampMs: START + 5, value: 'v1.2 out' },
    { metric: 'cpu.idle', tags: { host: 'web1' }, timestampMs: START, value: 1n },
  ]);
});
afterAll(() => server.close());

async function send(
  method: 'GET' | 'POST' | 'OPTIONS',
  path: string,
  body?: object,
  headers: Record<string, string> = {},
) {
  const answer = await server.app.inject({
    method,
    url: `/api/v1${path}`,
    headers,
    ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
  });
  return { status: answer.statusCode, headers: answer.headers, json: () => answer.json() };
}

const panel = (metric: object, more: object = {}) =>
  send(
    'POST',
    '/datapoints/query',
    {
      cache_time: 0,
      start_absolute: START,
      end_absolute: START + 3_600_000 - 1,
      time_zone: 'UTC',
      metrics: [{ name: 'cpu.load', tags: {}, ...metric }],
      ...more,
    },
    { 'content-type': 'application/json' },
  );
const results = async (asked: ReturnType<typeof panel>) => {
  const answer = await asked;
  expect(answer.status).toBe(200);
  return answer.json().queries[0].results;
};

test('the connection test and the metric picker are answered, also from another origin', async () => {
  const origin = { origin: 'http://grafana:3000' };
  expect((await send('GET', '/version', undefined, origin)).status).toBe(200);
  expect((await send('GET', '/health/check', undefined, origin)).status).toBe(204);
  const names = await send('GET', '/metricnames', undefined, origin);
  expect(names.json().results).toEqual(['cpu.idle', 'cpu.load', 'deploys']);
  expect(names.headers['access-control-allow-origin']).toBe('*');
  const some = await send('GET', '/metricnames?containing=load&prefix=cpu.', undefined, origin);
  expect(some.json().results).toEqual(expect.arrayContaining(['cpu.load']));
  const preflight = await send('OPTIONS', '/datapoints/query', undefined, {
    ...origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'content-type',
  });
  expect(preflight.status).toBe(200);
  expect(preflight.headers['access-control-allow-headers']).toBe('content-type');
});

test('tag suggestions and template variables come from query/tags, with numbers as text and no content type', async () => {
  const ask = (tags: object) =>
    send('POST', '/datapoints/query/tags', {
      metrics: [{ name: 'cpu.load', tags }],
      cache_time: '0',
      start_absolute: String(START),
    });
  const all = (await ask({})).json().queries[0].results[0];
  expect(all).toEqual({
    name: 'cpu.load',
    tags: { dc: ['eu', 'us'], host: ['web1', 'web2'] },
    values: [],
  });
  // A variable that depends on another one, with several values chosen.
  const chosen = (await ask({ dc: ['eu', 'nowhere'] })).json().queries[0].results[0];
  expect(chosen.tags.host).toEqual(['web1']);
});

describe('a panel', () => {
  const sampling = { value: '5', unit: 'minutes' };

  test.each(['avg', 'sum', 'min', 'max', 'count', 'dev', 'first', 'last', 'least_squares', 'gaps'])(
    'with %s aligned to its sampling is answered',
    async (name) => {
      const aggregators = [{ name, align_sampling: true, align_start_time: true, sampling }];
      const [result] = await results(panel({ aggregators }));
      expect(result.values.length).toBeGreaterThan(0);
      expect(result.values[0]).toHaveLength(2);
    },
  );

  test.each([
    { name: 'percentile', percentile: '0.95', sampling },
    { name: 'diff' },
    { name: 'div', divisor: '2' },
    { name: 'rate', unit: 'minutes', sampling: { value: 1, unit: 'minutes' } },
    { name: 'sampler', unit: 'minutes' },
    { name: 'scale', factor: '0.5' },
    { name: 'sma', size: '5' },
    { name: 'trim', trim: 'both' },
    { name: 'filter', filter_op: 'lt', threshold: 10 },
  ])('with $name and its options as texts is answered', async (aggregator) => {
    const first = { name: 'avg', sampling: { value: '1', unit: 'minutes' } };
    const [result] = await results(panel({ aggregators: [first, aggregator] }));
    expect(result.values.length).toBeGreaterThan(0);
  });

  test('grouped by tag, value and time names its groups for the legend', async () => {
    const byTag = await results(panel({ group_by: [{ name: 'tag', tags: ['host'] }] }));
    expect(
      byTag.map((each: { group_by: { group?: object }[] }) => each.group_by[0]?.group),
    ).toEqual([{ host: 'web1' }, { host: 'web2' }]);
    const both = [
      { name: 'value', range_size: '20' },
      { name: 'time', group_count: '2', range_size: { value: '30', unit: 'minutes' } },
    ];
    const grouped = await results(panel({ group_by: both }));
    expect(grouped.length).toBe(4);
  });

  test('with a relative time, a limit, an order and several queries answers each', async () => {
    const answer = await send('POST', '/datapoints/query', {
      start_relative: { value: '20', unit: 'years' },
      end_relative: { value: '1', unit: 'hours' },
      metrics: [
        { name: 'cpu.load', tags: { host: ['web1'] }, limit: 2, order: 'desc' },
        { name: 'no such metric', aggregators: [{ name: 'sum', sampling }] },
      ],
    });
    const { queries } = answer.json();
    expect(queries).toHaveLength(2);
    expect(queries[0].results[0].values.length).toBe(2);
    expect(queries[1].results).toEqual([{ name: 'no such metric', tags: {}, values: [] }]);
  });

  test('that asks for something wrong gets the reason in `errors`, which Grafana shows', async () => {
    const answer = await panel({ aggregators: [{ name: 'nope' }] });
    expect(answer.status).toBe(400);
    expect(answer.json().errors).toEqual([
      'query.metric[0].aggregators[0].nope invalid aggregators name',
    ]);
  });
});

test('annotations are texts with their times', async () => {
  const answer = await send('POST', '/datapoints/query', {
    start_absolute: START,
    end_absolute: START + 60_000,
    metrics: [{ name: 'deploys', tags: { app: ['x'] } }],
  });
  const [result] = answer.json().queries[0].results;
  expect(result.values).toEqual([[START + 5, 'v1.2 out']]);
  expect(result.group_by).toEqual([{ name: 'type', type: 'text' }]);
});
