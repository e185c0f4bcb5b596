import { gzipSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeEngine, fakeEngine } from '../../test/support/fake-engine.ts';
import { standIn } from '../../test/support/stand-in.ts';
import { PoisonError } from '../model/index.ts';
import { ManualClock, Secret } from '../runtime/index.ts';
import { catalogue } from './errors.ts';
import { createServer, type ServerOptions } from './server.ts';

const NOW = Date.UTC(2026, 0, 2);
const NDJSON = { 'content-type': 'application/x-ndjson' };

let engine: FakeEngine;
/** For all tests that want no options of their own. */
let usual: FastifyInstance;
let app: FastifyInstance;
beforeAll(async () => {
  engine = await fakeEngine();
  usual = await createServer(
    standIn(() => engine),
    { clock: new ManualClock(NOW) },
  );
});
beforeEach(async () => {
  engine = await fakeEngine();
  app = usual;
});
afterEach(async () => {
  if (app !== usual) await app.close();
});
afterAll(() => usual.close());

async function restart(options: ServerOptions): Promise<void> {
  app = await createServer(engine, options);
}

const get = (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers });
const post = (url: string, payload: string | Buffer | object, headers = {}) =>
  app.inject({ method: 'POST', url, payload, headers });

async function expectProblem(
  answer: Promise<{ statusCode: number; headers: object; json(): unknown }>,
  code: keyof typeof catalogue,
) {
  const reply = await answer;
  expect(reply.headers).toMatchObject({
    'content-type': 'application/problem+json; charset=utf-8',
  });
  const problem = reply.json() as Record<string, unknown>;
  expect(problem).toMatchObject({ code, status: reply.statusCode, type: `/docs#${code}` });
  expect(reply.statusCode).toBe(catalogue[code].status);
  return problem as { detail: string; errors: { field?: string; message: string }[] };
}

