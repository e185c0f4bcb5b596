/**
 * The open windows of one windowing step: per window the keys in order of first sight, each with its
 * aggregate and lineage. As a state store it writes each changed entry once per epoch.
 *
 * State entry
 *   key    start f64 · end f64 · key text (fields joined by 0x1f)
 *   value  seq u32 · firstOffset f64 · lastOffset f64 · late u32 · duplicates u32 · carried length u16 · carried JSON · aggregate
 * `seq` is the order of first sight, which is the order of emission.
 */
import { DRAIN_ENTRIES, type PutState, type StateStore } from '../state/index.ts';
import type { Aggregate, OffsetRange } from './aggregate.ts';
import { joinKey, splitKey } from './key-index.ts';

/** One key in one open window. */
export class WindowEntry<S> {
  readonly key: readonly string[];
  readonly start: number;
  readonly end: number;
  readonly seq: number;
  /** Its place among its window's entries. */
  place: number;
  readonly state: S;
  carried: Readonly<Record<string, string>>;
  firstOffset = Number.POSITIVE_INFINITY;
  lastOffset = -1;
  late = 0;
  duplicates = 0;
  dirty = false;
  /** Whether the last epoch holds this entry, so that closing must remove it there. */
  stored = false;
  parts: readonly OffsetRange[] | undefined;
  /** As written to the last epoch; neither changes while the window is open, but for `carry`. */
  keyBytes: Buffer | undefined;
  carriedBytes: Buffer | undefined;

  constructor(
    key: readonly string[],
    window: { start: number; end: number; entries: readonly unknown[] },
    seq: number,
    state: S,
  ) {
    this.key = key;
    this.start = window.start;
    this.end = window.end;
    this.seq = seq;
    this.place = window.entries.length;
    this.state = state;
    this.carried = NONE;
  }

  carry(values: Readonly<Record<string, string>>): void {
    this.carried = values;
    this.carriedBytes = undefined;
  }
}

const NONE: Readonly<Record<string, string>> = {};
const HEADER = 4 + 8 + 8 + 4 + 4 + 2;

/** All keys of one window. `byKey` is indexed by the step's key numbers. */
export class OpenWindow<S> {
  readonly start: number;
  readonly end: number;
  readonly byKey: (WindowEntry<S> | undefined)[] = [];
  readonly entries: WindowEntry<S>[] = [];
  /** How often each entry has changed, by place, modulo 2^32: whoever shows them sees which ones to work out again. */
  changes = new Uint32Array(16);

  constructor(start: number, end: number) {
    this.start = start;
    this.end = end;
  }

  add(entry: WindowEntry<S>): void {
    this.entries.push(entry);
    if (this.changes.length >= this.entries.length) return;
    const grown = new Uint32Array(2 * this.changes.length);
    grown.set(this.changes);
    this.changes = grown;
  }

  changed({ place }: WindowEntry<S>): void {
    this.changes[place] = (this.changes[place] as number) + 1;
  }
}

export class WindowTable<S> implements StateStore {
  readonly #aggregate: Aggregate<S>;
  readonly #numberOf: (values: readonly string[]) => number;
  readonly #windows = new Map<number, OpenWindow<S>>();
  #dirty: WindowEntry<S>[] = [];
  #removed: WindowEntry<S>[] = [];
  #seq = 0;
  /** End of the window that ends first; Infinity when none is open. */
  earliestEnd = Number.POSITIVE_INFINITY;

  constructor(aggregate: Aggregate<S>, numberOf: (values: readonly string[]) => number) {
    this.#aggregate = aggregate;
    this.#numberOf = numberOf;
  }

  get(start: number): OpenWindow<S> | undefined {
    return this.#windows.get(start);
  }

  windowAt(start: number, end: number): OpenWindow<S> {
    let window = this.#windows.get(start);
    if (window === undefined) {
      window = new OpenWindow(start, end);
      this.#windows.set(start, window);
      if (end < this.earliestEnd) this.earliestEnd = end;
    }
    return window;
  }

