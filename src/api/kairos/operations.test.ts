/** What protects a server that answers queries, through real HTTP: each limit met, and what the client is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fakeEngine } from '../../../test/support/fake-engine.ts';
import { embeddedWideRows } from '../../databases/embedded/index.ts';
import { KairosStore } from '../../databases/kairos/index.ts';
import { RetriableError } from '../../model/index.ts';
import type { DeskLimits } from '../../query/index.ts';
import { registry, Secret, silentLogger } from '../../runtime/index.ts';
import { createServer, type ServerOptions } from '../server.ts';

let directory: string;
let store: KairosStore;
let app: FastifyInstance | undefined;
let url: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-desk-'));
  store = new KairosStore({ rows: embeddedWideRows({ dataDirectory: directory }) });
  await store.connect();
  await write(1n);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await app?.close();
  app = undefined;
  await store.close();
  rmSync(directory, { recursive: true });
});

const write = (value: bigint) =>
  store.write(
    Array.from({ length: 100 }, (_, i) => ({
      metric: 'm',
      tags: { host: `h${i % 10}` },
      timestampMs: i,
      value,
      ttlSeconds: 0,
    })),
  );
async function listen(queries: Partial<DeskLimits>, more: ServerOptions = {}) {
  app = await createServer({ ...(await fakeEngine()), kairos: store }, { queries, ...more });
  url = await app.listen({ host: '127.0.0.1', port: 0 });
}
const body = { start_absolute: 0, metrics: [{ name: 'm' }] };
const ask = (query: object = body, init: RequestInit = {}) =>
  fetch(`${url}/api/v1/datapoints/query`, {
    method: 'POST',
    body: JSON.stringify(query),
    ...init,
  });
const firstValue = async (answer: Response) =>
  ((await answer.json()) as { queries: { results: { values: [number, number][] }[] }[] }).queries[0]
    ?.results[0]?.values[0]?.[1];

/** Reads wait until told; what was left early is counted. */
function gateReads() {
  const real = store.findRows.bind(store);
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const seen = { begun: 0, read: 0 };
  vi.spyOn(store, 'findRows').mockImplementation(async function* (query) {
    seen.begun++;
    await opened;
    for await (const page of real(query)) {
      seen.read++;
      yield page;
    }
  });
  return { open: () => open(), seen };
}
const PATIENCE = { timeout: 30_000, interval: 2 };
const until = (condition: () => boolean) =>
  vi.waitFor(() => expect(condition()).toBe(true), PATIENCE);

describe('a look-up', () => {
  const paths = [
    'metricnames',
    'tagnames',
    'tagvalues',
    'metadata/s',
    'metadata/s/k',
    'metadata/s/k/key',
  ] as const;
  const get = (path: string) => fetch(`${url}/api/v1/${path}`);
  const hang = () => {
    const never = new Promise<never>(() => {});
    const seen = { asked: 0 };
    const hanging = () => {
      seen.asked++;
      return never;
    };
    vi.spyOn(store, 'metricNames').mockReturnValue({
      [Symbol.asyncIterator]: () => ({ next: hanging }),
    });
    for (const name of ['serviceKeys', 'keysOfService', 'readServiceValue'] as const) {
      vi.spyOn(store.rows, name).mockImplementation(hanging);
    }
    return seen;
  };

  test.each(paths)('of %s ends in time though the store hangs', async (path) => {
    await listen({ timeoutMs: 50 });
    hang();
    const answer = await get(path);
    expect([answer.status, await answer.text()]).toEqual([
      500,
      expect.stringContaining('Query exceeded time limit'),
    ]);
  });

  test('of a store that hangs is not tried for a while, nor are queries; then one asks first', {
    tags: 'heavy',
  }, async () => {
    await listen({ timeoutMs: 50 });
    const seen = hang();
    for (const path of ['metricnames', 'metadata/s', 'tagnames']) await get(path);
    expect(seen.asked).toBe(3);
    for (const path of paths) {
      const answer = await get(path);
      expect([answer.status, Number(answer.headers.get('retry-after')) > 0]).toEqual([503, true]);
    }
    expect((await ask()).status).toBe(503);
    expect(seen.asked).toBe(3);
  });

  test('has its turn among the queries, and a text is still kept, given and deleted', {
    tags: 'heavy',
  }, async () => {
    await listen({ atOnceMax: 1, waitingMax: 0 });
    const { open, seen } = gateReads();
    const first = ask();
    await until(() => seen.begun === 1);
    expect((await get('metricnames')).status).toBe(503);
    open();
    await first;
    const path = `${url}/api/v1/metadata/s/k/key`;
    expect((await fetch(path, { method: 'POST', body: 'text' })).status).toBe(204);
    expect(await (await fetch(path)).text()).toBe('text');
    expect((await fetch(path, { method: 'DELETE' })).status).toBe(204);
    expect((await get('metadata/s/k/key')).status).toBe(404);
    expect(await (await get('tagvalues')).text()).toContain('"h0"');
  });
});

