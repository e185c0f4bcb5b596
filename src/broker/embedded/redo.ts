/**
 * Changes of a state on their way to their own keys. An epoch puts them down as few packed values, and only every
 * few megabytes they are folded into the entries, each key once: 2,000 windows that change every second are 2,000
 * puts every eighth epoch, not with each, and 10,000 entries of closing windows are one put of an epoch. Folding takes
 * many small writes, and what is packed goes with the last of them: whoever finds it folds it again, to the same end.
 *
 * A packed value, of entries in the order of their changes:
 *   u32 LE key length, u32 LE value length + 1 (0 = removed), key, value
 */
import { threadTurns } from '../../runtime/index.ts';
import type { StateChange } from '../contract.ts';
import { afterPrefix, encodeEntry, redoKey, u32 } from './keys.ts';
import type { Stage } from './stage.ts';
import type { Tables } from './storage.ts';
import type { Writer } from './writer.ts';

/** Folded when so much is packed, or so many values are. Twice as much waits at most: then epochs wait for the fold. */
const FOLD_BYTES = 4 * 1024 ** 2;
const FOLD_VALUES = 512;
/** A packed value closes at either: less than 1 ms of the thread. */
const PACKED_BYTES = 256 * 1024;
const PACKED_ENTRIES = 1_024;
/** Entries folded by one write: less than 1 ms of the thread. */
const FOLDED_PER_WRITE = 512;
const ENTRY_HEADER_BYTES = 8;

export interface RedoParts {
  readonly tables: Tables;
  readonly writer: Writer;
  readonly state: number;
  /** Throws when the state has another owner by now. */
  readonly assertOwned: (stage: Stage) => void;
}

export class Redo {
  readonly #parts: RedoParts;
  /** Sequence numbers of the packed values that are not folded yet: from, and behind the last. */
  #first = 0;
  #next = 0;
  #bytes = 0;
  #folding: Promise<void> | undefined;
  /** Why the last fold ended early; what it left is folded by the next who opens. */
  #failure: unknown;

