import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeEngine, fakeEngine } from '../../../test/support/fake-engine.ts';
import { silentLogger, systemClock } from '../../runtime/index.ts';
import { createServer } from '../server.ts';

let engine: FakeEngine;
let app: Awaited<ReturnType<typeof createServer>>;
const server = (of: FakeEngine) =>
  createServer(of, { tokens: [], clock: systemClock, logger: silentLogger });
beforeEach(async () => {
  engine = await fakeEngine();
  app = await server(engine);
});
afterEach(() => app.close());

const get = async (url: string) => {
  const { statusCode, body } = await app.inject({ url });
  return { status: statusCode, json: JSON.parse(body) };
};

test('the queries are listed, and asked by name with a range of an hour unless told', async () => {
  expect((await get('/v1/influx/queries')).json.queries).toEqual([
    { name: 'network-stats', says: 'A network’s rollups', needs: ['network'] },
  ]);
  const { status, json } = await get(
    '/v1/influx/queries/network-stats?network=testnet&to=2025-09-10T12:00:00Z',
  );
  expect(status).toBe(200);
  const to = Date.UTC(2025, 8, 10, 12);
  expect(json.rows).toEqual([{ start: to - 3_600_000, network: 'testnet', count: 3 }]);
  expect(engine.asked.at(-1)).toEqual({
    name: 'network-stats',
    network: 'testnet',
    from: to - 3_600_000,
    to,
    step: '5m',
    limit: 100,
  });
});

test.each([
  ['nosuch?network=a', 404, 'UNKNOWN_QUERY'],
  ['network-stats', 422, 'FIELD_INVALID'],
  ['network-stats?network=a&limit=0', 422, 'FIELD_INVALID'],
  ['network-stats?network=a&from=2&to=1', 422, 'RANGE_INVALID'],
  ['network-stats?network=away', 424, 'INFLUX_UNANSWERED'],
])('%s is refused with %i %s', async (query, status, code) => {
  expect(await get(`/v1/influx/queries/${query}`)).toMatchObject({ status, json: { code } });
});

test('a process that is told of no InfluxDB says so', async () => {
  await app.close();
  app = await server({ ...engine, stored: undefined });
  for (const path of ['', '/network-stats?network=a']) {
    expect(await get(`/v1/influx/queries${path}`)).toMatchObject({
      status: 404,
      json: { code: 'INFLUX_NOT_NAMED' },
    });
  }
});
