import { once } from 'node:events';
import http from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeEngine, fakeEngine } from '../../../test/support/fake-engine.ts';
import { ManualClock, systemClock } from '../../runtime/index.ts';
import { createServer } from '../server.ts';
import { formatPositions, parsePositions } from './feed.ts';

let engine: FakeEngine;
let app: Awaited<ReturnType<typeof createServer>>;
let port: number;
let clock: ManualClock;
beforeEach(async () => {
  engine = await fakeEngine();
  clock = new ManualClock();
  app = await createServer(engine, { clock });
  await app.listen({ host: '127.0.0.1', port: 0 });
  port = (app.server.address() as { port: number }).port;
});
afterEach(() => app.close());

interface Event {
  id: string;
  data: { partition: number; offset: number; value: unknown };
}

class FeedReader {
  readonly #response: http.IncomingMessage;
  readonly events: Event[] = [];
  text = '';
  lastId = '';
  ended = false;

  constructor(response: http.IncomingMessage) {
    this.#response = response;
    let rest = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      this.text += chunk;
      const blocks = (rest + chunk).split('\n\n');
      rest = blocks.pop()!;
      for (const block of blocks) {
        const id = /^id: (.*)$/m.exec(block)?.[1];
        if (id !== undefined) this.lastId = id;
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data !== undefined) this.events.push({ id: this.lastId, data: JSON.parse(data) });
      }
    });
    response.on('end', () => {
      this.ended = true;
    });
    response.on('error', () => {});
  }

  get values() {
    return this.events.map(({ data }) => data.value);
  }

  close(): void {
    this.#response.destroy();
  }
}

async function open(query = '', headers: Record<string, string> = {}, topic = 'plain') {
  const request = http.get({
    port,
    host: '127.0.0.1',
    path: `/v1/topics/${topic}/records${query}`,
    headers: { accept: 'text/event-stream', ...headers },
    agent: false,
  });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('text/event-stream; charset=utf-8');
  const reader = new FeedReader(response);
  await until(() => reader.lastId !== '');
  return reader;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 6_000) throw new Error('it did not come true within 30 s');
    await systemClock.sleep(5);
  }
}

test('a feed starts at latest, and each event is one record', async () => {
  engine.broker.put('plain', 0, '1');
  const feed = await open();
  engine.broker.put('plain', 0, '{"a":\n2}', 'text');
  await until(() => feed.events.length === 2);
  expect(feed.events[0]!.data).toEqual({
    partition: 0,
    offset: 1,
    key: null,
    timestamp: 1_700_000_000_000,
    value: { a: 2 },
  });
  expect(feed.values).toEqual([{ a: 2 }, 'text']);
});

test('from beginning, an offset or one partition it gives what is there and goes on', async () => {
  engine.broker.put('votes', 0, '1', '2');
  engine.broker.put('votes', 1, '10', '20');
  const all = await open('?from=beginning', {}, 'votes');
  await until(() => all.events.length === 4);
  expect(new Set(all.values)).toEqual(new Set([1, 2, 10, 20]));
  const later = await open('?from=1', {}, 'votes');
  await until(() => later.events.length === 2);
  expect(new Set(later.values)).toEqual(new Set([2, 20]));
  const one = await open('?from=beginning&partition=1', {}, 'votes');
  engine.broker.put('votes', 0, '3');
  engine.broker.put('votes', 1, '30');
  await until(() => one.events.length === 3);
  expect(one.values).toEqual([10, 20, 30]);
});

