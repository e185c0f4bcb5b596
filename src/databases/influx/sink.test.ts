import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeInflux, fakeInflux, TEST_TOKEN } from '../../../test/support/fake-influx.ts';
import { deliver } from '../../delivery/index.ts';
import type { Point } from '../../model/index.ts';
import { InfluxSink } from './sink.ts';

let influx: FakeInflux;
let sink: InfluxSink;
beforeEach(async () => {
  influx = await fakeInflux();
  sink = new InfluxSink({ config: influx.config, bucket: 'raw bucket' });
});
afterEach(() => influx.close());

const points = (count: number): Point[] =>
  Array.from({ length: count }, (_, at) => ({
    measurement: 'vote_latency',
    tags: { network: 'mainnet', validator_id: `v${at % 100}` },
    fields: { latency_slots: BigInt(at) },
    timestampNs: BigInt(at),
  }));

const error = (status: number, headers: Record<string, string> = {}) => ({
  status,
  headers,
  body: { code: 'some code', message: 'some message' },
});

/** Whatever an error holds, own and hidden, must not hold the token. */
function expectNoToken(thrown: unknown) {
  for (let at = thrown; at instanceof Error; at = at.cause) {
    const shown = `${at.stack} ${JSON.stringify(at)} ${Object.values(at).map((v) => JSON.stringify(v))}`;
    expect(shown).not.toContain(TEST_TOKEN);
  }
}

test('points go as gzipped lines in nanoseconds to the bucket, the token only in the header', async () => {
  await expect(sink.write(points(100))).resolves.toEqual([]);
  const [request] = influx.requests;
  expect(request).toMatchObject({
    method: 'POST',
    url: '/api/v2/write?org=org&bucket=raw+bucket&precision=ns',
    gzipped: true,
  });
  expect(request?.headers.authorization).toBe(`Token ${TEST_TOKEN}`);
  expect(request?.body.split('\n')).toHaveLength(100);
  expect(request?.body.split('\n')[7]).toBe(
    'vote_latency,network=mainnet,validator_id=v7 latency_slots=7i 7',
  );
  expect(sink.name).toBe('influx.raw bucket');
});

test('small bodies, and all with gzip off, go as they are', async () => {
  await sink.write(points(2));
  await new InfluxSink({ config: { ...influx.config, gzip: false }, bucket: 'b' }).write(
    points(500),
  );
  expect(influx.requests.map(({ gzipped }) => gzipped)).toEqual([false, false]);
});

test('a point that is none is rejected by its index and the others are stored', async () => {
  const mixed = points(3);
  mixed[1] = { ...mixed[1]!, fields: { latency_ms: Number.NaN } };
  await expect(sink.write(mixed)).resolves.toEqual([
    {
      index: 1,
      code: 'POINT_INVALID',
      message: 'not a point for InfluxDB: field "latency_ms" is NaN',
    },
  ]);
  expect(influx.requests[0]?.body.split('\n')).toHaveLength(2);
});

test('a batch of nothing but such points asks the server nothing', async () => {
  const none = [{ ...points(1)[0]!, fields: {} }];
  await expect(sink.write(none)).resolves.toHaveLength(1);
  expect(influx.requests).toEqual([]);
});

describe('statuses', () => {
  test.each([
    [401, 'fatal', 'INFLUX_UNAUTHORIZED', 'INFLUX_TOKEN'],
    [403, 'fatal', 'INFLUX_FORBIDDEN', 'right on the bucket'],
    [404, 'fatal', 'INFLUX_NOT_FOUND', 'tidemark setup'],
    [400, 'fatal', 'INFLUX_REFUSED', 'unexpected answer 400'],
    [405, 'fatal', 'INFLUX_REFUSED', 'is INFLUX_URL an InfluxDB'],
    [200, 'fatal', 'INFLUX_REFUSED', 'unexpected answer 200'],
    [408, 'retriable', 'SINK_FAILED', '408'],
    [429, 'retriable', 'SINK_BUSY', '429'],
    [500, 'retriable', 'SINK_FAILED', '500'],
    [502, 'retriable', 'SINK_FAILED', '502'],
    [503, 'retriable', 'SINK_BUSY', '503'],
  ])('%d is %s, %s', async (status, family, code, message) => {
    influx.answer = () => error(status);
    const thrown = await sink.write(points(3)).catch((e: unknown) => e);
    expect(thrown).toMatchObject({ family, code, message: expect.stringContaining(message) });
    expect(thrown).toMatchObject({ message: expect.stringContaining('some message') });
    expect(influx.requests).toHaveLength(1);
    expectNoToken(thrown);
  });

  test('a redirect is not followed, for it would become a GET; the message says where to', async () => {
    influx.answer = () => ({ status: 301, headers: { location: 'https://elsewhere/' } });
    await expect(sink.write(points(1))).rejects.toMatchObject({
      code: 'INFLUX_REDIRECTED',
      message: expect.stringContaining('https://elsewhere/'),
    });
    expect(influx.requests).toHaveLength(1);
  });

  test('Retry-After counts seconds, not milliseconds, and may be a date', async () => {
    influx.answer = () => error(429, { 'retry-after': '3' });
    await expect(sink.write(points(1))).rejects.toMatchObject({ retryAfterMs: 3_000 });
    const inAnHour = new Date(Date.now() + 3_600_000).toUTCString();
    influx.answer = () => error(503, { 'retry-after': inAnHour });
    const thrown = await sink.write(points(1)).catch((e: unknown) => e);
    const { retryAfterMs } = thrown as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(3_590_000);
    expect(retryAfterMs).toBeLessThanOrEqual(3_600_000);
    influx.answer = () => error(429);
    await expect(sink.write(points(1))).rejects.toMatchObject({ retryAfterMs: undefined });
  });

  test('a proxy that refuses size gets halves', async () => {
    influx.answer = ({ body }) =>
      body.split('\n').length > 30 ? { status: 413, body: 'too large' } : { status: 204 };
    await expect(sink.write(points(100))).resolves.toEqual([]);
    expect(influx.requests.map(({ body }) => body.split('\n').length)).toEqual([
      100, 50, 25, 25, 50, 25, 25,
    ]);
  });
});

