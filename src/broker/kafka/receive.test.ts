import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { WireConnection } from './library.ts';
import { receiveInPlace } from './receive.ts';

/** A connection that writes down its answers, and what kafkajs itself was given during SASL. */
function fake() {
  const answers: { correlationId: number; payload: Buffer }[] = [];
  const raw: Buffer[] = [];
  const errors: Error[] = [];
  const connection = {
    authHandlers: null as unknown,
    chunks: [],
    bytesBuffered: 0,
    bytesNeeded: 4,
    socket: { destroy: (error: Error) => errors.push(error) },
    requestQueue: {
      fulfillRequest: ({ correlationId, payload }: { correlationId: number; payload: Buffer }) =>
        answers.push({ correlationId, payload }),
    },
    processData: (chunk: Buffer) => raw.push(chunk),
  };
  const receiver = receiveInPlace(connection as unknown as WireConnection);
  return { connection, receiver, answers, raw, errors };
}

const frame = (correlationId: number, payload: Uint8Array): Buffer => {
  const head = Buffer.alloc(8);
  head.writeInt32BE(payload.length + 4, 0);
  head.writeInt32BE(correlationId, 4);
  return Buffer.concat([head, payload]);
};

/** What a socket does: asks for a buffer, fills some of it, says how much. */
function deliver(receiver: ReturnType<typeof receiveInPlace>, bytes: Buffer, most: number): void {
  const { buffer, callback } = receiver.onread;
  for (let at = 0; at < bytes.length; ) {
    const into = typeof buffer === 'function' ? buffer() : buffer;
    const count = Math.min(into.length, most, bytes.length - at);
    into.set(bytes.subarray(at, at + count));
    callback(count, into);
    at += count;
  }
}

const payloads = fc.array(fc.nat({ max: 100_000 }), { minLength: 1, maxLength: 5 });
const make = (sizes: readonly number[]) =>
  sizes.map((size, i) => Buffer.alloc(size, String.fromCharCode(97 + i)));

describe('receiving answers', () => {
  test('answers come out whole however the socket cuts them, read in place', {
    tags: 'heavy',
  }, () => {
    fc.assert(
      fc.property(payloads, fc.integer({ min: 1, max: 200_000 }), (sizes, most) => {
        const { receiver, answers } = fake();
        const given = make(sizes);
        deliver(receiver, Buffer.concat(given.map((p, i) => frame(i, p))), most);
        expect(answers.map(({ correlationId }) => correlationId)).toEqual(given.map((_, i) => i));
        answers.forEach(({ payload }, i) => {
          expect(payload.equals(given[i]!)).toBe(true);
        });
      }),
      { numRuns: 50 },
    );
  });

  test('answers come out whole however TLS cuts them', { tags: 'heavy' }, () => {
    fc.assert(
      fc.property(payloads, fc.integer({ min: 1, max: 70_000 }), (sizes, most) => {
        const { connection, answers } = fake();
        const given = make(sizes);
        const bytes = Buffer.concat(given.map((p, i) => frame(i, p)));
        for (let at = 0; at < bytes.length; at += most) {
          connection.processData(bytes.subarray(at, at + most));
        }
        expect(answers.map(({ payload }) => payload.length)).toEqual(given.map((p) => p.length));
        answers.forEach(({ payload }, i) => {
          expect(payload.equals(given[i]!)).toBe(true);
        });
      }),
      { numRuns: 50 },
    );
  });

  test('an answer is never written to again', () => {
    const { receiver, answers } = fake();
    deliver(receiver, frame(1, Buffer.alloc(50_000, 'a')), 64_000);
    deliver(receiver, frame(2, Buffer.alloc(50_000, 'b')), 64_000);
    expect(answers[0]?.payload.equals(Buffer.alloc(50_000, 'a'))).toBe(true);
  });

  test('while SASL is under way kafkajs gets the bytes, and they are its own', () => {
    const { connection, receiver, raw, answers } = fake();
    connection.authHandlers = {};
    deliver(receiver, Buffer.from('first'), 5);
    deliver(receiver, Buffer.from('other'), 5);
    expect(raw.map(String)).toEqual(['first', 'other']);
    expect(answers).toEqual([]);
  });

  test('after a new start nothing is left of an answer that was cut off', () => {
    const { receiver, answers } = fake();
    deliver(receiver, frame(1, Buffer.alloc(50_000, 'a')).subarray(0, 20_000), 64_000);
    receiver.reset();
    deliver(receiver, frame(2, Buffer.from('b')), 64_000);
    expect(answers.map(({ correlationId }) => correlationId)).toEqual([2]);
  });

  test('a size that no answer has ends the connection', () => {
    const { receiver, errors } = fake();
    deliver(receiver, Buffer.from('HTTP/1.1 400 Bad Request'), 100);
    expect(errors).toHaveLength(1);
    expect(errors[0]?.message).toContain('not a Kafka answer');
  });
});
