import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../runtime/index.ts';
import { closeConnections } from './connections.ts';

let app: FastifyInstance;
let stopping: AbortController;
let clock: ManualClock;
/** Answers the request that is under way. */
let answer: (text: string) => void;
let isAsked: Promise<void>;
let client: Socket;
/** Its other end. */
let served: Socket;
let isOver: Promise<unknown>;

const REQUEST = 'GET /slow HTTP/1.1\r\nhost: here\r\n\r\n';

async function serve(): Promise<void> {
  app = Fastify({ forceCloseConnections: 'idle' });
  stopping = new AbortController();
  clock = new ManualClock();
  closeConnections(app, { stopping, clock });
  const asked = Promise.withResolvers<void>();
  isAsked = asked.promise;
  app.get('/slow', () => {
    asked.resolve();
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  app.post('/body', async () => 'taken');
  await app.listen({ port: 0, host: '127.0.0.1' });
  client = connect((app.server.address() as AddressInfo).port, '127.0.0.1').setEncoding('utf8');
  // One that is let go may be told so by a reset.
  client.on('error', () => {});
  [[served]] = await Promise.all([once(app.server, 'connection'), once(client, 'connect')]);
  isOver = new Promise((resolve) => client.once('close', resolve));
}

afterEach(() => client.destroy());

describe('connections of a service that stops', () => {
  it('are let go at once when nothing was ever asked', async () => {
    await serve();
    client.resume();
    await app.close();
    await isOver;
    expect(stopping.signal.aborted).toBe(true);
  });

  it('end with the answer that is under way', async () => {
    await serve();
    client.write(REQUEST);
    await isAsked;
    let said = '';
    client.on('data', (text) => {
      said += text;
    });
    const closed = app.close();
    await once(stopping.signal, 'abort');
    answer('at last');
    await closed;
    await isOver;
    expect(said).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n[\s\S]*at last$/i);
  });

  it.each([
    { what: 'no answer comes', sent: REQUEST },
    {
      what: 'a body never ends',
      sent: 'POST /body HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\r\n{',
    },
    { what: 'a head never ends', sent: 'GET /slow HTT' },
  ])('are cut off when $what', async ({ sent }) => {
    await serve();
    client.resume().write(sent);
    await vi.waitFor(() => expect(served.bytesRead).toBe(sent.length));
    const closed = app.close();
    await once(stopping.signal, 'abort');
    await clock.advance(9_999);
    expect(served.destroyed).toBe(false);
    await clock.advance(1);
    await closed;
    await isOver;
    expect(served.destroyed).toBe(true);
  });
});
