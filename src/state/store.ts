/**
 * A keyed state store lives in its operator's memory; this is how it becomes durable. At each epoch the task
 * drains what changed into the commit; after a restart it feeds back what the last epoch held. A store never
 * does I/O of its own, so state, outputs and offsets can't disagree.
 */

export type PutState = (key: Buffer, value: Buffer | null) => void;

export interface StateStore {
  /** Called with each live entry, in no particular order, before the first batch. */
  restore(key: Buffer, value: Buffer): void;
  /** Called once after the last `restore`, also when there was nothing to restore. */
  restored?(): void;
  /** Hands over what changed since the last call; null removes. */
  drain(put: PutState): void;
  /** As `drain`, some DRAIN_ENTRIES at each step; for a store of many entries. Nothing changes between steps. */
  drainInParts?(put: PutState): Generator<void, void>;
}

/** Entries handed over before others get their turn: some 1 ms. */
export const DRAIN_ENTRIES = 256;

const SEPARATOR = 0x1f;

/** The stores of one task under their names; entries are prefixed `name 0x1f key`. */
export class StoreSet {
  readonly #stores = new Map<string, { prefix: Buffer; store: StateStore }>();
  readonly #replaced = new Set<string>();
  #outdated: Buffer[] = [];
  /** Entries restored whose store no longer exists (the topology changed). They stay where they are. */
  orphans = 0;

  /** `insteadOf`: a store of this name, and those below it, were this one's before: what they left is removed. */
  add(name: string, store: StateStore, insteadOf?: string): void {
    if (insteadOf !== undefined) this.#replaced.add(insteadOf);
    if (this.#stores.has(name)) {
      throw new Error(`BUG: two state stores are named "${name}"; name the steps apart`);
    }
    this.#stores.set(name, {
      prefix: Buffer.concat([Buffer.from(name), Buffer.of(SEPARATOR)]),
      store,
    });
  }

  restore(key: Buffer, value: Buffer): void {
    const end = key.indexOf(SEPARATOR);
    const name = end < 0 ? '' : key.toString('utf8', 0, end);
    const found = this.#stores.get(name);
    if (found) found.store.restore(key.subarray(end + 1), value);
    else if (this.#replaced.has(name) || this.#replaced.has(name.replace(/\/[^/]*$/, '')))
      this.#outdated.push(Buffer.from(key));
    else this.orphans++;
  }

  /** Entries restored that the next drain removes. */
  get outdated(): number {
    return this.#outdated.length;
  }

  restored(): void {
    for (const { store } of this.#stores.values()) store.restored?.();
  }

  drain(put: PutState): void {
    const parts = this.drainInParts(put);
    while (parts.next().done !== true);
  }

  /** As `drain`; between steps others may have their turn, but no store may change until it is done. */
  *drainInParts(put: PutState): Generator<void, void> {
    for (const key of this.#outdated) put(key, null);
    this.#outdated = [];
    for (const { prefix, store } of this.#stores.values()) {
      const putNamed: PutState = (key, value) => {
        const named = Buffer.allocUnsafe(prefix.length + key.length);
        named.set(prefix);
        named.set(key, prefix.length);
        put(named, value);
      };
      if (store.drainInParts === undefined) store.drain(putNamed);
      else yield* store.drainInParts(putNamed);
    }
  }
}
