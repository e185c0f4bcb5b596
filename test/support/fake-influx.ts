/** For tests: an HTTP server on a free port of the loopback that answers as it is told. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { type InfluxConfig, influxConfig } from '../../src/databases/influx/index.ts';

export interface FakeRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** Unpacked. */
  readonly body: string;
  readonly gzipped: boolean;
}

export interface FakeAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: unknown;
}

export interface FakeInflux {
  readonly config: InfluxConfig;
  readonly requests: FakeRequest[];
  /** What the next requests get; 'hang' never answers, 'cut' ends the connection, or breaks off the answer. */
  answer: (request: FakeRequest) => FakeAnswer | 'hang' | 'cut';
  close(): Promise<void>;
}

export const TEST_TOKEN = 'a-very-secret-token';

export async function fakeInflux(): Promise<FakeInflux> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk) => chunks.push(chunk));
    incoming.on('end', () => reply(Buffer.concat(chunks), incoming, outgoing));
  });
  const fake: FakeInflux = {
    config: influxConfig({ url: 'http://127.0.0.1:1', org: 'org', token: TEST_TOKEN }),
    requests: [],
    answer: () => ({ status: 204 }),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  function reply(raw: Buffer, incoming: IncomingMessage, outgoing: ServerResponse) {
    const gzipped = incoming.headers['content-encoding'] === 'gzip';
    const request = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      headers: incoming.headers,
      body: (gzipped ? gunzipSync(raw) : raw).toString(),
      gzipped,
    };
    fake.requests.push(request);
    const answer = fake.answer(request);
    if (answer === 'hang') return;
    if (answer === 'cut') {
      outgoing.destroy();
      return;
    }
    const isText = answer.body === undefined || typeof answer.body === 'string';
    outgoing.writeHead(answer.status, {
      ...(isText ? {} : { 'content-type': 'application/json; charset=utf-8' }),
      ...answer.headers,
    });
    outgoing.end(isText ? (answer.body ?? '') : JSON.stringify(answer.body));
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as AddressInfo;
  return Object.assign(fake, {
    config: influxConfig({ url: `http://127.0.0.1:${port}`, org: 'org', token: TEST_TOKEN }),
  });
}
