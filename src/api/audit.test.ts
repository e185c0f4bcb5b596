import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { fakeEngine } from '../../test/support/fake-engine.ts';
import { silentLogger } from '../runtime/index.ts';
import { createServer } from './server.ts';

test('a change of state is logged with who, what and outcome, and never with a token, query or body', async () => {
  const lines: unknown[] = [];
  const logger = Object.assign(Object.create(silentLogger), {
    info: (entry: unknown) => void lines.push(entry),
  });
  const app = await createServer(await fakeEngine(), { logger });
  const authorization = 'Bearer very-secret';
  const payload = { text: 'in the body' };
  await app.inject({ method: 'POST', url: '/v1/annotations', payload, headers: { authorization } });
  await app.inject({ method: 'DELETE', url: '/v1/annotations/none?secret=1' });
  await app.inject('/v1/annotations');
  await app.inject({
    method: 'POST',
    url: '/v1/topics/votes/records',
    payload: { records: [{ key: 'a', value: '{}' }] },
  });
  await app.close();
  const who = `token:${createHash('sha256').update('very-secret').digest('hex').slice(0, 12)}`;
  const common = { from: '127.0.0.1' };
  expect(lines).toEqual([
    { audit: { who, ...common, method: 'POST', path: '/v1/annotations', status: 201 } },
    {
      audit: {
        who: 'anonymous',
        ...common,
        method: 'DELETE',
        path: '/v1/annotations/none',
        status: 404,
      },
    },
  ]);
});
