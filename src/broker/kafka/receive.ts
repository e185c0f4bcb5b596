/**
 * How a connection takes in its answers. kafkajs collects chunks and concatenates them twice per answer; here
 * the size in front of an answer allots its buffer once and chunks are copied straight into it, so a fetch of
 * megabytes costs one copy. Layout: `size: int32 | correlation id: int32 | payload`.
 */
import type { WireConnection } from './library.ts';

/** Refuses sizes that can only be garbage (a TLS port spoken to in plain text, for one). */
const ANSWER_BYTES_MAX = 512 * 1024 * 1024;

/** Replaces `processData` of this one connection; call `reset` before it connects anew. */
export function receiveInPlace(connection: WireConnection): { reset(): void } {
  const original = connection.processData;
  const head = Buffer.alloc(4);
  let headFilled = 0;
  let body: Buffer | undefined;
  let bodyFilled = 0;

  const answer = (payload: Buffer): void => {
    connection.requestQueue.fulfillRequest({
      correlationId: payload.readInt32BE(0),
      payload: payload.subarray(4),
      size: payload.length,
    });
  };

  connection.processData = function receive(chunk: Buffer): void {
    // While SASL is under way kafkajs reads raw answers itself; nothing else is in flight then.
    if (connection.authHandlers) {
      original.call(connection, chunk);
      return;
    }
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
        bodyFilled = 0;
      }
      const take = Math.min(body.length - bodyFilled, chunk.length - at);
      chunk.copy(body, bodyFilled, at, at + take);
      bodyFilled += take;
      at += take;
      if (bodyFilled === body.length) {
        const whole = body;
        body = undefined;
        answer(whole);
      }
    }
  };

  return {
    reset() {
      headFilled = 0;
      body = undefined;
      connection.chunks = [];
      connection.bytesBuffered = 0;
      connection.bytesNeeded = 4;
    },
  };
}