  open(): readonly OpenWindow<S>[] {
    return [...this.#windows.values()].sort((a, b) => a.end - b.end || a.start - b.start);
  }

  create(window: OpenWindow<S>, key: number, values: readonly string[]): WindowEntry<S> {
    const entry = new WindowEntry(values, window, this.#seq++, this.#aggregate.create());
    window.byKey[key] = entry;
    window.add(entry);
    return entry;
  }

  touch(entry: WindowEntry<S>): void {
    if (!entry.dirty) {
      entry.dirty = true;
      this.#dirty.push(entry);
    }
  }

  /** Takes out the windows that end at or before `end`, earliest first. */
  takeClosed(end: number): readonly OpenWindow<S>[] {
    const closed = this.open().filter((window) => window.end <= end);
    for (const window of closed) {
      this.#windows.delete(window.start);
      for (const entry of window.entries) if (entry.stored) this.#removed.push(entry);
    }
    this.earliestEnd = Number.POSITIVE_INFINITY;
    for (const window of this.#windows.values()) {
      if (window.end < this.earliestEnd) this.earliestEnd = window.end;
    }
    return closed;
  }

  restore(key: Buffer, value: Buffer): void {
    const start = key.readDoubleBE(0);
    const end = key.readDoubleBE(8);
    const values = splitKey(key.toString('utf8', 16));
    const carriedEnd = HEADER + value.readUInt16BE(28);
    const window = this.windowAt(start, end);
    const state = this.#aggregate.decode(value.subarray(carriedEnd));
    const entry = new WindowEntry(values, window, value.readUInt32BE(0), state);
    entry.firstOffset = value.readDoubleBE(4);
    entry.lastOffset = value.readDoubleBE(12);
    entry.late = value.readUInt32BE(20);
    entry.duplicates = value.readUInt32BE(24);
    entry.carried =
      carriedEnd === HEADER ? NONE : JSON.parse(value.toString('utf8', HEADER, carriedEnd));
    entry.stored = true;
    window.byKey[this.#numberOf(values)] = entry;
    window.add(entry);
    this.#seq = Math.max(this.#seq, entry.seq + 1);
  }

  restored(): void {
    for (const { entries } of this.#windows.values()) {
      entries.sort((a, b) => a.seq - b.seq);
      for (const [place, entry] of entries.entries()) entry.place = place;
    }
  }

  drain(put: PutState): void {
    for (const _ of this.drainInParts(put));
  }

  *drainInParts(put: PutState): Generator<void, void> {
    let handedOver = 0;
    for (const entry of this.#removed) {
      put(this.#keyOf(entry), null);
      if (++handedOver % DRAIN_ENTRIES === 0) yield;
    }
    this.#removed = [];
    for (const entry of this.#dirty) {
      entry.dirty = false;
      if (this.#windows.get(entry.start)?.end !== entry.end) continue; // Closed since: removed above or never stored.
      entry.stored = true;
      put(this.#keyOf(entry), this.#valueOf(entry));
      if (++handedOver % DRAIN_ENTRIES === 0) yield;
    }
    this.#dirty = [];
  }

  #keyOf(entry: WindowEntry<S>): Buffer {
    if (entry.keyBytes === undefined) {
      const text = Buffer.from(joinKey(entry.key));
      const bytes = Buffer.allocUnsafe(16 + text.length);
      bytes.writeDoubleBE(entry.start, 0);
      bytes.writeDoubleBE(entry.end, 8);
      bytes.set(text, 16);
      entry.keyBytes = bytes;
    }
    return entry.keyBytes;
  }

  #valueOf(entry: WindowEntry<S>): Buffer {
    entry.carriedBytes ??= Buffer.from(entry.carried === NONE ? '' : JSON.stringify(entry.carried));
    const carried = entry.carriedBytes;
    const state = this.#aggregate.encode(entry.state);
    const bytes = Buffer.allocUnsafe(HEADER + carried.length + state.length);
    bytes.writeUInt32BE(entry.seq, 0);
    bytes.writeDoubleBE(entry.firstOffset, 4);
    bytes.writeDoubleBE(entry.lastOffset, 12);
    bytes.writeUInt32BE(entry.late, 20);
    bytes.writeUInt32BE(entry.duplicates, 24);
    bytes.writeUInt16BE(carried.length, 28);
    bytes.set(carried, HEADER);
    bytes.set(state, HEADER + carried.length);
    return bytes;
  }
}
