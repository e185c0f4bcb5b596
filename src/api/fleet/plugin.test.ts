import { beforeEach, expect, test } from 'vitest';
import { type FakeEngine, fakeEngine } from '../../../test/support/fake-engine.ts';
import { createServer } from '../server.ts';

let engine: FakeEngine;
let app: Awaited<ReturnType<typeof createServer>>;
beforeEach(async () => {
  engine = await fakeEngine();
  app = await createServer(engine);
  return () => app.close();
});

const codeOf = async (url: string) => {
  const reply = await app.inject(url);
  return [reply.statusCode, reply.json().code];
};

test('a host comes with its trends, by step, field and tags', async () => {
  const reply = await app.inject(
    '/v1/fleet/hosts/a?from=1000&to=2000&step=1h&field=used_percent&mount=/&tag=device:sda1',
  );
  expect(reply.json()).toMatchObject({
    host: 'a',
    status: 'up',
    series: [{ field: 'usage_percent' }],
  });
  expect(engine.asked).toEqual([
    {
      from: 1000,
      to: 2000,
      step: '1h',
      hosts: ['a'],
      field: 'used_percent',
      tags: { device: 'sda1', mount: '/' },
    },
  ]);
});

test('hosts are compared by one field', async () => {
  const reply = await app.inject('/v1/fleet/compare?field=usage_percent&hosts=a,b,a&from=0&to=1');
  expect(reply.json()).toMatchObject({
    field: 'usage_percent',
    step: '5m',
    series: [{ host: 'a' }],
  });
  expect(engine.asked[0]).toMatchObject({ hosts: ['a', 'b'] });
});

test('a forecast is of a disk unless a field is named, and says what it can’t tell', async () => {
  const reply = await app.inject('/v1/fleet/forecast?host=a&mount=/&horizon=2w');
  expect(reply.json()).toMatchObject({ model: null, reason: '6 hours are needed', capacity: 100 });
  expect(engine.asked[0]).toMatchObject({
    metricType: 'disk',
    field: 'used_percent',
    horizonMs: 14 * 86_400_000,
    confidence: 0.95,
  });
});

test.each([
  ['/v1/fleet/hosts/nobody', 404, 'UNKNOWN_HOST'],
  ['/v1/fleet/forecast?host=nobody', 404, 'UNKNOWN_SERIES'],
  ['/v1/fleet/forecast?host=a', 422, 'AMBIGUOUS_SERIES'],
  ['/v1/fleet/forecast', 422, 'FIELD_INVALID'],
  ['/v1/fleet/forecast?host=a&horizon=1000y', 422, 'FIELD_INVALID'],
  ['/v1/fleet/forecast?host=a&confidence=1', 422, 'FIELD_INVALID'],
  ['/v1/fleet/compare', 422, 'FIELD_INVALID'],
  ['/v1/fleet/compare?field=x&hosts=,', 422, 'FIELD_INVALID'],
  ['/v1/fleet/compare?field=x&tag=nocolon', 422, 'FIELD_INVALID'],
  ['/v1/fleet/compare?field=x&from=2&to=1', 422, 'RANGE_INVALID'],
  ['/v1/fleet/compare?field=x&step=2h', 422, 'FIELD_INVALID'],
  ['/v1/fleet/anomalies?detector=guess', 422, 'FIELD_INVALID'],
  ['/v1/fleet/anomalies?limit=0', 422, 'FIELD_INVALID'],
  ['/v1/fleet/hosts?sort=x', 422, 'FIELD_INVALID'],
])('%s gets %i %s', async (url, status, code) => {
  expect(await codeOf(url)).toEqual([status, code]);
});
