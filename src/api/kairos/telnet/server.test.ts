/** Lines over a real socket: in pieces, too long, many at once, and while the log takes none. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type DataPoint, RetriableError } from '../../../model/index.ts';
import { silentLogger, systemClock } from '../../../runtime/index.ts';
import type { Draft, KairosIngest } from '../ingest.ts';
import { VERSION_NAME } from '../version.ts';
import { listenTelnet, type TelnetServer } from './server.ts';

/** A log that keeps what it takes, or takes nothing. */
class FakeLog implements KairosIngest {
  busy = false;
  failures = 0;
  readonly taken: DataPoint[] = [];
  #points: DataPoint[] = [];
  readonly draft = {
    reset: () => {
      this.#points = [];
    },
    add: (point: DataPoint) => void this.#points.push(point),
  } as unknown as Draft;
  async room(): Promise<void> {
    await vi.waitUntil(() => !this.busy, 20_000);
  }
  async accept(): Promise<void> {
    const points = this.#points;
    await systemClock.sleep(1);
    if (this.failures-- > 0) throw new RetriableError('disk full', { code: 'LOG_FULL' });
    this.taken.push(...points);
  }
  async delete(): Promise<void> {}
}

let log: FakeLog;
let telnet: TelnetServer;
const sockets: Socket[] = [];
beforeEach(async () => {
  log = new FakeLog();
  const parts = { ingest: log, clock: systemClock, logger: silentLogger };
  telnet = await listenTelnet({ host: '127.0.0.1', port: 0 }, parts);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await telnet.close();
});

async function dial(): Promise<Socket> {
  const socket = connect(telnet.port, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}
const times = () => log.taken.map(({ timestampMs }) => timestampMs);
const arrived = (count: number) => vi.waitUntil(() => log.taken.length >= count, 20_000);
const line = (ms: number) => `putm m ${ms} 1 h=a\n`;

it('lines may come in any pieces, with either ending', async () => {
  const socket = await dial();
  const text = `${line(1)}${line(2).replace('\n', '\r\n')}nonsense\n${line(3)}`;
  for (const sign of text) {
    socket.write(sign);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await arrived(3);
  expect(times()).toEqual([1, 2, 3]);
});

it('many lines at once are points in their order', { tags: 'heavy' }, async () => {
  const socket = await dial();
  socket.write(Array.from({ length: 20_000 }, (_, i) => line(i)).join(''));
  await arrived(20_000);
  expect(times()).toEqual(Array.from({ length: 20_000 }, (_, i) => i));
});

it('a line longer than 1,024 bytes is passed over, and what follows is not', async () => {
  const socket = await dial();
  const long = (bytes: number) => `putm m 7 1 h=${'a'.repeat(bytes - 13)}\n`;
  socket.write(line(1) + long(1_025) + long(1_024) + line(2));
  socket.write('x'.repeat(100_000));
  await systemClock.sleep(20);
  socket.write(`${'x'.repeat(100_000)}\n${line(3)}`);
  await arrived(4);
  expect(times()).toEqual([1, 7, 2, 3]);
});

it('a line without an end is none', async () => {
  const socket = await dial();
  socket.end(`${line(1)}putm m 2 1 h=a`);
  await once(socket, 'close');
  await arrived(1);
  expect(times()).toEqual([1]);
});

it('version is answered, and a put never', async () => {
  const socket = await dial();
  let answered = '';
  socket.on('data', (bytes) => {
    answered += bytes;
  });
  socket.write(`${line(1)}wrong\nversion\n`);
  await vi.waitUntil(() => answered.includes('\n'), 20_000);
  expect(answered).toBe(`${VERSION_NAME}\n`);
});

it('while the log takes nothing the sender waits, and every line comes once it does', {
  tags: 'heavy',
}, async () => {
  log.failures = 2;
  const socket = await dial();
  socket.write(line(1) + line(2));
  await arrived(2);
  log.busy = true;
  for (let i = 3; i <= 100_000; i++) socket.write(line(i));
  await systemClock.sleep(50);
  // The kernel's buffers are full and ours are bounded: the sender holds the rest.
  expect(log.taken).toHaveLength(2);
  log.busy = false;
  await arrived(100_000);
  expect(times()).toEqual(Array.from({ length: 100_000 }, (_, i) => i + 1));
});

it('who sends and never reads is read no further, and is once it reads', {
  tags: 'heavy',
}, async () => {
  const socket = await dial();
  // More answers than the kernel's buffers hold, with a point now and then to see how far it came.
  for (let i = 1; i <= 600; i++) socket.write('version\n'.repeat(1_000) + line(i));
  let before = -1;
  while (log.taken.length > before) {
    before = log.taken.length;
    await systemClock.sleep(300);
  }
  expect(before).toBeLessThan(600);
  let answered = 0;
  socket.on('data', (bytes) => {
    answered += bytes.length;
  });
  await arrived(600);
  const wanted = 600_000 * (VERSION_NAME.length + 1);
  await vi.waitUntil(() => answered === wanted, 20_000);
});

it('a thousand connections are one stream each', { tags: 'heavy' }, async () => {
  const all = await Promise.all(Array.from({ length: 1_000 }, dial));
  all.forEach((socket, i) => {
    socket.write(line(i).slice(0, 9));
  });
  all.forEach((socket, i) => {
    socket.write(line(i).slice(9));
  });
  await arrived(1_000);
  expect(times().sort((a, b) => a - b)).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
});

it('a taken port is told', async () => {
  const parts = { ingest: log, clock: systemClock, logger: silentLogger };
  await expect(listenTelnet({ host: '127.0.0.1', port: telnet.port }, parts)).rejects.toThrow(
    /EADDRINUSE/,
  );
});
