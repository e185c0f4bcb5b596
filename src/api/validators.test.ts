/** Schemas are compiled late, so what a start does not show is shown here. */
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { fakeEngine } from '../../test/support/fake-engine.ts';
import { createServer } from './server.ts';
import { compileWhenUsed } from './validators.ts';

const bad = { type: 'object', properties: { n: { type: 'no such type' } } };

async function appWith(...schemas: object[]) {
  const validators = compileWhenUsed();
  const { buildValidator } = validators;
  const app = Fastify({ schemaController: { compilersFactory: { buildValidator } } });
  for (const [index, body] of schemas.entries()) {
    app.post(`/${index}`, { schema: { body } }, async ({ body }) => ({ body }));
  }
  await app.ready();
  return { app, validators };
}

test('every schema of every route compiles', async () => {
  const app = await createServer(await fakeEngine());
  expect(app.compileValidators()).toBeGreaterThan(50);
  expect(app.compileValidators()).toBe(0);
  await app.close();
});

test('a schema is compiled by the first request that needs it, once, and says what is wrong each time', async () => {
  const body = { type: 'object', properties: { n: { type: 'number' } } };
  const { app, validators } = await appWith(body, bad);
  const post = (n: unknown) => app.inject({ method: 'POST', url: '/0', payload: { n } });
  expect((await post('1')).json()).toEqual({ body: { n: 1 } });
  expect((await post('x')).json().message).toBe('body/n must be number');
  expect((await post(2)).statusCode).toBe(200);
  expect((await post('y')).statusCode).toBe(400);
  expect(() => validators.compileAll()).toThrow('schema is invalid');
  await app.close();
});

test('a wrong schema fails the request that needs it, not others', async () => {
  const { app } = await appWith(bad, { type: 'object' });
  const post = (url: string) => app.inject({ method: 'POST', url, payload: {} });
  expect((await post('/0')).statusCode).toBe(500);
  expect((await post('/1')).statusCode).toBe(200);
  await app.close();
});
