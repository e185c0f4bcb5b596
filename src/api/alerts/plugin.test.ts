import { afterEach, beforeEach, expect, test } from 'vitest';
import { fakeEngine } from '../../../test/support/fake-engine.ts';
import { ManualClock } from '../../runtime/index.ts';
import { createServer } from '../server.ts';

const NOW = 1_700_000_100_000;
let app: Awaited<ReturnType<typeof createServer>>;
beforeEach(async () => {
  app = await createServer(await fakeEngine(), { clock: new ManualClock(NOW) });
});
afterEach(() => app.close());

test('alerts come as those that fire, those that wait and the history', async () => {
  const reply = await app.inject('/v1/alerts?limit=5&rule=cpu&from=0');
  expect(reply.statusCode).toBe(200);
  const { firing, pending, history } = reply.json();
  expect(firing[0]).toMatchObject({ id: 'a1', rule: 'cpu', state: 'firing', silencedBy: null });
  expect(pending).toEqual([]);
  expect(history).toHaveLength(1);
});

test('an alert is acknowledged with or without a word', async () => {
  const url = '/v1/alerts/a1/acknowledge';
  const silent = await app.inject({ method: 'POST', url });
  expect(silent.statusCode).toBe(200);
  expect(silent.json().acknowledged).toMatchObject({ by: null, comment: null });
  const said = await app.inject({ method: 'POST', url, payload: { by: 'ada' } });
  expect(said.json().acknowledged.by).toBe('ada');
  const unknown = await app.inject({ method: 'POST', url: '/v1/alerts/zz/acknowledge' });
  expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'UNKNOWN_ALERT']);
});

test('a silence lasts an hour unless it says; it is made, listed and ended', async () => {
  const url = '/v1/alerts/silences';
  const made = await app.inject({ method: 'POST', url, payload: { matchers: { host: 'web-*' } } });
  expect(made.statusCode).toBe(201);
  expect(made.json()).toMatchObject({ matchers: { host: 'web-*' }, endsAt: NOW + 3_600_000 });
  expect(made.headers.location).toBe(`${url}/${made.json().id}`);
  expect((await app.inject(url)).json().silences).toHaveLength(1);
  const ended = await app.inject({ method: 'DELETE', url: `${url}/${made.json().id}` });
  expect(ended.statusCode).toBe(200);
  const unknown = await app.inject({ method: 'DELETE', url: `${url}/nope` });
  expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'UNKNOWN_SILENCE']);
});

test.each([
  ['no matcher', { matchers: {} }, 'FIELD_INVALID'],
  ['a matcher that is no text', { matchers: { host: {} } }, 'FIELD_INVALID'],
  ['a mistyped field', { matchers: { host: 'a' }, untill: 3 }, 'FIELD_INVALID'],
  ['two ends', { matchers: { host: 'a' }, endsAt: NOW + 1, durationMs: 4 }, 'FIELD_INVALID'],
  [
    'an end before its start',
    { matchers: { host: 'a' }, startsAt: NOW + 9, endsAt: NOW + 5 },
    'RANGE_INVALID',
  ],
  ['an end that is past', { matchers: { host: 'a' }, startsAt: 5, endsAt: 9 }, 'RANGE_INVALID'],
  ['for ever', { matchers: { host: 'a' }, endsAt: 8e15 }, 'RANGE_INVALID'],
  ['a time that is none', { matchers: { host: 'a' }, endsAt: 'tomorrow' }, 'FIELD_INVALID'],
])('a silence with %s is refused', async (_, payload, code) => {
  const reply = await app.inject({ method: 'POST', url: '/v1/alerts/silences', payload });
  expect([reply.statusCode, reply.json().code]).toEqual([422, code]);
});