test('Last-Event-ID resumes over all partitions without loss or repeat, from any event', async () => {
  for (let i = 0; i < 40; i++) engine.broker.put('votes', i % 2, `${i}`);
  const whole = await open('?from=beginning', {}, 'votes');
  await until(() => whole.events.length === 40);
  for (const cut of [0, 1, 7, 20, 38]) {
    const before = whole.events.slice(0, cut + 1);
    const after = await open('?from=beginning', { 'last-event-id': before.at(-1)!.id }, 'votes');
    await until(() => after.events.length === 39 - cut);
    const joined = [...before, ...after.events].map(({ data }) => data.value as number);
    expect(joined.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    after.close();
  }
});

test('a client cut off before any record resumes from where it began', async () => {
  engine.broker.put('plain', 0, '1');
  const first = await open();
  first.close();
  engine.broker.put('plain', 0, '2');
  const second = await open('', { 'last-event-id': first.lastId });
  await until(() => second.events.length === 1);
  expect(second.values).toEqual([2]);
});

test('what is wrong with a feed is refused before it starts', async () => {
  const status = async (query: string, headers: Record<string, string> = {}) =>
    (
      await app.inject({
        url: `/v1/topics/votes/records${query}`,
        headers: { accept: 'text/event-stream', ...headers },
      })
    ).json().code;
  expect(await status('', { 'last-event-id': 'nonsense' })).toBe('CURSOR_INVALID');
  expect(await status('', { 'last-event-id': '0.zz-1.0' })).toBe('CURSOR_INVALID');
  expect(await status('?partition=0', { 'last-event-id': '1.0' })).toBe('CURSOR_INVALID');
  expect(await status('', { 'last-event-id': '1.0' })).toBe('CURSOR_INVALID');
  expect(await status('?from=soon')).toBe('FIELD_INVALID');
  expect(await status('?partition=2')).toBe('UNKNOWN_PARTITION');
});

test('a client that leaves ends the reading, and a server that stops ends the feed', async () => {
  const [gone, stays] = [await open('', {}, 'votes'), await open('', {}, 'votes')];
  await until(() => engine.broker.waiting === 4);
  gone.close();
  await until(() => engine.broker.waiting === 2);
  await app.close();
  await until(() => stays.ended);
  expect(engine.broker.waiting).toBe(0);
});

test('a silent feed beats, a busy one need not', async () => {
  const feed = await open();
  await clock.advance(15_000);
  expect(feed.text).not.toContain('heartbeat');
  await clock.advance(15_000);
  await until(() => feed.text.includes(': heartbeat\n\n'));
});

test('a client that does not read stops the reading of the log, and gets all of it later', {
  tags: 'heavy',
  timeout: 20_000,
}, async () => {
  const value = JSON.stringify('x'.repeat(10_000));
  engine.broker.put('plain', 0, ...Array.from({ length: 4_000 }, () => value));
  let read = 0;
  const { read: readLog } = engine.broker;
  Object.assign(engine.broker, {
    read: async (request: Parameters<typeof readLog>[0]) => {
      const batch = await readLog(request);
      read += batch?.count ?? 0;
      return batch;
    },
  });
  const socket = connect(port, '127.0.0.1');
  socket.pause();
  socket.write(
    'GET /v1/topics/plain/records?from=beginning HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n',
  );
  let before = -1;
  while (read === 0 || read !== before) {
    before = read;
    await systemClock.sleep(100);
  }
  // Kernel buffers of both ends hold a few MB of the 40.
  expect(read).toBeLessThan(2_000);
  let text = '';
  socket.on('data', (chunk) => {
    text = (text + chunk.toString('latin1')).slice(-200_000);
  });
  socket.resume();
  await until(() => text.includes('"offset":3999'));
  socket.destroy();
});

test('a feed outlives a broker that is away for a while', async () => {
  const feed = await open();
  await until(() => engine.broker.waiting === 1);
  engine.broker.away = true;
  engine.broker.put('plain', 0, '1');
  await systemClock.sleep(20);
  engine.broker.away = false;
  await clock.advance(1_000);
  await until(() => feed.events.length === 1);
  expect(feed.values).toEqual([1]);
});

test('positions survive being written as an id', () => {
  const positions = new Map([
    [0, 0],
    [1, 123_456_789],
    [99, Number.MAX_SAFE_INTEGER],
  ]);
  expect(parsePositions(formatPositions(positions))).toEqual(positions);
  for (const text of ['', '-', '0', '0.', '.0', '0.1-', '0.1,1.2', '0.-1', '0.zzzzzzzzzzz']) {
    expect(() => parsePositions(text), text).toThrow('Last-Event-ID');
  }
});
