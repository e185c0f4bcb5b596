import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { codePoint } from '../../test/support/code-point.ts';
import { fakeEngine } from '../../test/support/fake-engine.ts';
import { createServer } from './server.ts';

let app: Awaited<ReturnType<typeof createServer>>;
let known: string[];
beforeAll(async () => {
  app = await createServer(await fakeEngine());
  known = Object.keys((await app.inject('/docs/json')).json().paths);
});
afterAll(() => app.close());

const word = fc.oneof(
  fc.constantFrom('votes', 'plain', 'a', 'testnet', 'r1', 'vote-latency', 'kairos.vote_latency'),
  fc.string({ maxLength: 20 }).map(encodeURIComponent),
  fc
    .string({ unit: codePoint, maxLength: 8 })
    .map((text) => encodeURIComponent(text.toWellFormed())),
  fc.string({ maxLength: 20 }).map((text) => text.replace(/[^!-~]/g, '')),
);
const path = fc.oneof(
  fc
    .tuple(fc.nat(), word)
    .map(([i, name]) => known[i % known.length]!.replace(/\{\w+\}/g, () => name)),
  fc.array(word, { maxLength: 5 }).map((words) => `/${words.join('/')}`),
);
const query = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'from',
        'to',
        'limit',
        'partition',
        'step',
        'q',
        'group',
        'sort',
        'x',
        '__proto__',
      ),
      fc.oneof(
        fc.constantFrom('0', '-1', '1e999', 'NaN', '5m', 'network:testnet', 'latest', '0.5', ''),
        fc.string({ maxLength: 12 }).map((text) => encodeURIComponent(text.toWellFormed())),
      ),
    ),
    { maxLength: 4 },
  )
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('&'));
const body = fc.oneof(
  fc.constant(undefined),
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc
    .record(
      {
        name: fc.constantFrom('vote-latency', 'x'),
        from: fc.oneof(fc.record({ offset: fc.jsonValue() }), fc.record({ time: fc.jsonValue() })),
        to: fc.jsonValue(),
        records: fc.array(fc.record({ value: fc.jsonValue(), timestamp: fc.jsonValue() })),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
  fc.string({ maxLength: 200 }),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);
const method = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'PROPFIND',
  'TRACE',
);
const header = fc.record(
  {
    'content-type': fc.oneof(
      fc.constantFrom('application/json', 'application/x-ndjson', 'text/plain', 'text/xml'),
      fc.string({ maxLength: 20 }).map((text) => text.replace(/[^ -~]/g, '')),
    ),
    'content-encoding': fc.constantFrom('gzip', 'deflate', 'br', 'identity', 'x'),
    'accept-encoding': fc.constantFrom('gzip', 'br', '*', 'x;q=y'),
    accept: fc.constantFrom('*/*', 'application/json', 'x'),
    origin: fc.constantFrom('null', 'http://a', 'x'),
    authorization: fc.string({ maxLength: 10 }).map((text) => text.replace(/[^ -~]/g, '')),
  },
  { requiredKeys: [] },
);

test('whatever is sent, the answer is no 5xx, and every refusal is a problem with a code', {
  tags: 'heavy',
}, async () => {
  const seen = new Set<number>();
  await fc.assert(
    fc.asyncProperty(
      method,
      path,
      query,
      body,
      header,
      async (method, path, query, body, headers) => {
        // What no URL parser takes goes over a bare socket, below.
        fc.pre(URL.canParse(path, 'http://localhost'));
        // A feed that is granted does not end; its own tests hold it.
        fc.pre(path !== '/v1/live/stream');
        const reply = await app.inject({
          method: method as 'GET',
          url: query === '' ? path : `${path}?${query}`,
          headers: headers as Record<string, string>,
          ...(body === undefined ? {} : { payload: body }),
        });
        seen.add(reply.statusCode);
        expect(reply.statusCode).toBeLessThan(500);
        if (reply.statusCode >= 400 && method !== 'HEAD') {
          expect(reply.headers['content-type']).toBe('application/problem+json; charset=utf-8');
          expect(reply.json().code).toMatch(/^[A-Z_]+$/);
        }
      },
    ),
    { numRuns: 1_500 },
  );
  // The generators reach the handlers, not only the router.
  for (const status of [200, 404, 405, 415, 422]) expect(seen).toContain(status);
});

test.each([
  ['GET // HTTP/1.1\r\nhost: x', 404],
  ['GET /\\ HTTP/1.1\r\nhost: x', 404],
  ['GET http://x/v1/topics HTTP/1.1\r\nhost: x', 200],
  ['OPTIONS * HTTP/1.1\r\nhost: x', 404],
  ['GET /v1/topics?a=%zz&__proto__=1 HTTP/1.1\r\nhost: x', 422],
  ['GET /%c0%80 HTTP/1.1\r\nhost: x', 400],
  ['GET /v1/topics HTTP/1.1', 400],
  ['nonsense', 400],
  ['GET / HTTP/1.1\r\nhost: x\r\nbad header', 400],
  ['GET / HTTP/1.1\r\nhost: x\r\na: (40,000 letters)', 431],
  ['POST /v1/replays HTTP/1.1\r\nhost: x\r\ncontent-length: x', 400],
  ['POST /v1/replays HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz', 400],
])('the bytes %j are answered with %i', async (bytes, status) => {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 });
  const socket = connect((app.server.address() as { port: number }).port, '127.0.0.1');
  socket.end(
    `${bytes.replace('(40,000 letters)', 'b'.repeat(40_000))}\r\nconnection: close\r\n\r\n`,
  );
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  await once(socket, 'close');
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
});
