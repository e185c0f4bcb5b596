/** Rollup tasks over HTTP. Statuses and texts were asked of a real KairosDB 1.3.0. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fakeEngine } from '../../../test/support/fake-engine.ts';
import { standIn } from '../../../test/support/stand-in.ts';
import { embeddedWideRows } from '../../databases/embedded/index.ts';
import { KairosStore } from '../../databases/kairos/index.ts';
import { RollupTasks } from '../../jobs/index.ts';
import { createServer } from '../server.ts';

let directory: string;
let store: KairosStore;
let app: FastifyInstance;

beforeAll(async () => {
  const kairos = standIn(() => store, ['rows']);
  app = await createServer({ ...(await fakeEngine()), kairos });
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-rollups-api-'));
  store = new KairosStore({ rows: embeddedWideRows({ dataDirectory: directory }) });
});
afterAll(() => app.close());
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const ask = (method: InjectOptions['method'], path: string, payload?: object | string) =>
  app.inject({
    method: method as 'GET',
    url: `/api/v1${path}`,
    ...(payload === undefined ? {} : { payload, headers: { 'content-type': 'application/json' } }),
  });
const sum = { name: 'sum', sampling: { value: 5, unit: 'seconds' } };
const rollup = (metric: object = { name: 'in', aggregators: [sum] }, more: object = {}) => ({
  save_as: 'out',
  query: { start_relative: { value: 1, unit: 'hours' }, metrics: [metric] },
  ...more,
});
const hourly = { value: 1, unit: 'hours' };
const task = { name: 'r1', execution_interval: hourly, extra: 5, rollups: [rollup()] };
const refusalOf = async (body: object | string) => {
  const answer = await ask('POST', '/rollups', body);
  return [answer.statusCode, ...answer.json().errors];
};

describe('a task', () => {
  test('is kept as it was sent, compactly, its id first', async () => {
    const made = await ask('POST', '/rollups', JSON.stringify(task, null, 2));
    const { id } = made.json();
    expect(made.statusCode).toBe(200);
    expect(made.body).toBe(
      `{"id":"${id}","name":"r1","attributes":{"url":"/api/v1/rollups/${id}"}}`,
    );
    const stored = JSON.stringify({ id, ...task });
    expect((await ask('GET', `/rollups/${id}`)).body).toBe(stored);
    expect((await ask('GET', '/rollups')).body).toBe(`[${stored}]`);
    const inIndex = await store.rows.readServiceValue('_Rollups', 'Config', id);
    expect(inIndex?.value).toBe(stored);
  });

  test('with an id of its own keeps it where it stands; an empty one counts as none', async () => {
    const own = { ...task, id: 'own' };
    expect((await ask('POST', '/rollups', own)).json().id).toBe('own');
    expect((await ask('GET', '/rollups/own')).body).toBe(JSON.stringify(own));
    for (const none of ['', null]) {
      const { id } = (await ask('POST', '/rollups', { ...task, id: none })).json();
      expect((await ask('GET', `/rollups/${id}`)).body).toBe(JSON.stringify({ id, ...task }));
    }
  });

  test('is told of, and how its last run went, with the signs escaped that Gson escapes', async () => {
    const name = "<a>&='\u2028";
    const escaped = '\\u003ca\\u003e\\u0026\\u003d\\u0027\\u2028';
    for (const answer of [
      await ask('POST', '/rollups', { ...task, id: 'escaped', name }),
      await ask('PUT', '/rollups/escaped', { ...task, name }),
    ]) {
      expect(answer.body).toContain(`"name":"${escaped}",`);
    }
    await new RollupTasks(store.rows).putStatus('escaped', {
      statuses: [
        {
          metricName: name,
          lastExecutionTime: 0,
          dataPointCount: 0,
          executionLength: 0,
          errorMessage: name,
        },
      ],
      executingHost: 'h',
      nextScheduledMs: 0,
    });
    const { body } = await ask('GET', '/rollups/status/escaped');
    expect(body).toContain(`"metric_name":"${escaped}",`);
    expect(body).toContain(`"error_message":"${escaped}",`);
  });

  test('made by a Java server is listed, changed and deleted here', async () => {
    await store.connect();
    const json = JSON.stringify({ id: 'of-java', ...task });
    await store.rows.writeServiceValue('_Rollups', 'Config', 'of-java', json);
    expect((await ask('GET', '/rollups/of-java')).body).toBe(json);
    const changed = await ask('PUT', '/rollups/of-java', { ...task, name: 'r2' });
    expect(changed.json()).toMatchObject({ id: 'of-java', name: 'r2' });
    expect((await ask('GET', '/rollups/of-java')).json()).toMatchObject({
      id: 'of-java',
      name: 'r2',
    });
    expect((await ask('DELETE', '/rollups/of-java')).statusCode).toBe(204);
    expect((await ask('GET', '/rollups')).body).toBe('[]');
  });

  test('that is no JSON any more hides no other, says so, and can be deleted', async () => {
    const { id } = (await ask('POST', '/rollups', task)).json();
    await store.rows.writeServiceValue('_Rollups', 'Config', 'bad', 'bad{"id":"",bad');
    expect((await ask('GET', '/rollups')).json()).toEqual([{ id, ...task }]);
    const answer = await ask('GET', '/rollups/bad');
    expect([answer.statusCode, answer.json().errors]).toEqual([
      500,
      ['What is stored as task bad is no JSON'],
    ]);
    expect((await ask('DELETE', '/rollups/bad')).statusCode).toBe(204);
    expect((await ask('GET', '/rollups/bad')).statusCode).toBe(404);
  });

  test('that is not there is 404, by any method', async () => {
    for (const method of ['GET', 'PUT', 'DELETE'] as const) {
      const answer = await ask(method, '/rollups/nope', method === 'PUT' ? task : undefined);
      expect([answer.statusCode, answer.body]).toEqual([
        404,
        '{"errors":["Resource not found for id nope"]}',
      ]);
    }
    expect((await ask('GET', '/rollups/status/nope')).json()).toEqual({
      errors: ['Status not found for id nope'],
    });
    expect((await ask('PATCH', '/rollups/x')).headers.allow).toBe('HEAD,DELETE,GET,OPTIONS,PUT');
    expect((await ask('PUT', '/rollups', task)).headers.allow).toBe('HEAD,POST,GET,OPTIONS');
  });
});

describe('a wrong task', () => {
  test.each([
    [{}, 400, 'name may not be null', 'executionInterval may not be null'],
    [{ ...task, name: '' }, 400, 'name may not be empty'],
    [{ name: 'x' }, 400, 'executionInterval may not be null'],
    [
      { name: 'x', execution_interval: { value: 1, unit: 'fortnights' } },
      500,
      'is not a valid time unit, must be one of MILLISECONDS,SECONDS,MINUTES,HOURS,DAYS,WEEKS,MONTHS,YEARS',
    ],
    [
      { name: 'x', execution_interval: 5 },
      500,
      'java.lang.IllegalStateException: Expected BEGIN_OBJECT but was NUMBER',
    ],
    [
      { name: 'x', execution_interval: { value: 'a', unit: 'hours' } },
      500,
      'java.lang.NumberFormatException: For input string: "a"',
    ],
    [{ ...task, rollups: [{}] }, 400, 'rollup[0].saveAs may not be null'],
    [{ ...task, rollups: [{ save_as: '' }] }, 400, 'rollup[0].saveAs may not be empty'],
    [{ ...task, rollups: [{ save_as: 'a' }] }, 500, 'cannot validate null'],
    [{ ...task, rollups: [5] }, 500, 'Not a JSON Object: 5'],
    [
      { ...task, rollups: [{ save_as: 'a', query: {} }] },
      400,
      'rollup[0]query.metric[] must have a size of at least 1',
    ],
    [
      { ...task, rollups: [rollup({ name: 'm', aggregators: [{ name: 'rate' }] })] },
      400,
      'rollup[0].query[0].aggregator At least one aggregator must be a range aggregator',
    ],
    [
      { ...task, rollups: [rollup({ name: 'm', aggregators: [{ name: 'nope' }] })] },
      400,
      'rollup[0].query.metric[0].aggregators[0].nope invalid aggregators name',
    ],
    [
      { ...task, rollups: [rollup({ name: 'm', aggregators: [{ ...sum, nope: 1 }] })] },
      500,
      "Property 'nope' was specified for object 'sum' but no matching setter was found on 'class org.kairosdb.core.aggregator.SumAggregator'",
    ],
    [
      { ...task, rollups: [rollup(), rollup({ name: '' })] },
      400,
      'rollup[0].query[0]rollup[1].query.metric[0].name may not be empty',
    ],
    [
      { ...task, rollups: [rollup(), { save_as: '' }] },
      400,
      'rollup[0].query[0]rollup[1].saveAs may not be empty',
    ],
    ['[]', 500, 'Not a JSON Object: []'],
    ['{"name":', 500, 'java.io.EOFException: End of input at line 1 column 9'],
  ])('%j is refused as KairosDB refuses it', async (body, ...expected) => {
    expect(await refusalOf(body)).toEqual(expected);
  });

  test('may still have no rollups, and an interval without a unit', async () => {
    for (const body of [
      { name: 5, execution_interval: { value: 1 }, rollups: [] },
      { name: 'x', execution_interval: { value: -1, unit: 'hours' } },
      { ...task, rollups: [{ save_as: 'a', query: { start_absolute: 0, metrics: [] } }] },
    ]) {
      expect((await ask('POST', '/rollups', body)).statusCode).toBe(200);
    }
  });
});

describe('a backfill', () => {
  test('makes the points of a range, with the tags that were grouped by', async () => {
    await store.connect();
    const startMs = Date.UTC(2024, 0, 1);
    await store.write(
      ['a', 'b'].flatMap((host) =>
        Array.from({ length: 20 }, (_, i) => ({
          metric: 'in',
          tags: { host, dc: `of ${host}` },
          timestampMs: startMs + i * 1_000,
          value: 1n,
          ttlSeconds: 0,
        })),
      ),
    );
    const grouped = { name: 'in', aggregators: [sum], group_by: [{ name: 'tag', tags: ['host'] }] };
    const { id } = (await ask('POST', '/rollups', { ...task, rollups: [rollup(grouped)] })).json();
    const times = 'startTime=2024-01-01-00-00-00-000&endTime=2024-01-01-00-00-12-000';
    expect((await ask('GET', `/rollups/backfill/${id}?${times}`)).statusCode).toBe(204);
    const [answer] = (
      await ask('POST', '/datapoints/query', {
        start_absolute: startMs,
        metrics: [{ name: 'out', group_by: [{ name: 'tag', tags: ['host'] }] }],
      })
    ).json().queries;
    expect(answer.results.map((each: { tags: object }) => each.tags)).toEqual([
      { host: ['a'], saved_from: ['in'] },
      { host: ['b'], saved_from: ['in'] },
    ]);
    // The bucket that holds the end is made too, and the edge behind it is included, as KairosDB does.
    expect(answer.results[0].values).toEqual([
      [startMs, 5],
      [startMs + 5_000, 5],
      [startMs + 10_000, 5],
      [startMs + 15_000, 1],
    ]);
  });

  test.each([
    ['x', '', 500, 'startTime must be specified'],
    ['x', '?startTime=xx', 500, 'Unparseable date: "xx"'],
    ['x', '?startTime=2024-01-01-00-00-00-000', 404, 'Resource not found for id x'],
  ])('of %s%s is %i', async (id, query, status, message) => {
    const answer = await ask('GET', `/rollups/backfill/${id}${query}`);
    expect([answer.statusCode, ...answer.json().errors]).toEqual([status, message]);
  });
});
