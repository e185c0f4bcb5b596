/**
 * How a connection takes in its answers. kafkajs collects 64 KiB chunks and concatenates them twice per answer;
 * here the size in front of an answer allots its buffer once, and over plain TCP the socket reads straight into
 * it: no chunk is allotted and nothing is copied. Layout: `size: int32 | correlation id: int32 | payload`.
 */
import type { OnReadOpts } from 'node:net';
import type { WireConnection } from './library.ts';

/** Refuses sizes that can only be garbage (a TLS port spoken to in plain text, for one). */
const ANSWER_BYTES_MAX = 512 * 1024 * 1024;
/** Where reading goes while no large answer is under way. */
const SPARE_BYTES = 64 * 1024;
/** Less than this is rather copied out of the spare buffer, with which the next answer may come too. */
const DIRECT_BYTES_MIN = 16 * 1024;

export interface Receiver {
  /** For `net.connect`: where the socket shall put what it reads. */
  readonly onread: OnReadOpts;
  /** Before the connection connects anew. */
  reset(): void;
}

/** Takes over `processData` of this one connection, through which TLS sockets deliver. */
export function receiveInPlace(connection: WireConnection): Receiver {
  const original = connection.processData;
  const head = Buffer.alloc(4);
  let headFilled = 0;
  let body: Buffer | undefined;
  let filled = 0;
  let spare: Buffer | undefined;
  /** The part of `body` that the socket reads into just now. */
  let direct: Uint8Array | undefined;

  const finish = (): void => {
    if (body === undefined || filled < body.length) return;
    const whole = body;
    body = undefined;
    connection.requestQueue.fulfillRequest({
      correlationId: whole.readInt32BE(0),
      payload: whole.subarray(4),
      size: whole.length,
    });
  };

  const receive = (chunk: Uint8Array): void => {
    let at = 0;
    while (at < chunk.length) {
      if (body === undefined) {
        while (headFilled < 4 && at < chunk.length) head[headFilled++] = chunk[at++]!;
        if (headFilled < 4) return;
        const size = head.readInt32BE(0);
        if (size < 4 || size > ANSWER_BYTES_MAX) {
          connection.socket?.destroy(
            new Error(`not a Kafka answer (size ${size}): is this port TLS, or another server's?`),
          );
          return;
        }
        headFilled = 0;
        body = Buffer.allocUnsafeSlow(size);
        filled = 0;
      }
      const take = Math.min(body.length - filled, chunk.length - at);
      body.set(at === 0 && take === chunk.length ? chunk : chunk.subarray(at, at + take), filled);
      filled += take;
      at += take;
      finish();
    }
  };

  // While SASL is under way kafkajs reads its raw answers itself; nothing else is in flight then.
  connection.processData = (chunk) => {
    if (connection.authHandlers) original.call(connection, chunk);
    else receive(chunk);
  };

  return {
    onread: {
      buffer: () => {
        if (body !== undefined && body.length - filled >= DIRECT_BYTES_MIN) {
          direct = body.subarray(filled);
          return direct;
        }
        direct = undefined;
        spare ??= Buffer.allocUnsafeSlow(SPARE_BYTES);
        return spare;
      },
      callback: (count, buffer) => {
        if (buffer === direct && body !== undefined) {
          filled += count;
          finish();
        } else if (connection.authHandlers) {
          // The spare buffer is read into again: what kafkajs keeps of it must be its own.
          original.call(connection, Buffer.from(buffer.subarray(0, count)));
        } else receive(buffer.subarray(0, count));
        return true;
      },
    },
    reset() {
      headFilled = 0;
      body = undefined;
      direct = undefined;
      connection.chunks = [];
      connection.bytesBuffered = 0;
      connection.bytesNeeded = 4;
    },
  };
}
