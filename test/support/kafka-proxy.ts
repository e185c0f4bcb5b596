/**
 * A way to a real Kafka that can be cut, told so while a client uses it. Brokers tell their clients where they are;
 * this rewrites that address in their answers, so that clients come back here and never pass by.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class KafkaProxy {
  /** How often the broker's own address was replaced in an answer. */
  rewritten = 0;
  /** Connections refused by cutting them, since the proxy was last cut. */
  refused = 0;
  readonly #host: string;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #listensAt = 0;
  #isCut = false;

  /** `broker`: host:port as it advertises itself. */
  constructor(broker: string) {
    const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(broker) ?? [];
    this.#host = host;
    this.#port = Number(port);
  }

  /** Resolves with its host:port; the host is as the broker has it, since an answer may not change its length. */
  async start(): Promise<string> {
    const server = createServer((client) => {
      if (this.#isCut) {
        this.refused++;
        client.destroy();
      } else this.#join(client);
    });
    server.listen(0, this.#host);
    await once(server, 'listening');
    this.#listensAt = (server.address() as { port: number }).port;
    this.#server = server;
    return `${this.#host}:${this.#listensAt}`;
  }

  /** Connections that stand are broken, new ones are too, until `mend`. */
  cut(): void {
    this.#isCut = true;
    this.refused = 0;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  async stop(): Promise<void> {
    this.cut();
    const closed = once(this.#server as Server, 'close');
    this.#server?.close();
    await closed;
  }

  #join(client: Socket): void {
    const broker = connect(this.#port, this.#host);
    for (const [from, to] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
    client.on('data', (bytes) => broker.write(bytes));
    // Answers as wholes, so that an address is never half in one piece and half in the next: size int32 · body.
    let waiting: Buffer = Buffer.alloc(0);
    broker.on('data', (bytes) => {
      waiting = Buffer.concat([waiting, bytes]);
      while (waiting.length >= 4 && waiting.length >= 4 + waiting.readInt32BE(0)) {
        const end = 4 + waiting.readInt32BE(0);
        client.write(this.#withOurPort(waiting.subarray(0, end)));
        waiting = waiting.subarray(end);
      }
    });
  }

  /** An address is host · port int32, whatever stands around it in the versions of the answer. */
  #withOurPort(answer: Buffer): Buffer {
    const theirs = Buffer.from(`${this.#host}....`);
    theirs.writeInt32BE(this.#port, theirs.length - 4);
    for (let at = answer.indexOf(theirs); at >= 0; at = answer.indexOf(theirs, at + 1)) {
      answer.writeInt32BE(this.#listensAt, at + theirs.length - 4);
      this.rewritten++;
    }
    return answer;
  }
}