describe('a query', () => {
  test('that takes too long is answered as KairosDB does, though the store hangs, and reads no more', async () => {
    await listen({ timeoutMs: 50 });
    const { open, seen } = gateReads();
    const answer = await ask();
    expect([answer.status, await answer.json()]).toEqual([
      500,
      {
        errors: [
          `${'org.kairosdb.core.exception.DatastoreException: '.repeat(2)}Query exceeded time limit of 1 seconds`,
        ],
      },
    ]);
    const rows = [vi.spyOn(store, 'readRow'), vi.spyOn(store, 'readRowAtHand')];
    open();
    await until(() => seen.read <= 1);
    for (const each of rows) expect(each).not.toHaveBeenCalled();
  });

  test.each([
    [{ pointsMax: 99 }, 'limit of 99 data points'],
    [{ rowsMax: 9 }, 'limit of 9 rows'],
  ])('within %j that reads more is answered with %s', async (limits, text) => {
    await listen(limits);
    const answer = await ask();
    expect([answer.status, (await answer.text()).includes(text)]).toEqual([500, true]);
    vi.restoreAllMocks();
    await app?.close();
    await listen({ pointsMax: 100, rowsMax: 10 });
    expect((await ask()).status).toBe(200);
  });

  test('beyond those at once waits, and beyond those waiting is told when to come again', async () => {
    await listen({ atOnceMax: 1, waitingMax: 1 });
    const { open, seen } = gateReads();
    const first = ask();
    await until(() => seen.begun === 1);
    const second = ask();
    const running = async () =>
      (await (await fetch(`${url}/api/v1/admin/runningqueries`)).json()) as Record<string, unknown>;
    await vi.waitFor(async () => expect((await running())['queries waiting']).toBe(1), PATIENCE);
    expect(await running()).toMatchObject({
      queries: [{ 'metric name': 'm', 'query JSON': body }],
    });
    const third = await ask();
    expect([third.status, third.headers.get('retry-after')]).toEqual([503, '1']);
    open();
    expect([(await first).status, (await second).status]).toEqual([200, 200]);
  });

  test('that nobody waits for any more gives its place away', { tags: 'heavy' }, async () => {
    await listen({ atOnceMax: 1 });
    const { open, seen } = gateReads();
    const control = new AbortController();
    const left = ask(body, { signal: control.signal });
    await until(() => seen.begun === 1);
    control.abort();
    await expect(left).rejects.toThrow();
    const next = ask();
    await until(() => seen.begun === 2);
    open();
    expect((await next).status).toBe(200);
  });

  test('can be stopped by an operator', async () => {
    await listen({});
    const { seen } = gateReads();
    const answer = ask();
    await until(() => seen.begun === 1);
    const { queries } = (await (await fetch(`${url}/api/v1/admin/runningqueries`)).json()) as {
      queries: { 'query hash': string }[];
    };
    const kill = await fetch(`${url}/api/v1/admin/killquery/${queries[0]?.['query hash']}`);
    expect([kill.status, (await answer).status]).toEqual([204, 500]);
  });

  test('under way when the server stops gets its answer', async () => {
    await listen({});
    const { open, seen } = gateReads();
    const answer = ask();
    await until(() => seen.begun === 1);
    const closed = app?.close();
    open();
    expect((await answer).status).toBe(200);
    await closed;
  });

  test('that is slow is logged with its text, secrets left out, and not too often', async () => {
    const warn = vi.fn();
    await listen({ slowMs: 1 }, { logger: { ...silentLogger, warn } });
    const { open, seen } = gateReads();
    const asked = [1, 2, 3].map((i) => ask({ ...body, api_token: 'sesame', i }));
    await until(() => seen.begun === 3);
    await new Promise((resolve) => setTimeout(resolve, 5));
    open();
    await Promise.all(asked);
    const slow = warn.mock.calls.filter(([, message]) => message === 'slow query');
    expect(slow).toHaveLength(1);
    expect(slow[0]?.[0]).toMatchObject({ points: 100, rows: 10, outcome: 'answered' });
    expect(slow[0]?.[0].query).toContain('"api_token":"[secret]"');
    expect(JSON.stringify(slow)).not.toContain('sesame');
  });
});