describe('publishing', () => {
  const records = (topic: string) =>
    get(`/v1/topics/${topic}/records`).then((r) => r.json().records);

  test('stores each line’s bytes as they are and answers with offsets', {
    tags: 'heavy',
  }, async () => {
    const lines = ['{"validator":"a",  "n":12345678901234567890}', '{"validator":"b"}\t'];
    const reply = await post('/v1/topics/votes/records', `${lines.join('\r\n')}\n\n`, NDJSON);
    expect(reply.statusCode).toBe(200);
    expect(reply.json()).toEqual({
      count: 2,
      offsets: [
        { partition: 0, offset: 0 },
        { partition: 1, offset: 0 },
      ],
    });
    for (const [partition, line] of lines.entries()) {
      const batch = await engine.broker.read({ topic: 'votes', partition, from: 0 });
      expect(batch!.bytes.toString('utf8', batch!.valueStart[0], batch!.valueEnd[0])).toBe(line);
      expect(batch!.bytes.toString('utf8', batch!.keyStart[0], batch!.keyEnd[0])).toBe(
        'ab'[partition],
      );
    }
  });

  test('lines that are no JSON are stored where no key must be found', async () => {
    expect((await post('/v1/topics/plain/records', 'not json\n{', NDJSON)).json().count).toBe(2);
    expect(await records('plain')).toMatchObject([
      { key: null, value: 'not json' },
      { key: null, value: '{' },
    ]);
  });

  test('where a key must be found, bad lines are listed and nothing is stored', async () => {
    const body = '{"validator":"a"}\nnonsense\n\n{"voter":"b"}\n{"validator":7}\n[]';
    const problem = await expectProblem(
      post('/v1/topics/votes/records', body, NDJSON),
      'RECORDS_INVALID',
    );
    expect(problem.errors).toMatchObject([
      { line: 2, code: 'NOT_JSON' },
      { line: 4, code: 'FIELD_INVALID', field: 'validator' },
      { line: 5, code: 'FIELD_INVALID' },
      { line: 6, code: 'FIELD_INVALID' },
    ]);
    expect(await records('votes')).toEqual([]);
  });

  test('reasons are bounded however many lines are bad', { tags: 'heavy' }, async () => {
    const problem = await expectProblem(
      post('/v1/topics/votes/records', 'x\n'.repeat(5_000), NDJSON),
      'RECORDS_INVALID',
    );
    expect(problem.errors).toHaveLength(100);
    expect(problem.detail).toContain('5000 of the records');
    expect(problem.detail).toContain('4900 more');
  });

  test('a JSON body carries keys, times, tombstones and every digit of numbers', async () => {
    const body =
      '{"records":[{"key":"k","value":{"n":12345678901234567890,"f":1e400,"s":1.5},"timestamp":5},' +
      '{"value":"text","timestamp":"1970-01-01T00:00:00.007Z"},{"key":"gone","value":null}]}';
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    expect((await post('/v1/topics/plain/records', body, headers)).json().count).toBe(3);
    const page = await get('/v1/topics/plain/records');
    expect(page.body).toContain('"value":{"n":12345678901234567890,"f":1e400,"s":1.5}');
    expect(await records('plain')).toMatchObject([
      { key: 'k', timestamp: 5 },
      { key: null, timestamp: 7, value: 'text' },
      { key: 'gone', value: null },
    ]);
  });

  test('a key in a JSON body comes before the topic’s key field', async () => {
    const body = { records: [{ key: 'mine', value: {} }, { value: { validator: 'v' } }] };
    expect((await post('/v1/topics/votes/records', body)).statusCode).toBe(200);
    const keys = [
      (await get('/v1/topics/votes/records?partition=0')).json().records[0].key,
      (await get('/v1/topics/votes/records?partition=1')).json().records[0].key,
    ];
    expect(keys).toEqual(['mine', 'v']);
  });

  test.each([
    [{ records: [{ key: 1, value: 1 }] }, 'key: expected a text'],
    [{ records: [{ valeu: 1 }] }, 'did you mean value?'],
    [{ records: [{}] }, 'value: is missing'],
    [{ records: [7] }, 'record: expected an object'],
    [{ records: [{ value: 1, timestamp: 'soon' }] }, 'timestamp: expected ms or ISO 8601'],
    [{ records: [{ value: 1, timestamp: -1 }] }, 'timestamp'],
    [{ records: [{ value: 1, timestamp: 1.5 }] }, 'timestamp'],
  ])('a JSON body of %j is refused by record', async (body, message) => {
    const problem = await expectProblem(post('/v1/topics/plain/records', body), 'RECORDS_INVALID');
    expect(problem.errors[0]).toMatchObject({
      record: 0,
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ['[]', 'FIELD_INVALID'],
    ['{"validator":"x"}', 'FIELD_INVALID'],
    ['{"records":{}}', 'FIELD_INVALID'],
    ['{"records":[],"recrods":[]}', 'FIELD_INVALID'],
    ['1.0', 'FIELD_INVALID'],
    ['{"records":[', 'NOT_JSON'],
    ['{"records":[]}', 'BODY_EMPTY'],
    ['', 'BODY_EMPTY'],
  ] as const)('a JSON body of %s is refused', async (body, code) => {
    const headers = { 'content-type': 'application/json' };
    await expectProblem(post('/v1/topics/plain/records', body, headers), code);
  });

  test('gzip bodies are unpacked, their unpacked size is what is limited', {
    tags: 'heavy',
  }, async () => {
    const headers = { ...NDJSON, 'content-encoding': 'gzip' };
    const lines = gzipSync('{"a":1}\n{"a":2}\n');
    expect((await post('/v1/topics/plain/records', lines, headers)).json().count).toBe(2);
    const bomb = gzipSync(Buffer.alloc(17 * 1_024 * 1_024, 0x61));
    await expectProblem(post('/v1/topics/plain/records', bomb, headers), 'PAYLOAD_TOO_LARGE');
    await expectProblem(post('/v1/topics/plain/records', 'no gzip', headers), 'BAD_REQUEST');
    const unknown = { ...NDJSON, 'content-encoding': 'rot13' };
    await expectProblem(post('/v1/topics/plain/records', 'x', unknown), 'UNSUPPORTED_MEDIA_TYPE');
  });

  test('too large, of another kind, empty, unknown and internal are each refused', async () => {
    await restart({ bodyBytesMax: 1_024 });
    const url = '/v1/topics/plain/records';
    await expectProblem(post(url, 'x'.repeat(1_025), NDJSON), 'PAYLOAD_TOO_LARGE');
    await expectProblem(post(url, 'x', { 'content-type': 'text/xml' }), 'UNSUPPORTED_MEDIA_TYPE');
    await expectProblem(post(url, 'x', { 'content-type': ';;' }), 'UNSUPPORTED_MEDIA_TYPE');
    await expectProblem(post(url, '\n \r\n'.replace(' ', ''), NDJSON), 'BODY_EMPTY');
    const unknown = await expectProblem(
      post('/v1/topics/plian/records', 'x', NDJSON),
      'UNKNOWN_TOPIC',
    );
    expect(unknown.detail).toContain('did you mean plain?');
    await expectProblem(post('/v1/topics/tidemark.state/records', 'x', NDJSON), 'INTERNAL_TOPIC');
  });
});

describe('pages', () => {
  const page = async (query: string) => (await get(`/v1/topics/plain/records?${query}`)).json();

  test('follow one another by next, whatever the limit', async () => {
    engine.broker.put('plain', 0, ...Array.from({ length: 250 }, (_, i) => `${i}`));
    const seen: number[] = [];
    let next = 0;
    for (let pages = 0; pages < 4; pages++) {
      const { records, next: following } = await page(`limit=77&from=${next}`);
      seen.push(...records.map((record: { value: number }) => record.value));
      next = following;
    }
    expect(seen).toEqual(Array.from({ length: 250 }, (_, i) => i));
    expect(await page(`from=${next}`)).toEqual({ records: [], next: 250 });
    expect((await page('')).records).toHaveLength(100);
  });

  test('start at the beginning, the end, an offset or a time', async () => {
    const timed = [10, 20, 30].map((timestamp) => ({
      key: null,
      value: `${timestamp}`,
      timestamp,
    }));
    await engine.broker.append('plain', timed);
    const values = async (from: string) =>
      (await page(`from=${encodeURIComponent(from)}`)).records.map(
        (r: { value: number }) => r.value,
      );
    expect(await values('beginning')).toEqual([10, 20, 30]);
    expect(await values('latest')).toEqual([]);
    expect(await values('1')).toEqual([20, 30]);
    expect(await values('1970-01-01T00:00:00.015Z')).toEqual([20, 30]);
    expect(await values('0000000000015')).toEqual([20, 30]);
    engine.broker.trim('plain', 0, 2);
    expect(await values('0')).toEqual([30]);
  });

  test('give JSON as JSON, text as text, other bytes as base64, nothing as null', async () => {
    engine.broker.put('plain', 0, '{"a":\n1}', 'text', Buffer.from([0xff, 0xfe]), null, 'null', '');
    expect((await page('')).records).toMatchObject([
      { value: { a: 1 } },
      { value: 'text' },
      { value: '//4=', encoding: 'base64' },
      { value: null },
      { value: null },
      { value: '' },
    ]);
    await engine.broker.append('plain', [{ key: Buffer.from([0xff]), value: '1' }]);
    expect((await page('from=6')).records).toMatchObject([{ key: '/w==', keyEncoding: 'base64' }]);
  });

  test('end early rather than fill memory', { tags: 'heavy' }, async () => {
    const large = `"${'x'.repeat(3_000_000)}"`;
    engine.broker.put('plain', 0, ...Array.from({ length: 8 }, () => large));
    const { records, next } = await page('limit=8');
    expect(records).toHaveLength(6);
    expect(next).toBe(6);
  });

  test.each([
    ['limit=0', 'FIELD_INVALID'],
    ['limit=10001', 'FIELD_INVALID'],
    ['limit=many', 'FIELD_INVALID'],
    ['limit=1e999', 'FIELD_INVALID'],
    ['partition=Infinity', 'FIELD_INVALID'],
    ['limit=1&limit=2', 'FIELD_INVALID'],
    ['partition=-1', 'FIELD_INVALID'],
    ['partition=1', 'UNKNOWN_PARTITION'],
    ['from=yesterday', 'FIELD_INVALID'],
    ['from=', 'FIELD_INVALID'],
    ['form=0', 'FIELD_INVALID'],
  ] as const)('?%s is refused', async (query, code) => {
    await expectProblem(get(`/v1/topics/plain/records?${query}`), code);
  });

  test('of an unknown topic are refused, also when its name is no name', async () => {
    for (const name of ['nope', '%00', 'a%2Fb', 'x'.repeat(300), '__proto__']) {
      await expectProblem(get(`/v1/topics/${name}/records`), 'UNKNOWN_TOPIC');
    }
  });
});

describe('operations', () => {
  test('health and readiness are 200 when well and 503 with reasons when not', async () => {
    expect((await get('/health')).json()).toMatchObject({ status: 'ok', reasons: [] });
    expect((await get('/ready')).json()).toMatchObject({ status: 'ready', reasons: [] });
    engine.state = Object.assign(engine.state, {
      ready: false,
      healthy: false,
      reasons: ['task 0 failed: mend it'],
    });
    for (const url of ['/health', '/ready']) {
      const reply = await get(url);
      expect(reply.statusCode).toBe(503);
      expect(reply.json().reasons).toEqual(['task 0 failed: mend it']);
    }
  });

  test('metrics are Prometheus text and count the requests by route', async () => {
    await get('/v1/live/validators/a');
    const reply = await get('/metrics');
    expect(reply.headers['content-type']).toContain('text/plain');
    expect(reply.body).toMatch(
      /api_requests_total\{method="GET",route="\/v1\/live\/validators\/:id",status="200"\} \d+/,
    );
    expect(reply.body).toContain('api_request_duration_seconds_bucket');
  });

  test('topics are listed with offsets and watermarks, internal ones on demand', async () => {
    engine.broker.put('votes', 0, '{}');
    expect((await get('/v1/topics')).json().topics).toEqual([
      {
        name: 'plain',
        partitions: [{ partition: 0, firstOffset: 0, nextOffset: 0, watermark: null }],
      },
      {
        name: 'votes',
        partitions: [
          { partition: 0, firstOffset: 0, nextOffset: 1, watermark: 1_700_000_000_000 },
          { partition: 1, firstOffset: 0, nextOffset: 0, watermark: null },
        ],
      },
    ]);
    const all = (await get('/v1/topics?internal=true')).json().topics;
    expect(all.map((topic: { name: string }) => topic.name)).toContain('tidemark.state');
  });

  test('topologies are listed and described, an unknown one is refused with the nearest', async () => {
    const { topologies } = (await get('/v1/topologies')).json();
    expect(topologies[0]).toMatchObject({
      name: 'vote-latency',
      tasks: [{ offsets: [{ lag: 5 }] }],
    });
    expect((await get('/v1/topologies/vote-latency')).json()).toEqual(topologies[0]);
    const problem = await expectProblem(get('/v1/topologies/vote-latncy'), 'UNKNOWN_TOPOLOGY');
    expect(problem.detail).toContain('did you mean vote-latency?');
  });

  test('backlogs are listed, flushed and cleared by sink', async () => {
    expect((await get('/v1/backlog')).json().sinks).toHaveLength(2);
    const url = '/v1/backlog/kairos.vote_latency';
    expect((await app.inject({ method: 'POST', url: `${url}/flush` })).json()).toEqual({
      sink: 'kairos.vote_latency',
      flushed: true,
    });
    expect((await app.inject({ method: 'POST', url: `${url}/clear` })).json()).toEqual({
      sink: 'kairos.vote_latency',
      dropped: 7,
    });
    await expectProblem(post('/v1/backlog/kairos/flush', {}), 'UNKNOWN_SINK');
  });
});

describe('live', () => {
  test('validators come sorted as asked, with defaults', async () => {
    const reply = await get('/v1/live/validators?sort=count&limit=2');
    expect(reply.json().validators).toHaveLength(2);
    expect(reply.json().validators[0]).toMatchObject({
      id: 'a',
      open: { p99: 3, final: false },
      closed: null,
      lastSlot: 42,
      movingAverage: 2.5,
      asOf: { offset: 9, watermark: 1_700_000_000_500 },
    });
    await get('/v1/live/validators');
    expect(engine.asked).toEqual([
      { sort: 'count', limit: 2 },
      { sort: 'p99', limit: 100 },
    ]);
  });

  test('one validator and one network are given, unknown ones refused', async () => {
    expect((await get('/v1/live/validators/a')).json().id).toBe('a');
    expect((await get('/v1/live/networks/testnet')).json().id).toBe('testnet');
    await expectProblem(get('/v1/live/validators/zz'), 'UNKNOWN_VALIDATOR');
    await expectProblem(get('/v1/live/networks/zz'), 'UNKNOWN_NETWORK');
    await expectProblem(get('/v1/live/validators?sort=p98'), 'FIELD_INVALID');
    await expectProblem(get('/v1/live/validators?limit=-1'), 'FIELD_INVALID');
  });

  test('an answer with a number that is none is an answer still', async () => {
    const { validator } = engine.live;
    Object.assign(engine.live, {
      validator: (id: string) => ({ ...validator(id), movingAverage: Number.NaN }),
    });
    const reply = await get('/v1/live/validators/a');
    expect(reply.statusCode).toBe(200);
    expect(reply.json().movingAverage).toBeNull();
  });
});

describe('history', () => {
  test('ranges are ms or ISO 8601 and default to the last day in steps of five minutes', async () => {
    await get('/v1/validators/v1/metrics?from=5&to=2026-01-01T00:00:00Z&step=1h');
    await get('/v1/networks/testnet/stats');
    expect(engine.asked).toEqual([
      { scope: 'validator', id: 'v1', from: 5, to: Date.UTC(2026, 0, 1), step: '1h' },
      { scope: 'network', id: 'testnet', from: NOW - 86_400_000, to: NOW, step: '5m' },
    ]);
    expect((await get('/v1/networks/testnet/stats')).json().points[0]).toMatchObject({
      window: { start: 1_700_000_000_000 },
      count: 3,
      revision: 0,
    });
  });

  test('an answer names its store in a header; without an answer the reason is told', async () => {
    const { headers } = await get('/v1/validators/v1/metrics');
    expect(headers['x-tidemark-store']).toBe('embedded');
    const problem = await get('/v1/networks/away/stats');
    expect(problem.statusCode).toBe(424);
    expect(problem.json()).toMatchObject({ code: 'HISTORY_UNANSWERED', detail: 'influx: away' });
  });

  test.each([
    ['/v1/validators/v/metrics?from=6&to=5', 'RANGE_INVALID'],
    ['/v1/validators/v/metrics?from=5&to=5', 'RANGE_INVALID'],
    ['/v1/validators/v/metrics?from=soon', 'FIELD_INVALID'],
    ['/v1/validators/v/metrics?step=2m', 'FIELD_INVALID'],
    ['/v1/networks/n/stats?setp=5m', 'FIELD_INVALID'],
    ['/v1/quantile?q=1.1&group=network:n', 'FIELD_INVALID'],
    ['/v1/quantile?q=-0.1&group=network:n', 'FIELD_INVALID'],
    ['/v1/quantile?q=NaN&group=network:n', 'FIELD_INVALID'],
    ['/v1/quantile?q=Infinity&group=network:n', 'FIELD_INVALID'],
    ['/v1/quantile?group=network:n', 'FIELD_INVALID'],
    ['/v1/quantile?q=0.5', 'FIELD_INVALID'],
    ['/v1/quantile?q=0.5&group=n', 'FIELD_INVALID'],
    ['/v1/quantile?q=0.5&group=network:', 'FIELD_INVALID'],
    ['/v1/quantile?q=0.5&group=network:n&from=9&to=1', 'RANGE_INVALID'],
  ] as const)('%s is refused', async (url, code) => {
    await expectProblem(get(url), code);
    expect(engine.asked).toEqual([]);
  });

  test('a quantile names what it was made of, and is null where nothing is stored', async () => {
    const url = '/v1/quantile?q=0.99&from=1&to=2&group=validator:a:b';
    expect((await get(url)).json()).toEqual({ q: 0.99, value: 2.5, count: 3, windows: 1 });
    expect(engine.asked).toEqual([{ q: 0.99, from: 1, to: 2, scope: 'validator', id: 'a:b' }]);
    const nobody = await get('/v1/quantile?q=0.5&group=network:nobody');
    expect(nobody.json()).toEqual({ q: 0.5, value: null, count: 0, windows: 0 });
  });
});

describe('replays', () => {
  test('start with 202, are listed, watched and cancelled', async () => {
    const reply = await post('/v1/replays', {
      name: 'vote-latency',
      from: { time: '1970-01-01T00:00:01Z' },
      to: { offset: 9 },
      into: ['kairos.vote_latency'],
      diff: false,
    });
    expect(reply.statusCode).toBe(202);
    expect(reply.headers.location).toBe('/v1/replays/r1');
    expect(engine.asked).toEqual([
      {
        name: 'vote-latency',
        from: { time: 1_000 },
        to: { offset: 9 },
        into: ['kairos.vote_latency'],
        diff: false,
      },
    ]);
    expect((await get('/v1/replays')).json().replays).toEqual([reply.json()]);
    expect((await get('/v1/replays/r1')).json()).toEqual(reply.json());
    const cancelled = await app.inject({ method: 'DELETE', url: '/v1/replays/r1' });
    expect(cancelled.json().state).toBe('cancelled');
  });

  test.each([
    [{ name: 'nope', from: { offset: 0 } }, 'UNKNOWN_NAME'],
    [{ name: 'full', from: { offset: 0 } }, 'TOO_MANY_REPLAYS'],
    [{ name: 'vote-latency' }, 'FIELD_INVALID'],
    [{ name: 'vote-latency', from: {} }, 'FIELD_INVALID'],
    [{ name: 'vote-latency', from: { offset: 1, time: 1 } }, 'FIELD_INVALID'],
    [{ name: 'vote-latency', from: { offset: -1 } }, 'FIELD_INVALID'],
    [{ name: 'vote-latency', from: { offset: 1.5 } }, 'FIELD_INVALID'],
    [{ name: 'vote-latency', from: { offset: '1e999' } }, 'FIELD_INVALID'],
    [{ name: 'vote-latency', from: { time: 'soon' } }, 'FIELD_INVALID'],
    [{ name: 'vote-latency', from: { time: 2 }, to: { time: 2 } }, 'RANGE_INVALID'],
    [{ name: 'vote-latency', from: { offset: 3 }, to: { offset: 2 } }, 'RANGE_INVALID'],
    [{ name: 'vote-latency', from: { offset: 0 }, into: [] }, 'FIELD_INVALID'],
    [{ name: 'vote-latency', from: { offset: 0 }, inot: ['x'] }, 'FIELD_INVALID'],
  ] as const)('%j is refused', async (body, code) => {
    await expectProblem(post('/v1/replays', body), code);
  });

  test('no body, no JSON and unknown jobs are refused', async () => {
    const headers = { 'content-type': 'application/json' };
    await expectProblem(app.inject({ method: 'POST', url: '/v1/replays' }), 'FIELD_INVALID');
    await expectProblem(post('/v1/replays', '{', headers), 'NOT_JSON');
    await expectProblem(post('/v1/replays', '', headers), 'FIELD_INVALID');
    await expectProblem(get('/v1/replays/r9'), 'UNKNOWN_REPLAY');
    await expectProblem(app.inject({ method: 'DELETE', url: '/v1/replays/r9' }), 'UNKNOWN_REPLAY');
  });
});

describe('the service', () => {
  test('an unknown path gets 404 with the nearest route, a wrong method 405 with those offered', async () => {
    const unknown = await expectProblem(get('/v1/topcs/votes/records'), 'NOT_FOUND');
    expect(unknown.detail).toContain('did you mean /v1/topics/votes/records?');
    const reply = await app.inject({ method: 'PUT', url: '/v1/replays/r1' });
    expect(reply.headers.allow).toBe('GET, HEAD, DELETE');
    await expectProblem(Promise.resolve(reply), 'METHOD_NOT_ALLOWED');
    await expectProblem(get('/v1/%zz'), 'BAD_REQUEST');
  });

  test('OpenAPI 3.1 describes every route, and the page for people needs nothing from elsewhere', async () => {
    const document = (await get('/docs/json')).json();
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/v1/topics/{topic}/records', '/v1/replays/{id}', '/health']),
    );
    const parameters = document.paths['/v1/live/validators'].get.parameters;
    expect(parameters).toMatchObject([
      { name: 'sort', required: false },
      { name: 'limit', required: false },
      { name: 'at', required: false },
    ]);
    const html = (await get('/docs')).body;
    for (const path of Object.keys(document.paths)) expect(html).toContain(`<code>${path}</code>`);
    for (const code of Object.keys(catalogue)) expect(html).toContain(`id="${code}"`);
    expect(html).not.toMatch(/<script|src=|https?:\/\//);
    const page = await get('/');
    expect(page.body).toContain('/dashboard/main.js');
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
  });

  test('a record too large for the log is 413, one it can never store 422', async () => {
    const { append } = engine.broker;
    for (const code of ['RECORD_TOO_LARGE', 'RECORDS_INVALID'] as const) {
      const thrown = code === 'RECORDS_INVALID' ? 'SOMETHING_ELSE' : code;
      Object.assign(engine.broker, {
        append: () => Promise.reject(new PoisonError('no', { code: thrown })),
      });
      await expectProblem(post('/v1/topics/plain/records', 'x', NDJSON), code);
    }
    Object.assign(engine.broker, { append });
  });

  test('an unreachable broker is 503 with Retry-After, a bug 500 without its details', async () => {
    engine.broker.away = true;
    const reply = await get('/v1/topics');
    expect(reply.headers['retry-after']).toBe('1');
    await expectProblem(Promise.resolve(reply), 'UNAVAILABLE');
    engine.broker.away = false;
    Object.assign(engine.live, {
      validators: () => {
        throw new TypeError('hush-hush');
      },
    });
    const problem = await expectProblem(get('/v1/live/validators'), 'INTERNAL');
    expect(JSON.stringify(problem)).not.toContain('hush');
  });

  test('with tokens everything but health, readiness and the dashboard’s own files asks for one', async () => {
    await restart({ tokens: [new Secret('one'), new Secret('two')] });
    for (const url of ['/health', '/ready', '/health?x=1', '/', '/dashboard/main.js']) {
      expect((await get(url)).statusCode).toBe(200);
    }
    for (const url of ['/docs', '/metrics', '/v1/topics', '/nope', '/v1/live/stream']) {
      const refused = await get(url);
      expect(refused.headers['www-authenticate']).toBe('Bearer');
      await expectProblem(Promise.resolve(refused), 'UNAUTHORIZED');
    }
    const status = async (authorization: string) =>
      (await get('/v1/topics', { authorization })).statusCode;
    expect(await status('Bearer one')).toBe(200);
    expect(await status('bearer two')).toBe(200);
    for (const wrong of ['Bearer three', 'Bearer ', 'Basic one', 'one', 'Bearer one two']) {
      expect(await status(wrong)).toBe(401);
    }
  });

  test('pages of other origins may not write, unless they are let in', async () => {
    const write = (origin: string) =>
      post('/v1/topics/plain/records', 'x', {
        'content-type': 'text/plain',
        origin,
        host: 'localhost:80',
      });
    await expectProblem(write('https://evil.example'), 'ORIGIN_REFUSED');
    await expectProblem(write('null'), 'ORIGIN_REFUSED');
    expect((await write('http://localhost:80')).statusCode).toBe(403);
    expect((await write('http://localhost')).statusCode).toBe(403);
    expect((await get('/v1/topics', { origin: 'https://evil.example' })).statusCode).toBe(200);
    await restart({ corsOrigins: ['https://good.example'] });
    const good = await write('https://good.example');
    expect(good.statusCode).toBe(200);
    expect(good.headers['access-control-allow-origin']).toBe('https://good.example');
    await expectProblem(write('https://evil.example'), 'ORIGIN_REFUSED');
  });

  test('too many requests of one client get 429 with Retry-After', async () => {
    await restart({ requestsPerMinuteMax: 2 });
    await get('/v1/topics');
    await get('/v1/topics');
    const reply = await get('/v1/topics');
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    await expectProblem(Promise.resolve(reply), 'RATE_LIMITED');
  });

  test('large answers are packed for those who ask', async () => {
    engine.broker.put('plain', 0, ...Array.from({ length: 100 }, () => '{"a":"bbbbbbbbbbbbbbb"}'));
    const reply = await get('/v1/topics/plain/records', { 'accept-encoding': 'gzip' });
    expect(reply.headers['content-encoding']).toBe('gzip');
    const small = await get('/v1/live/validators/a', { 'accept-encoding': 'gzip' });
    expect(small.headers['content-encoding']).toBeUndefined();
  });
});
