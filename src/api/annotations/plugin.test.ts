import { beforeEach, expect, test } from 'vitest';
import { fakeEngine } from '../../../test/support/fake-engine.ts';
import { createServer } from '../server.ts';

let app: Awaited<ReturnType<typeof createServer>>;
beforeEach(async () => {
  app = await createServer(await fakeEngine());
  return () => app.close();
});

const post = (payload: object) => app.inject({ method: 'POST', url: '/v1/annotations', payload });

test('an annotation is written, listed and removed', async () => {
  const made = await post({
    text: 'deploy 1.2',
    time: '2026-01-31T12:00:00Z',
    endTime: '2026-01-31T12:05:00Z',
    tags: ['deploy', 'deploy'],
    host: 'web-1',
  });
  expect(made.statusCode).toBe(201);
  const annotation = made.json();
  expect(made.headers.location).toBe(`/v1/annotations/${annotation.id}`);
  expect(annotation).toMatchObject({
    text: 'deploy 1.2',
    time: Date.parse('2026-01-31T12:00:00Z'),
    endTime: Date.parse('2026-01-31T12:05:00Z'),
    tags: ['deploy'],
    host: 'web-1',
  });
  expect((await app.inject('/v1/annotations')).json()).toEqual({ annotations: [annotation] });
  const url = `/v1/annotations/${annotation.id}`;
  expect((await app.inject({ method: 'DELETE', url })).json()).toEqual(annotation);
  const again = await app.inject({ method: 'DELETE', url });
  expect([again.statusCode, again.json().code]).toEqual([404, 'UNKNOWN_ANNOTATION']);
});

test.each([
  ['no text', {}, 'FIELD_INVALID'],
  ['an empty text', { text: '' }, 'FIELD_INVALID'],
  ['a text too long', { text: 'x'.repeat(4_001) }, 'FIELD_INVALID'],
  ['too many tags', { text: 'x', tags: Array.from({ length: 21 }, String) }, 'FIELD_INVALID'],
  ['a time that is none', { text: 'x', time: 'yesterday' }, 'FIELD_INVALID'],
  ['an end before its begin', { text: 'x', time: 2, endTime: 1 }, 'RANGE_INVALID'],
  ['a field nobody knows', { text: 'x', colour: 'red' }, 'FIELD_INVALID'],
])('%s gets 422', async (_, body, code) => {
  const reply = await post(body);
  expect([reply.statusCode, reply.json().code]).toEqual([422, code]);
});
