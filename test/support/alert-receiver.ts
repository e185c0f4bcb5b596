/** A receiver of webhook notifications that answers as a test says, and keeps what came. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { AlertMessage } from '../../src/alerts/index.ts';

export interface Notice {
  /** The same when it is sent again. */
  readonly key: string;
  readonly message: AlertMessage;
}

export class AlertReceiver {
  /** All that came, repetitions included. */
  readonly got: Notice[] = [];
  readonly url: string;

  private constructor(url: string) {
    this.url = url;
  }

  /** `answer` gives the status, after as long as it likes; default: 204 to everything. */
  static async forThisTest(
    answer: (notice: Notice) => number | Promise<number> = () => 204,
  ): Promise<AlertReceiver> {
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      try {
        for await (const part of request) parts.push(part);
      } catch {
        // Its sender was killed within it: nothing has come.
        return;
      }
      const notice = {
        key: String(request.headers['idempotency-key']),
        message: JSON.parse(Buffer.concat(parts).toString()) as AlertMessage,
      };
      receiver.got.push(notice);
      response.writeHead(await answer(notice)).end('as the test says');
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onTestFinished(() => {
      server.closeAllConnections();
      return new Promise<void>((done) => server.close(() => done()));
    });
    const { port } = server.address() as AddressInfo;
    const receiver = new AlertReceiver(`http://127.0.0.1:${port}/notices`);
    return receiver;
  }

  /** What came, each once, in order of first arrival. */
  get distinct(): readonly AlertMessage[] {
    return [...new Map(this.got.map(({ key, message }) => [key, message])).values()];
  }
}