  /** Takes up what an owner before this one has left; that one must not be able to write any more. */
  constructor(parts: RedoParts) {
    this.#parts = parts;
    const prefix = u32(parts.state);
    for (const { key, value } of parts.tables.redo.getRange({
      start: prefix,
      end: afterPrefix(prefix),
    })) {
      const sequence = (key as Buffer).readUInt32BE(4);
      if (this.#bytes === 0) this.#first = sequence;
      this.#next = sequence + 1;
      this.#bytes += value.length;
    }
  }

  /** Makes an epoch's changes ready, with the event loop free in between; waits while too much is not folded. */
  async pack(changes: readonly StateChange[]): Promise<readonly Buffer[]> {
    if (this.#bytes >= 2 * FOLD_BYTES) await this.#folding;
    if (this.#failure !== undefined) throw this.#failure;
    const packed: Buffer[] = [];
    for (let from = 0; from < changes.length; ) {
      if (from > 0) await threadTurns.next();
      const to = packedEnd(changes, from);
      packed.push(packEntries(changes, from, to));
      from = to;
    }
    return packed;
  }

  /** Part of the epoch's write; `written` once that is on disk. */
  stage(stage: Stage, packed: readonly Buffer[]): void {
    const { tables, state } = this.#parts;
    for (const [i, value] of packed.entries())
      stage.put(tables.redo, redoKey(state, this.#next + i), value);
  }

  written(packed: readonly Buffer[]): void {
    this.#next += packed.length;
    for (const { length } of packed) this.#bytes += length;
    const isDue = this.#bytes >= FOLD_BYTES || this.#next - this.#first >= FOLD_VALUES;
    if (isDue && this.#folding === undefined) this.fold().catch(() => {});
  }

  /** Resolves when all that was packed by now stands under its own keys. */
  async fold(): Promise<void> {
    while (this.#folding !== undefined) await this.#folding.catch(() => {});
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#first === this.#next) return;
    this.#folding = this.#foldUpTo(this.#next).finally(() => {
      this.#folding = undefined;
    });
    await this.#folding;
  }

  async #foldUpTo(end: number): Promise<void> {
    const { tables, state } = this.#parts;
    const first = this.#first;
    const folded = new Set<string>();
    const changes: StateChange[] = [];
    let bytes = 0;
    try {
      // The newest first: of each key the last change counts.
      for (let sequence = end - 1; sequence >= first; sequence--) {
        await threadTurns.next();
        const value = tables.redo.get(redoKey(state, sequence));
        // Deleted with its namespace: then the write below finds that it has no owner.
        if (value === undefined) continue;
        bytes += value.length;
        const packed = new PackedEntries(value);
        for (let i = packed.count - 1; i >= 0; i--) {
          const { size } = folded;
          if (folded.add(packed.keyText(i)).size > size) changes.push(packed.entry(i));
        }
        while (changes.length >= FOLDED_PER_WRITE)
          await this.#write(changes.splice(-FOLDED_PER_WRITE));
      }
      await this.#write(changes, { first, end });
      this.#first = end;
      this.#bytes -= bytes;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  async #write(
    changes: readonly StateChange[],
    done?: { readonly first: number; readonly end: number },
  ): Promise<void> {
    const { tables, writer, state, assertOwned } = this.#parts;
    await threadTurns.next();
    const entries = changes.map(({ key, value }) => encodeEntry(state, key, value));
    await writer.run({
      // It frees what it takes, and is counted with its epoch.
      bytes: 0,
      stage: (stage) => {
        assertOwned(stage);
        for (const entry of entries) stage.writes.push({ table: tables.state, ...entry });
        if (done === undefined) return;
        for (let sequence = done.first; sequence < done.end; sequence++)
          stage.remove(tables.redo, redoKey(state, sequence));
      },
    });
  }
}

function packedEnd(changes: readonly StateChange[], from: number): number {
  let bytes = 0;
  let to = from;
  while (to < changes.length && to - from < PACKED_ENTRIES && bytes < PACKED_BYTES)
    bytes += entryBytes(changes[to++] as StateChange);
  return to;
}

const entryBytes = ({ key, value }: StateChange): number =>
  ENTRY_HEADER_BYTES + key.length + (value?.length ?? 0);

export function packEntries(changes: readonly StateChange[], from: number, to: number): Buffer {
  let bytes = 0;
  for (let i = from; i < to; i++) bytes += entryBytes(changes[i] as StateChange);
  const packed = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (let i = from; i < to; i++) {
    const { key, value } = changes[i] as StateChange;
    at = packed.writeUInt32LE(key.length, at);
    at = packed.writeUInt32LE(value === null ? 0 : value.length + 1, at);
    packed.set(key, at);
    at += key.length;
    if (value === null) continue;
    packed.set(value, at);
    at += value.length;
  }
  return packed;
}

/** What stands in a packed value; an entry is made when it is asked for: most of them are changed again later. */
export class PackedEntries {
  readonly count: number;
  readonly #packed: Buffer;
  /** Where each begins. */
  readonly #places: number[] = [];

  constructor(packed: Buffer) {
    this.#packed = packed;
    for (let at = 0; at < packed.length; ) {
      this.#places.push(at);
      const stored = packed.readUInt32LE(at + 4);
      at += ENTRY_HEADER_BYTES + packed.readUInt32LE(at) + Math.max(0, stored - 1);
    }
    this.count = this.#places.length;
  }

  /** The key, a character for each byte. */
  keyText(i: number): string {
    const { from, keyEnd } = this.#placeOf(i);
    return this.#packed.toString('latin1', from, keyEnd);
  }

  /** Views of the packed value. */
  entry(i: number): StateChange {
    const { from, keyEnd, stored } = this.#placeOf(i);
    const key = this.#packed.subarray(from, keyEnd);
    const value = stored === 0 ? null : this.#packed.subarray(keyEnd, keyEnd + stored - 1);
    return { key, value };
  }

  #placeOf(i: number): { from: number; keyEnd: number; stored: number } {
    const at = this.#places[i] as number;
    const from = at + ENTRY_HEADER_BYTES;
    return {
      from,
      keyEnd: from + this.#packed.readUInt32LE(at),
      stored: this.#packed.readUInt32LE(at + 4),
    };
  }
}
