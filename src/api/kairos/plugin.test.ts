/** The routes on the embedded store. Queries and their messages are held to a real KairosDB in test/golden/kairos-query. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { fakeEngine } from '../../../test/support/fake-engine.ts';
import { ingestInto } from '../../../test/support/kairos-ingest.ts';
import { standIn } from '../../../test/support/stand-in.ts';
import { embeddedWideRows } from '../../databases/embedded/index.ts';
import { KairosStore } from '../../databases/kairos/index.ts';
import { RetriableError } from '../../model/index.ts';
import { Secret } from '../../runtime/index.ts';
import { createServer } from '../server.ts';

let directory: string;
let store: KairosStore;
/** For all tests that want no options of their own. */
let usual: FastifyInstance;
let app: FastifyInstance;

beforeAll(async () => {
  const kairos = standIn(() => store, ['rows']);
  usual = await createServer({ ...(await fakeEngine()), kairos, ingest: ingestInto(kairos) });
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-kairos-api-'));
  store = new KairosStore({ rows: embeddedWideRows({ dataDirectory: directory }) });
  app = usual;
});
afterAll(() => usual.close());
afterEach(async () => {
  vi.restoreAllMocks();
  if (app !== usual) await app.close();
  await store.close();
  rmSync(directory, { recursive: true });
});

const ask = (
  method: InjectOptions['method'],
  path: string,
  more: Omit<InjectOptions, 'method' | 'url'> = {},
) => app.inject({ method: method as 'GET', url: `/api/v1${path}`, ...more });
const post = (path: string, payload: object | string, headers: Record<string, string> = {}) =>
  ask('POST', path, { payload, headers: { 'content-type': 'application/json', ...headers } });
const point = { name: 'm', timestamp: 5, value: 1, tags: { host: 'a', dc: 'x' } };
const query = { start_absolute: 0, metrics: [{ name: 'm' }] };
const valuesOf = async () =>
  (await post('/datapoints/query', query)).json().queries[0].results[0].values;

