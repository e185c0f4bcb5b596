/**
 * Sends the INSERTs of a batch as one statement: a prepared batch (inserts.ts), of which the driver writes the values of the
 * first INSERT, and those of the others are put behind it, in the bytes that it would have written (0048). Its own way, a
 * dozen small buffers a cell, took most of our processor time of a write, and a batch of statements takes Cassandra
 * longer (0058).
 *
 *   request  header, 9: … body length, int32 at 5 │ statement's id … │ values, u16 │ INSERT │ INSERT │ … │ what the driver puts behind
 *   INSERT   its values, each int32 length + bytes
 */
import { createRequire } from 'node:module';

const HEADER_BYTES = 9;
const LENGTH_AT = 5;
const COUNT_BYTES = 2;
const UNKNOWN_BYTES = 'BUG: this release of the driver writes requests in other bytes';

/** The parameters of the first INSERT, for the driver; it writes those of all. */
export abstract class PackedInserts extends Array<unknown> {
  /** How many INSERTs the statement has: the last stands there again where there are more than asked for. */
  abstract readonly inserts: number;

  /** What anyone makes of the parameters is a plain array. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** The first value of the first INSERT. */
  protected abstract readonly firstValue: Buffer;
  /** Of all values of the first INSERT. */
  protected abstract readonly firstBytes: number;
  /** Of all values of all. */
  protected abstract readonly allBytes: number;
  protected abstract writeAll(request: Buffer, at: number): void;

  /** `frame`: the driver's, of the first INSERT alone. */
  frameOf(frame: Buffer): Buffer {
    const countAt = frame.indexOf(this.#start());
    if (countAt < 0) throw new Error(UNKNOWN_BYTES);
    const valuesAt = countAt + COUNT_BYTES;
    const firstEnd = valuesAt + this.firstBytes;
    const { allBytes } = this;
    const whole = Buffer.allocUnsafe(valuesAt + allBytes + frame.length - firstEnd);
    frame.copy(whole, 0, 0, countAt);
    whole.writeInt32BE(whole.length - HEADER_BYTES, LENGTH_AT);
    whole.writeUInt16BE(this.inserts * this.length, countAt);
    this.writeAll(whole, valuesAt);
    if (frame.compare(whole, valuesAt, firstEnd, valuesAt, firstEnd) !== 0)
      throw new Error(UNKNOWN_BYTES);
    frame.copy(whole, valuesAt + allBytes, firstEnd);
    return whole;
  }

  /** How the values of the first INSERT begin in a request. */
  #start(): Buffer {
    const { firstValue } = this;
    const start = Buffer.allocUnsafe(COUNT_BYTES + 4 + firstValue.length);
    start.writeInt32BE(firstValue.length, start.writeUInt16BE(this.length));
    firstValue.copy(start, COUNT_BYTES + 4);
    return start;
  }
}

/** Gives where it ends. Faster than the buffer's own, which looks whether the number fits. */
export function writeInt32(target: Uint8Array, at: number, value: number): number {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
  return at + 4;
}

interface ExecutePrototype {
  write?: (this: ExecuteRequest, encoder: unknown, streamId: number) => Buffer;
}

interface ExecuteRequest {
  readonly params?: unknown;
  length: number;
}

let isInstalled: boolean | undefined;

/** Once per process. False when another release of the driver has no such place: then they go one by one. */
export function installPackedRequests(): boolean {
  isInstalled ??= install();
  return isInstalled;
}

function install(): boolean {
  const require = createRequire(import.meta.url);
  let prototype: ExecutePrototype | undefined;
  try {
    prototype = require('cassandra-driver/lib/requests.js').ExecuteRequest?.prototype;
  } catch {
    return false;
  }
  const original = prototype?.write;
  if (prototype === undefined || typeof original !== 'function') return false;
  prototype.write = function write(encoder, streamId) {
    const frame = original.call(this, encoder, streamId);
    if (!(this.params instanceof PackedInserts)) return frame;
    const whole = this.params.frameOf(frame);
    this.length = whole.length - HEADER_BYTES;
    return whole;
  };
  return true;
}