describe('cache_time', () => {
  test('gives the same answer again to the same query, until it is over', async () => {
    let nowMs = 1_000_000;
    const clock = {
      now: () => nowMs,
      sleep: () => new Promise<void>(() => {}),
      every: () => () => {},
    };
    await listen({ timeoutMs: 0 }, { clock });
    const cached = { ...body, cache_time: 60 };
    expect(await firstValue(await ask(cached))).toBe(1);
    await write(2n);
    expect(await firstValue(await ask(cached))).toBe(1);
    expect(await firstValue(await ask())).toBe(2);
    expect(await firstValue(await ask({ ...cached, time_zone: 'UTC' }))).toBe(2);
    nowMs += 59_999;
    expect(await firstValue(await ask(cached))).toBe(1);
    nowMs += 1;
    expect(await firstValue(await ask(cached))).toBe(2);
  });

  test('has no effect without a cache, for empty answers, and for queries that store', async () => {
    await listen({ cacheBytesMax: 0 });
    const cached = { ...body, cache_time: 60 };
    await ask(cached);
    await write(2n);
    expect(await firstValue(await ask(cached))).toBe(2);
    await app?.close();

    await listen({});
    const none = { start_absolute: 0, cache_time: 60, metrics: [{ name: 'none' }] };
    const rows = vi.spyOn(store, 'findRows');
    await ask(none);
    await ask(none);
    expect(rows).toHaveBeenCalledTimes(2);
    const aggregators = [{ name: 'save_as', metric_name: 'copy' }];
    const saving = { ...cached, metrics: [{ name: 'm', aggregators }] };
    const written = vi.spyOn(store, 'write');
    await ask(saving);
    await ask(saving);
    expect(written).toHaveBeenCalledTimes(2);
  });

  test('reads once for many who ask the same at once', async () => {
    await listen({});
    const { open, seen } = gateReads();
    const all = [1, 2, 3, 4].map(() => ask({ ...body, cache_time: 60 }));
    await until(() => seen.begun === 1);
    open();
    for (const answer of await Promise.all(all)) expect(await firstValue(answer)).toBe(1);
    expect(seen.begun).toBe(1);
  });
});

describe('a store that is away', () => {
  const away = new RetriableError('no host answers', { code: 'SINK_UNREACHABLE' });

  test('is tried again, then left alone for a while; what is cached is still answered', {
    tags: 'heavy',
  }, async () => {
    await listen({});
    const cached = { ...body, cache_time: 60 };
    expect((await ask(cached)).status).toBe(200);
    const real = store.findRows.bind(store);
    const find = vi.spyOn(store, 'findRows').mockImplementation(async function* () {
      await Promise.reject(away);
      yield [];
    });
    for (let i = 0; i < 3; i++) {
      const answer = await ask();
      expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true]);
    }
    expect(find).toHaveBeenCalledTimes(9);
    const spared = await ask();
    expect(spared.status).toBe(503);
    expect(Number(spared.headers.get('retry-after'))).toBeGreaterThan(1);
    expect(find).toHaveBeenCalledTimes(9);
    expect(await firstValue(await ask(cached))).toBe(1);
    find.mockImplementation(real);
  });

  test('for a moment is not noticed', async () => {
    await listen({});
    const real = store.findRows.bind(store);
    let failures = 2;
    vi.spyOn(store, 'findRows').mockImplementation(async function* (query) {
      if (failures-- > 0) throw away;
      yield* real(query);
    });
    expect(await firstValue(await ask())).toBe(1);
  });
});