describe('points', () => {
  test('are there when the answer is', async () => {
    const answer = await post('/datapoints', [point, { ...point, timestamp: 6, value: 'x' }]);
    expect([answer.statusCode, answer.body]).toEqual([204, '']);
    expect(answer.headers['content-type']).toBe('application/json;charset=utf-8');
    expect(answer.headers['access-control-allow-origin']).toBe('*');
    const { queries } = (await post('/datapoints/query', query)).json();
    expect(queries[0].sample_size).toBe(2);
    expect(queries[0].results.map((result: { values: unknown }) => result.values)).toEqual([
      [[5, 1]],
      [[6, 'x']],
    ]);
  });

  test('may come packed, and what is not packed then is refused by either header', async () => {
    const payload = gzipSync(JSON.stringify(point)) as unknown as object;
    const packed = await ask('POST', '/datapoints', {
      payload,
      headers: { 'content-encoding': 'gzip' },
    });
    expect(packed.statusCode).toBe(204);
    expect(await valuesOf()).toEqual([[5, 1]]);
    const headers = { 'content-encoding': 'gzip' };
    const failed = await ask('POST', '/datapoints', { payload: 'plain', headers });
    expect([failed.statusCode, failed.json()]).toEqual([500, { errors: ['Not in GZIP format'] }]);
    const refused = await post('/datapoints', 'plain', { 'content-type': 'application/gzip' });
    expect([refused.statusCode, refused.json()]).toEqual([400, { errors: ['Not in GZIP format'] }]);
  });

  test.each([
    ['utf-16', (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['utf-16', (text: string) => Buffer.from(text, 'utf16le').swap16()],
    ['UTF-16LE', (text: string) => Buffer.from(text, 'utf16le')],
    ['iso-8859-1', (text: string) => Buffer.from(text, 'latin1')],
    ['nonsense', (text: string) => Buffer.from(text)],
  ])('a query is read in the charset of its Content-Type: %s', async (charset, bytesOf) => {
    const payload = bytesOf(
      JSON.stringify({ start_absolute: 1, metrics: [{ name: 'caf\u00e9' }] }),
    );
    const headers = { 'content-type': `application/json; charset=${charset}` };
    const answer = await ask('POST', '/datapoints/query', {
      payload: payload as unknown as object,
      headers,
    });
    expect(answer.json().queries[0].results[0].name).toBe('caf\u00e9');
  });

  test('with bytes behind a packed body is refused, by either header', async () => {
    for (const tail of ['tail', '\x1f\x8btail']) {
      const bytes = Buffer.concat([gzipSync(JSON.stringify(point)), Buffer.from(tail, 'latin1')]);
      const payload = bytes as unknown as object;
      for (const headers of [
        { 'content-encoding': 'gzip' },
        { 'content-type': 'application/gzip' },
      ] as Record<string, string>[]) {
        const answer = await ask('POST', '/datapoints', { payload, headers });
        const errors = ['bytes stand behind the packed body'];
        expect([answer.statusCode, answer.json()]).toEqual([400, { errors }]);
      }
    }
  });

  test('of a packed body that was cut off are kept as those of a plain one; its sum is not looked at', async () => {
    const packed = gzipSync(JSON.stringify([point, { ...point, timestamp: 6 }]));
    const send = (payload: Buffer) =>
      ask('POST', '/datapoints', {
        payload: payload as unknown as object,
        headers: { 'content-encoding': 'GZIP' },
      });
    expect((await send(packed.subarray(0, -20))).statusCode).toBe(400);
    expect((await send(packed.subarray(0, 5))).statusCode).toBe(500);
    const damaged = Buffer.from(packed);
    damaged.writeUInt32LE(~damaged.readUInt32LE(damaged.length - 8) >>> 0, damaged.length - 8);
    expect((await send(damaged)).statusCode).toBe(204);
    expect(await valuesOf()).toEqual([
      [5, 1],
      [6, 1],
    ]);
  });

  test.each([
    ['*/*', 204],
    ['application/*', 204],
    ['text/*', 400],
    ['bogus', 400],
  ])(
    'come packed under any type that application/gzip falls under: %s, %i',
    async (type, status) => {
      const payload = gzipSync(JSON.stringify(point)) as unknown as object;
      const headers = { 'content-type': type };
      expect((await ask('POST', '/datapoints', { payload, headers })).statusCode).toBe(status);
    },
  );

  test('that no store can hold are refused with the reason, the others kept', async () => {
    const answer = await post('/datapoints', [point, { ...point, timestamp: 6, ttl: -1 }]);
    expect(answer.statusCode).toBe(400);
    expect(answer.json().errors[0]).toContain('ttl -1');
    expect(await valuesOf()).toEqual([[5, 1]]);
  });

  test('are not lost silently: a store that is away is said, with the time to wait', async () => {
    const error = new RetriableError('Cassandra is down', {
      code: 'SINK_UNREACHABLE',
      retryAfterMs: 2_500,
    });
    vi.spyOn(store, 'writePacked').mockRejectedValue(error);
    const answer = await post('/datapoints', point);
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBe('3');
    expect(answer.json().errors[0]).toMatch(/Cassandra is down.*send it again/);
  });

  test.each([
    ['start_absolute=0&end_absolute=5&metric=m', 204],
    ['start_absolute=x&end_absolute=5&metric=m', 404],
    ['start_absolute=0&end_absolute=1.5&metric=m', 404],
    ['start_absolute=&end_absolute=5&metric=m', 500],
    ['start_absolute=0&end_absolute=5', 500],
  ])('are indexed anew between times that are numbers: %s is %i', async (parameters, status) => {
    expect((await ask('GET', `/datapoints/index?${parameters}`)).statusCode).toBe(status);
  });

  test('are deleted by query, or with their metric', async () => {
    await post('/datapoints', {
      ...point,
      datapoints: [
        [6, 2],
        [7, 3],
      ],
    });
    const range = { ...query, start_absolute: 6, end_absolute: 6 };
    expect((await post('/datapoints/delete', range)).statusCode).toBe(204);
    expect(await valuesOf()).toEqual([
      [5, 1],
      [7, 3],
    ]);
    expect((await ask('DELETE', '/metric/m')).statusCode).toBe(204);
    expect(await valuesOf()).toEqual([]);
    expect((await ask('GET', '/metricnames')).json()).toEqual({ results: [] });
    expect((await ask('DELETE', '/metric/never%2Fseen')).statusCode).toBe(204);
  });
});

describe('a server that has not all roles', () => {
  const refusal = (group: string) =>
    `{"errors": ["Forbidden: ${group} API methods are disabled on this KairosDB instance."]}`;
  const serve = async (view: object) => {
    app = await createServer({ ...(await fakeEngine()), kairos: store, ...view });
  };

  test('refuses points and deletes as KairosDB does when it only answers queries', async () => {
    await serve({});
    const refused = await post('/datapoints', point);
    expect([refused.statusCode, refused.body]).toEqual([403, refusal('INGEST')]);
    expect(refused.headers['content-type']).toBe('application/json');
    expect((await post('/datapoints/delete', query)).body).toBe(refusal('DELETE'));
    expect((await ask('DELETE', '/metric/m')).body).toBe(refusal('DELETE'));
    expect((await post('/datapoints/query', query)).statusCode).toBe(200);
  });

  test('refuses queries as KairosDB does when it only takes points', async () => {
    await serve({ ingest: ingestInto(store), answersQueries: false });
    expect((await post('/datapoints/query', query)).body).toBe(refusal('QUERY'));
    expect((await ask('GET', '/metricnames')).body).toBe(refusal('QUERY'));
    expect((await post('/datapoints', point)).statusCode).toBe(204);
    expect((await ask('GET', '/version')).statusCode).toBe(200);
  });
});

describe('queries', () => {
  test('may stand in the address', async () => {
    await post('/datapoints', point);
    const text = encodeURIComponent(JSON.stringify(query));
    expect((await ask('GET', `/datapoints/query?query=${text}`)).json().queries).toHaveLength(1);
    const without = await ask('GET', '/datapoints/query');
    expect(without.statusCode).toBe(400);
    expect(without.json()).toEqual({ errors: ['query json must not be null or empty'] });
  });

  test('are answered packed to whoever takes that', async () => {
    const answer = await post('/datapoints/query', query, { 'accept-encoding': 'gzip, br' });
    expect(answer.headers['content-encoding']).toBe('gzip');
    expect(answer.headers.vary).toBe('Accept-Encoding, User-Agent');
    expect(JSON.parse(gunzipSync(answer.rawPayload).toString()).queries).toHaveLength(1);
    const plain = await post('/datapoints/query', query, { 'accept-encoding': 'gzip;q=0' });
    expect(plain.headers['content-encoding']).toBeUndefined();
  });

  test('of tags give names and values in order', async () => {
    await post('/datapoints', [point, { ...point, tags: { host: 'b' } }]);
    const answer = await post('/datapoints/query/tags', query);
    expect(answer.body).toBe(
      '{"queries":[{"results":[{"name":"m","tags":{"dc":["x"],"host":["a","b"]},"values":[]}]}]}',
    );
  });

  test('that save write what they answer', async () => {
    await post('/datapoints', point);
    const aggregators = [{ name: 'save_as', metric_name: 'copy' }];
    const { metrics } = { metrics: [{ name: 'm', aggregators }] };
    expect((await post('/datapoints/query', { ...query, metrics })).statusCode).toBe(200);
    const copy = await post('/datapoints/query', { ...query, metrics: [{ name: 'copy' }] });
    expect(copy.json().queries[0].results[0]).toMatchObject({
      tags: { saved_from: ['m'] },
      values: [[5, 1]],
    });
  });
});

describe('names', () => {
  test('of metrics, also by prefix; of tags as KairosDB 1.2 gave them', async () => {
    await post('/datapoints', [point, { ...point, name: 'n', tags: { rack: 'a' } }]);
    const results = async (path: string) => (await ask('GET', path)).json().results;
    expect(await results('/metricnames')).toEqual(['m', 'n']);
    expect(await results('/metricnames?prefix=n')).toEqual(['n']);
    expect(await results('/tagnames')).toEqual(['dc', 'host', 'rack']);
    expect(await results('/tagvalues')).toEqual(['a', 'x']);
  });
});

describe('metadata', () => {
  test('is kept by service, service key and key', async () => {
    expect((await post('/metadata/svc/sk/k1', 'hello')).statusCode).toBe(204);
    expect((await ask('GET', '/metadata/svc/sk/k1')).body).toBe('hello');
    expect((await ask('GET', '/metadata/svc')).json()).toEqual({ results: ['sk'] });
    expect((await ask('GET', '/metadata/svc/sk?startsWith=k')).json()).toEqual({ results: ['k1'] });
    expect((await ask('GET', '/metadata/svc/sk?startsWith=x')).json()).toEqual({ results: [] });
    expect((await ask('DELETE', '/metadata/svc/sk/k1')).statusCode).toBe(204);
    const gone = await ask('GET', '/metadata/svc/sk/k1');
    expect([gone.statusCode, gone.json()]).toEqual([404, { errors: ['Key not found'] }]);
  });

  test('may be asked for as plain text', async () => {
    await post('/metadata/svc/sk/k1', 'hello');
    const headers = { accept: 'text/plain' };
    const found = await ask('GET', '/metadata/svc/sk/k1', { headers });
    expect([found.body, found.headers['content-type']]).toEqual([
      'hello',
      'text/plain;charset=utf-8',
    ]);
    const gone = await ask('GET', '/metadata/svc/sk/k2', { headers });
    expect([gone.statusCode, gone.body]).toEqual([404, '']);
  });

  test('of the server itself is nobody else’s', async () => {
    for (const method of ['GET', 'POST', 'DELETE'] as const) {
      const answer = await ask(method, '/metadata/_Rollups/Config/x');
      expect([answer.statusCode, answer.body]).toEqual([401, '']);
    }
  });
});

describe('health', () => {
  test('is that of the store', async () => {
    expect((await ask('GET', '/health/check')).statusCode).toBe(204);
    expect((await ask('GET', '/health/status')).json()).toEqual([
      'JVM-Thread-Deadlock: OK',
      'Datastore-Query: OK',
    ]);
    vi.spyOn(store, 'check').mockRejectedValue(new Error('away'));
    expect((await ask('GET', '/health/check')).statusCode).toBe(500);
    expect((await ask('GET', '/health/status')).json()[1]).toBe('Datastore-Query: FAIL');
  });
});

describe('the interface', () => {
  test('tells its version, with and without a slash behind', async () => {
    for (const path of ['/version', '/version/']) {
      expect((await ask('GET', path)).body).toBe(
        '{"version": "KairosDB 1.3.0-1.20210808223203"}\n',
      );
    }
  });

  test.each([
    ['GET', '', 'OPTIONS'],
    ['POST', '/', 'OPTIONS'],
    ['PUT', '/datapoints', 'POST,OPTIONS'],
    ['DELETE', '/datapoints/query', 'HEAD,POST,GET,OPTIONS'],
    ['PATCH', '/metadata/a/b/c', 'HEAD,DELETE,POST,GET,OPTIONS'],
    ['POST', '/metric/x', 'DELETE,OPTIONS'],
    ['TRACE', '/version', 'HEAD,GET,OPTIONS'],
  ] as const)('answers %s %s with 405 and %s', async (method, path, allow) => {
    const answer = await ask(method as 'GET', path);
    expect([answer.statusCode, answer.headers.allow, answer.body]).toEqual([405, allow, '']);
  });

  test('answers a preflight with what was asked, under KairosDB’s own name', async () => {
    const headers = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-y',
    };
    const answer = await ask('OPTIONS', '/datapoints/query', { headers });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'x-y',
      'access-control-allow_method': 'POST',
      'access-control-max-age': '86400',
    });
  });

  test.each([
    ['DELETE', '/metric/'],
    ['POST', '/metric/'],
    ['OPTIONS', '/metric/'],
    ['GET', '/metadata/s//k'],
  ] as const)('knows no path that lacks a name: %s %s', async (method, path) => {
    expect((await ask(method, path)).statusCode).toBe(404);
  });

  test('says what a path offers before what the client could read of it', async () => {
    const headers = { accept: 'text/html' };
    expect((await ask('GET', '/datapoints', { headers })).statusCode).toBe(405);
    expect((await ask('GET', '/nowhere', { headers })).statusCode).toBe(404);
    expect((await ask('OPTIONS', '/version', { headers })).statusCode).toBe(406);
    const plain = { headers: { accept: 'text/plain' } };
    expect((await ask('GET', '/metadata/s', plain)).statusCode).toBe(406);
    expect((await ask('GET', '/metadata/s/k/x', plain)).statusCode).toBe(404);
  });

  test('takes the first of a parameter that is given twice', async () => {
    await post('/datapoints', point);
    const text = encodeURIComponent(JSON.stringify(query));
    expect((await ask('GET', `/datapoints/query?query=${text}&query=x`)).statusCode).toBe(200);
    expect((await ask('GET', '/metricnames?prefix=m&prefix=x')).json()).toEqual({ results: ['m'] });
  });

  test('knows no other paths, and no other types than JSON', async () => {
    const nowhere = await ask('GET', '/nowhere');
    expect([nowhere.statusCode, nowhere.body]).toEqual([404, '']);
    const html = await ask('GET', '/version', { headers: { accept: 'text/html' } });
    expect([html.statusCode, html.body]).toEqual([406, '']);
    expect(
      (await ask('GET', '/version', { headers: { accept: 'text/html, */*;q=0.1' } })).statusCode,
    ).toBe(200);
  });

  test('lists its features, in any case of their name', async () => {
    const all = (await ask('GET', '/features')).json();
    expect(all.map(({ name }: { name: string }) => name)).toEqual(['group_by', 'aggregators']);
    const names = (await ask('GET', '/features/AGGREGATORS'))
      .json()
      .map((each: { name: string }) => each.name);
    expect(names).toEqual(names.toSorted());
    expect(names).toContain('save_as');
    const unknown = await ask('GET', '/features/Nope');
    expect([unknown.statusCode, unknown.json()]).toEqual([
      404,
      { errors: ["Unknown feature 'nope'"] },
    ]);
  });

  test('says in its own way who is not let in', async () => {
    const guarded = await createServer(
      { ...(await fakeEngine()), kairos: store },
      { tokens: [new Secret('sesame')] },
    );
    const answer = await guarded.inject('/api/v1/version');
    expect(answer.statusCode).toBe(401);
    expect(answer.json().errors).toHaveLength(1);
    // A probe has no token, in KairosDB either.
    for (const path of ['/api/v1/health/check', '/api/v1/health/check/']) {
      expect((await guarded.inject(path)).statusCode, path).toBe(204);
    }
    await guarded.close();
  });
});