describe('silence', () => {
  test('nobody listening is SINK_UNREACHABLE, with what happened', async () => {
    await influx.close();
    const thrown = await sink.write(points(1)).catch((e: unknown) => e);
    expect(thrown).toMatchObject({
      family: 'retriable',
      code: 'SINK_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expectNoToken(thrown);
    influx = await fakeInflux();
  });

  test('a connection cut before the answer is SINK_UNREACHABLE', async () => {
    influx.answer = () => 'cut';
    const thrown = await sink.write(points(1)).catch((e: unknown) => e);
    expect(thrown).toMatchObject({ family: 'retriable', code: 'SINK_UNREACHABLE' });
    expectNoToken(thrown);
  });

  test('a server that hangs is left when the signal says so', async () => {
    influx.answer = () => 'hang';
    const stop = new AbortController();
    const write = sink.write(points(1), stop.signal);
    stop.abort(new Error('time is up'));
    await expect(write).rejects.toThrow('time is up');
  });
});

test('the same 500 three times over makes it try without gzip and in smaller pieces', async () => {
  influx.answer = ({ gzipped, body }) =>
    gzipped || body.split('\n').length > 1_000
      ? { status: 500, body: { code: 'internal error', message: 'An internal error has occurred' } }
      : { status: 204 };
  const batch = points(2_000);
  for (let attempt = 1; attempt <= 3; attempt++) {
    await expect(sink.write(batch)).rejects.toMatchObject({ code: 'SINK_FAILED' });
  }
  await expect(sink.write(batch)).resolves.toEqual([]);
  expect(influx.requests.map(({ gzipped, body }) => [gzipped, body.split('\n').length])).toEqual([
    [true, 2_000],
    [true, 2_000],
    [true, 2_000],
    [false, 500],
    [false, 500],
    [false, 500],
    [false, 500],
  ]);
  // The next batch is sent as ever.
  influx.answer = () => ({ status: 204 });
  await sink.write(points(2_000));
  expect(influx.requests.at(-1)?.gzipped).toBe(true);
});

test('pieces already stored are not sent again when a later one fails', async () => {
  const batch = points(1_000);
  influx.answer = () => error(500);
  for (let attempt = 1; attempt <= 3; attempt++) await sink.write(batch).catch(() => {});
  influx.answer = ({ body }) =>
    body.includes('latency_slots=999i') && influx.requests.length < 6
      ? error(502)
      : { status: 204 };
  await expect(sink.write(batch)).rejects.toMatchObject({ code: 'SINK_FAILED' });
  const before = influx.requests.length;
  await expect(sink.write(batch)).resolves.toEqual([]);
  expect(influx.requests.slice(before).map(({ body }) => body.split('\n').length)).toEqual([500]);
});

test('check writes nothing with the rights of a write, and connect is the same', async () => {
  await sink.connect();
  await sink.check();
  expect(influx.requests.map(({ method, body }) => [method, body])).toEqual([
    ['POST', ''],
    ['POST', ''],
  ]);
  influx.answer = () => error(401);
  await expect(sink.check()).rejects.toMatchObject({ code: 'INFLUX_UNAUTHORIZED' });
});

test('through the delivery every point is stored although the server is busy, cuts and hangs', {
  tags: 'heavy',
}, async () => {
  const stored = new Set<string>();
  let call = 0;
  influx.answer = ({ body }) => {
    const trouble = ['ok', 'cut', 'busy', 'hang', 'ok', 'failed', 'cut'][call++];
    if (trouble === 'cut' || trouble === 'hang') return trouble;
    if (trouble === 'busy') return error(429, { 'retry-after': '0' });
    if (trouble === 'failed') return error(500);
    for (const text of body.split('\n')) if (text) stored.add(text);
    return { status: 204 };
  };
  const delivery = deliver(
    sink,
    {
      batchPointsMax: 100,
      flushIntervalMs: 5,
      attemptTimeoutMs: 300,
      backoffBaseMs: 5,
      backoffCapMs: 10,
    },
    { random: () => 0.5 },
  );
  await expect(delivery.write(points(1_050))).resolves.toEqual({ rejections: [] });
  expect(stored.size).toBe(1_050);
  await delivery.stop(1_000);
});