describe('an older cluster that is away', () => {
  test('stops questions about its time, with its name, and no others; it is asked again each time', {
    tags: 'heavy',
  }, async () => {
    const old = embeddedWideRows({ dataDirectory: join(directory, 'old') });
    const answers = vi
      .spyOn(old, 'connect')
      .mockRejectedValue(new RetriableError('no host answers', { code: 'SINK_UNREACHABLE' }));
    const before = Date.UTC(2000, 0);
    const readClusters = [{ rows: old, name: 'old:9042/past', fromMs: -Infinity, toMs: before }];
    await store.close();
    store = new KairosStore({ rows: embeddedWideRows({ dataDirectory: directory }), readClusters });
    await store.connect();
    const late = { metric: 'm', tags: { host: 'h1' }, timestampMs: before + 1, value: 7n };
    expect(await store.write([late])).toEqual([]);
    await listen({});
    const recent = { ...body, start_absolute: before + 1 };
    // More often than it takes for a store to count as away.
    for (let i = 0; i < 4; i++) {
      const answer = await ask();
      expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true]);
      expect(await answer.text()).toMatch(
        /the read cluster old:9042\/past is away.*no host answers/,
      );
    }
    expect(await firstValue(await ask(recent))).toBe(7);
    answers.mockRestore();
    expect(await firstValue(await ask())).toBe(1);
  });
});

describe('/api/v1', () => {
  test('lets in who has a token, and probes without', async () => {
    await listen({}, { tokens: [new Secret('sesame')] });
    expect((await ask()).status).toBe(401);
    expect((await ask(body, { headers: { authorization: 'Bearer wrong' } })).status).toBe(401);
    expect((await ask(body, { headers: { authorization: 'Bearer sesame' } })).status).toBe(200);
    expect((await fetch(`${url}/api/v1/health/check`)).status).toBe(204);
  });

  test('tells who asks too often when to come again', async () => {
    await listen({}, { requestsPerMinuteMax: 2 });
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 200]);
    const third = await ask();
    expect([third.status, third.headers.has('retry-after')]).toEqual([429, true]);
    expect(((await third.json()) as { errors: string[] }).errors).toHaveLength(1);
  });

  test('counts who guesses at tokens, and no probe', async () => {
    await listen({}, { requestsPerMinuteMax: 2, tokens: [new Secret('sesame')] });
    const statusOf = async (path: string, token = 'wrong') =>
      (await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } })).status;
    expect(await statusOf('/api/v1/version')).toBe(401);
    expect(await statusOf('/nowhere')).toBe(401);
    expect(await statusOf('/api/v1/version')).toBe(429);
    expect(await statusOf('/api/v1/version', 'sesame')).toBe(429);
    for (const path of ['/health', '/ready?x=1']) expect(await statusOf(path)).toBe(200);
    expect(await statusOf('/api/v1/health/check')).toBe(204);
  });

  test('lets pages that are named change rollup tasks', async () => {
    await listen({}, { corsOrigins: ['http://grafana.example'] });
    const preflight = await fetch(`${url}/api/v1/rollups/x`, {
      method: 'OPTIONS',
      headers: { origin: 'http://grafana.example', 'access-control-request-method': 'PUT' },
    });
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PUT');
  });

  test('may be called from pages anywhere to read, and from named ones to ask by POST', async () => {
    await listen({}, { corsOrigins: ['http://grafana.example'] });
    const answer = await ask(body, { headers: { origin: 'http://grafana.example' } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).not.toBeNull();
    expect((await ask(body, { headers: { origin: 'http://evil.example' } })).status).toBe(403);
  });

  test('packs what it answers', async () => {
    await listen({});
    const answer = await fetch(`${url}/api/v1/datapoints/query`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'accept-encoding': 'gzip' },
    });
    expect([answer.status, answer.headers.get('content-encoding')]).toEqual([200, 'gzip']);
    expect(await firstValue(answer)).toBe(1);
  });

  test('is counted by route and by how queries ended', async () => {
    await listen({});
    await ask();
    await ask({ ...body, cache_time: 60 });
    await ask({ ...body, cache_time: 60 });
    const metrics = await registry.metrics();
    for (const line of [
      /^query_requests_total\{outcome="answered"\} [1-9]/m,
      /^query_requests_total\{outcome="cached"\} [1-9]/m,
      /^query_duration_seconds_count\{outcome="answered"\} [1-9]/m,
      /^query_points_total [1-9]/m,
      /^query_rows_total [1-9]/m,
      /^query_cache_hits_total [1-9]/m,
      /^query_cache_bytes [1-9]/m,
      /^api_requests_total\{method="POST",route="\/api\/v1\/datapoints\/query",status="200"\} [1-9]/m,
    ]) {
      expect(metrics).toMatch(line);
    }
  });
});
