/** A way to a real HTTP server which can fail in every manner a server in trouble does, told so while it runs. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * `refuse`: nobody listens; `hang`: requests are taken and never answered; `busy`: 503 with Retry-After; `limit`:
 * 429 without; `cut`: the server does what it is asked and its answer is lost on the way.
 */
export type Trouble = 'none' | 'refuse' | 'hang' | 'busy' | 'limit' | 'cut';

export class OutageProxy {
  /** Requests that got the present trouble. */
  troubled = 0;
  readonly #upstream: string;
  #server: Server | undefined;
  #port = 0;
  #trouble: Trouble = 'none';

  constructor(upstream: string) {
    this.#upstream = upstream;
  }

  /** Resolves with its address. */
  async start(): Promise<string> {
    await this.#listen();
    return `http://127.0.0.1:${this.#port}`;
  }

  /** From the next request on. What hangs is cut off: whoever hung has restarted meanwhile. */
  async set(trouble: Trouble): Promise<void> {
    this.#trouble = trouble;
    this.troubled = 0;
    if (trouble === 'refuse') await this.stop();
    else if (this.#server === undefined) await this.#listen();
    else this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async #listen(): Promise<void> {
    const server = createServer((incoming, outgoing) => {
      this.#pass(incoming, outgoing).catch(() => outgoing.destroy());
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const trouble = this.#trouble;
    if (trouble !== 'none') this.troubled++;
    if (trouble === 'hang') return;
    if (trouble === 'busy') return void outgoing.writeHead(503, { 'retry-after': '1' }).end('busy');
    if (trouble === 'limit') return void outgoing.writeHead(429).end('too many');
    const { method = 'GET', headers, url } = incoming;
    const { authorization = '', 'content-encoding': packed } = headers;
    const reply = await fetch(`${this.#upstream}${url}`, {
      method,
      headers: { authorization, ...(packed === undefined ? {} : { 'content-encoding': packed }) },
      ...(method === 'GET' ? {} : { body: Buffer.concat(chunks) }),
    });
    const body = await reply.text();
    if (trouble === 'cut') return void outgoing.destroy();
    const type = reply.headers.get('content-type');
    outgoing.writeHead(reply.status, type === null ? {} : { 'content-type': type }).end(body);
  }
}
