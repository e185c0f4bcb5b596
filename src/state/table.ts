/** A small map from text to values that remembers what changed: enough for counters, rings and last values. */
import { DRAIN_ENTRIES, type PutState, type StateStore } from './store.ts';

export interface ValueCodec<V> {
  encode(value: V): Buffer;
  decode(bytes: Buffer): V;
}

/** Values as JSON: fine for small tables written once per window. */
export function jsonValues<V>(): ValueCodec<V> {
  return {
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(bytes.toString()) as V,
  };
}

/** Keyed values in insertion order; `set` marks dirty, so mutate a value and set it again. */
export class Table<V> implements StateStore {
  readonly #values = new Map<string, V>();
  readonly #dirty = new Set<string>();
  readonly #codec: ValueCodec<V>;

  constructor(codec: ValueCodec<V>) {
    this.#codec = codec;
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: V): void {
    this.#values.set(key, value);
    this.#dirty.add(key);
  }

  delete(key: string): void {
    if (this.#values.delete(key)) this.#dirty.add(key);
  }

  entries(): IterableIterator<[string, V]> {
    return this.#values.entries();
  }

  restore(key: Buffer, value: Buffer): void {
    this.#values.set(key.toString(), this.#codec.decode(value));
  }

  drain(put: PutState): void {
    for (const _ of this.drainInParts(put));
  }

  *drainInParts(put: PutState): Generator<void, void> {
    let handedOver = 0;
    for (const key of this.#dirty) {
      const value = this.#values.get(key);
      put(Buffer.from(key), value === undefined ? null : this.#codec.encode(value));
      if (++handedOver % DRAIN_ENTRIES === 0) yield;
    }
    this.#dirty.clear();
  }
}
