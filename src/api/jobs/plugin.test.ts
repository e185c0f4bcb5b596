import { expect, it } from 'vitest';
import { fakeEngine } from '../../../test/support/fake-engine.ts';
import { createServer } from '../server.ts';

const server = async () => {
  const engine = await fakeEngine();
  return { engine, app: await createServer(engine) };
};

it('a job is started with what its kind needs, and found under its address', async () => {
  const { engine, app } = await server();
  const reply = await app.inject({
    method: 'POST',
    url: '/v1/jobs',
    payload: { kind: 'verify', input: { sink: 'kairos.votes' } },
  });
  expect(reply.statusCode).toBe(202);
  expect(reply.headers.location).toBe('/v1/jobs/j1');
  expect(engine.asked).toEqual([{ kind: 'verify', input: { sink: 'kairos.votes' } }]);
  expect((await app.inject('/v1/jobs/j1')).json()).toMatchObject({ id: 'j1', state: 'running' });
  expect((await app.inject('/v1/jobs')).json().jobs).toHaveLength(1);
});

it('is paused, resumed, tried again and cancelled', { tags: 'heavy' }, async () => {
  const { app } = await server();
  const states: string[] = [];
  for (const verb of ['pause', 'resume', 'retry']) {
    const reply = await app.inject({ method: 'POST', url: `/v1/jobs/j1/${verb}` });
    states.push(reply.json().state);
  }
  const cancelled = await app.inject({ method: 'DELETE', url: '/v1/jobs/j1' });
  expect([...states, cancelled.json().state]).toEqual([
    'paused',
    'running',
    'running',
    'cancelled',
  ]);
});

it('has a report as JSON and as text', async () => {
  const { app } = await server();
  expect((await app.inject('/v1/jobs/j1/report')).json().failures).toEqual([
    { unit: 'hour 1', code: 'SINK_FAILED', message: 'it said no', attempts: 3 },
  ]);
  const text = await app.inject('/v1/jobs/j1/report?format=text');
  expect(text.headers['content-type']).toContain('text/plain');
  expect(text.body).toContain('  failed units:\n    hour 1: it said no [SINK_FAILED]');
});

it.each([
  ['GET', '/v1/jobs/nobody', undefined, 404, 'UNKNOWN_JOB'],
  ['DELETE', '/v1/jobs/nobody', undefined, 404, 'UNKNOWN_JOB'],
  ['POST', '/v1/jobs/nobody/pause', undefined, 404, 'UNKNOWN_JOB'],
  ['GET', '/v1/jobs/j1/report?format=xml', undefined, 422, 'FIELD_INVALID'],
  ['POST', '/v1/jobs', { kind: 'nothing', input: null }, 422, 'UNKNOWN_KIND'],
  ['POST', '/v1/jobs', { input: null }, 422, 'FIELD_INVALID'],
] as const)('%s %s is refused with its code', async (method, url, payload, status, code) => {
  const { app } = await server();
  const reply = await app.inject({ method, url, ...(payload && { payload }) });
  expect([reply.statusCode, reply.json().code]).toEqual([status, code]);
});
