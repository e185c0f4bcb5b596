/**
 * The records that a sliding step still needs: those that wait for the watermark, and behind them, per key, the
 * trail of those given, over which the aggregate is kept by two stacks: a record is merged about three times,
 * however many the window holds, and nothing is ever subtracted.
 *
 *     front, oldest on top: each with the aggregate     back: one running aggregate
 *     of itself and all of the front after it           of all of it, in order
 *     [a b c │ b c │ c]                                 [d + e]            whole = (a b c) + (d + e)
 *
 * The oldest leaves by a pop; when the front is empty, the back becomes the front. Where the front ends is part
 * of the state, so that after a restart the same merges follow in the same order and floats come out alike.
 *
 * State entries
 *   'r' seq f64    → time f64 · offset f64 · duplicates u32 · key length u32 · key text (fields joined by 0x1f) · aggregate of this record
 *   'f' key text   → seq f64 of the last record of the key's front
 *   'g'            → time f64 up to which all was given
 */
import type { PutState, StateStore } from '../state/index.ts';
import type { Aggregate } from './aggregate.ts';
import { Heap } from './heap.ts';
import { joinKey, splitKey } from './key-index.ts';

/** One record, folded into an aggregate of its own. */
interface Held<S> {
  readonly key: readonly string[];
  readonly keyNumber: number;
  readonly seq: number;
  readonly time: number;
  readonly offset: number;
  readonly state: S;
  duplicates: number;
  dirty: boolean;
  stored: boolean;
  gone: boolean;
}

/** An aggregate over several records and where they stand in the log. */
interface Slice<S> {
  readonly state: S;
  firstOffset: number;
  lastOffset: number;
}

/** The records of one key within reach of its newest, given ones only. */
interface Trail<S> {
  readonly key: readonly string[];
  /** Oldest last, each with the slice from itself to the end of the front. */
  front: { readonly record: Held<S>; readonly slice: Slice<S> }[];
  back: Held<S>[];
  backSlice: Slice<S>;
  duplicates: number;
}

/** A key's window that ends at `time`. */
export interface TrailingWindow<S> extends Slice<S> {
  readonly key: readonly string[];
  readonly time: number;
  readonly duplicates: number;
}

const RECORD = 0x72;
const FRONT = 0x66;
const GIVEN = Buffer.from('g');
const HEADER = 8 + 8 + 4 + 4;

export class SlidingTable<S> implements StateStore {
  readonly #aggregate: Aggregate<S>;
  readonly #sizeMs: number;
  readonly #numberOf: (values: readonly string[]) => number;
  readonly #waiting = new Heap<Held<S>>(inOrder);
  /** Given and within reach, in order; those before `#oldest` are gone. */
  #given: Held<S>[] = [];
  #oldest = 0;
  readonly #trails = new Map<number, Trail<S>>();
  /** By key number and time: a record of that time, for its duplicates. */
  readonly #byTime = new Map<number, Map<number, Held<S>>>();
  #givenUpTo = Number.NEGATIVE_INFINITY;
  #givenMoved = false;
  #dirty: Held<S>[] = [];
  #removed: Held<S>[] = [];
  readonly #movedFronts = new Map<number, readonly string[]>();
  #seq = 0;
  #restoring: Held<S>[] = [];
  readonly #restoredFronts = new Map<number, number>();

  constructor(
    aggregate: Aggregate<S>,
    sizeMs: number,
    numberOf: (values: readonly string[]) => number,
  ) {
    this.#aggregate = aggregate;
    this.#sizeMs = sizeMs;
    this.#numberOf = numberOf;
  }

  /** How many records are held: those of the last size + grace. */
  get size(): number {
    return this.#waiting.size + this.#given.length - this.#oldest;
  }

  /** Takes a record in, whose own aggregate is `state`. */
  add(
    keyNumber: number,
    record: { key: readonly string[]; time: number; offset: number; state: S },
  ): void {
    const held: Held<S> = {
      ...record,
      keyNumber,
      seq: this.#seq++,
      duplicates: 0,
      dirty: false,
      stored: false,
      gone: false,
    };
    this.#waiting.push(held);
    this.#index(held);
    this.#touch(held);
  }

  /** Counts a repetition of a record of this key at `time`, if it is still held. */
  countDuplicate(keyNumber: number, time: number): void {
    const held = this.#byTime.get(keyNumber)?.get(time);
    if (held === undefined) return;
    held.duplicates++;
    if (time <= this.#givenUpTo) this.#trail(held).duplicates++;
    this.#touch(held);
  }

  /** Gives the windows that end before `time`, in order of their ends, and forgets what no later one reaches. */
  takeBefore(time: number): readonly TrailingWindow<S>[] {
    const windows: TrailingWindow<S>[] = [];
    for (let next = this.#waiting.peek(); next !== undefined && next.time < time; ) {
      const end = next.time;
      this.#forget(end - this.#sizeMs);
      const ending = new Set<Trail<S>>();
      for (; next !== undefined && next.time === end; next = this.#waiting.peek()) {
        this.#waiting.pop();
        ending.add(this.#follow(next));
      }
      this.#givenUpTo = end;
      this.#givenMoved = true;
      for (const trail of ending) windows.push(this.#windowOf(trail, end));
    }
    this.#forget(time - this.#sizeMs);
    return windows;
  }

  restore(key: Buffer, value: Buffer): void {
    if (key[0] === RECORD) {
      const keyEnd = HEADER + value.readUInt32BE(20);
      const values = splitKey(value.toString('utf8', HEADER, keyEnd));
      this.#restoring.push({
        key: values,
        keyNumber: this.#numberOf(values),
        seq: key.readDoubleBE(1),
        time: value.readDoubleBE(0),
        offset: value.readDoubleBE(8),
        state: this.#aggregate.decode(value.subarray(keyEnd)),
        duplicates: value.readUInt32BE(16),
        dirty: false,
        stored: true,
        gone: false,
      });
    } else if (key[0] === FRONT) {
      const number = this.#numberOf(splitKey(key.toString('utf8', 1)));
      this.#restoredFronts.set(number, value.readDoubleBE(0));
    } else this.#givenUpTo = value.readDoubleBE(0);
  }

  restored(): void {
    const records = this.#restoring.sort(inOrder);
    this.#restoring = [];
    const fronts = new Map<number, Held<S>[]>();
    for (const held of records) {
      this.#seq = Math.max(this.#seq, held.seq + 1);
      this.#index(held);
      if (held.time > this.#givenUpTo) {
        this.#waiting.push(held);
        continue;
      }
      const last = this.#restoredFronts.get(held.keyNumber);
      if (last === undefined) this.#follow(held);
      else {
        const front = fronts.get(held.keyNumber) ?? [];
        front.push(held);
        fronts.set(held.keyNumber, front);
        this.#given.push(held);
        this.#trail(held).duplicates += held.duplicates;
        // What follows the last of the front is the back.
        if (held.seq === last) this.#restoredFronts.delete(held.keyNumber);
      }
    }
    for (const front of fronts.values())
      this.#trail(front[0] as Held<S>).front = this.#stackOf(front);
    this.#restoredFronts.clear();
  }

  drain(put: PutState): void {
    for (const held of this.#removed) put(recordKey(held), null);
    this.#removed = [];
    for (const held of this.#dirty) {
      held.dirty = false;
      if (held.gone) continue; // Removed above, or never stored.
      held.stored = true;
      put(recordKey(held), this.#valueOf(held));
    }
    this.#dirty = [];
    for (const [number, key] of this.#movedFronts) {
      const last = this.#trails.get(number)?.front[0]?.record.seq;
      put(frontKey(key), last === undefined ? null : doubleOf(last));
    }
    this.#movedFronts.clear();
    if (this.#givenMoved) put(GIVEN, doubleOf(this.#givenUpTo));
    this.#givenMoved = false;
  }

  /** Puts a record at the end of its key's trail. */
  #follow(held: Held<S>): Trail<S> {
    const trail = this.#trail(held);
    trail.back.push(held);
    this.#extend(trail.backSlice, held);
    trail.duplicates += held.duplicates;
    this.#given.push(held);
    return trail;
  }

  #windowOf(trail: Trail<S>, time: number): TrailingWindow<S> {
    const whole = this.#emptySlice();
    const front = trail.front.at(-1)?.slice;
    if (front !== undefined) this.#join(whole, front);
    this.#join(whole, trail.backSlice);
    return { ...whole, key: trail.key, time, duplicates: trail.duplicates };
  }

  /** Lets go of the given records at or before `time`. */
  #forget(time: number): void {
    for (;;) {
      const held = this.#given[this.#oldest];
      if (held === undefined || held.time > time) break;
      this.#oldest++;
      this.#leave(held);
    }
    if (this.#oldest > 1_024 && this.#oldest * 2 > this.#given.length) {
      this.#given = this.#given.slice(this.#oldest);
      this.#oldest = 0;
    }
  }

  /** Takes the oldest record out of its key's trail. */
  #leave(held: Held<S>): void {
    const trail = this.#trail(held);
    if (trail.front.length === 0) {
      trail.front = this.#stackOf(trail.back);
      trail.back = [];
      trail.backSlice = this.#emptySlice();
      this.#movedFronts.set(held.keyNumber, held.key);
    }
    trail.front.pop();
    trail.duplicates -= held.duplicates;
    if (trail.front.length === 0) {
      this.#movedFronts.set(held.keyNumber, held.key);
      if (trail.back.length === 0) this.#trails.delete(held.keyNumber);
    }
    held.gone = true;
    if (held.stored) this.#removed.push(held);
    const times = this.#byTime.get(held.keyNumber);
    times?.delete(held.time);
    if (times?.size === 0) this.#byTime.delete(held.keyNumber);
  }

  #stackOf(records: readonly Held<S>[]): Trail<S>['front'] {
    const stack: Trail<S>['front'] = [];
    for (const record of records.toReversed()) {
      const slice = this.#emptySlice();
      this.#extend(slice, record);
      const after = stack.at(-1)?.slice;
      if (after !== undefined) this.#join(slice, after);
      stack.push({ record, slice });
    }
    return stack;
  }

  #trail(held: Held<S>): Trail<S> {
    let trail = this.#trails.get(held.keyNumber);
    if (trail === undefined) {
      const backSlice = this.#emptySlice();
      trail = { key: held.key, front: [], back: [], backSlice, duplicates: 0 };
      this.#trails.set(held.keyNumber, trail);
    }
    return trail;
  }

  #emptySlice(): Slice<S> {
    const state = this.#aggregate.create();
    return { state, firstOffset: Number.POSITIVE_INFINITY, lastOffset: -1 };
  }

  #extend(slice: Slice<S>, { state, offset }: Held<S>): void {
    this.#join(slice, { state, firstOffset: offset, lastOffset: offset });
  }

  #join(into: Slice<S>, from: Slice<S>): void {
    this.#aggregate.merge(into.state, from.state);
    into.firstOffset = Math.min(into.firstOffset, from.firstOffset);
    into.lastOffset = Math.max(into.lastOffset, from.lastOffset);
  }

  #index(held: Held<S>): void {
    const times = this.#byTime.get(held.keyNumber);
    if (times === undefined) this.#byTime.set(held.keyNumber, new Map([[held.time, held]]));
    else if (!times.has(held.time)) times.set(held.time, held);
  }

  #touch(held: Held<S>): void {
    if (held.dirty) return;
    held.dirty = true;
    this.#dirty.push(held);
  }

  #valueOf(held: Held<S>): Buffer {
    const key = Buffer.from(joinKey(held.key));
    const head = Buffer.allocUnsafe(HEADER);
    head.writeDoubleBE(held.time, 0);
    head.writeDoubleBE(held.offset, 8);
    head.writeUInt32BE(held.duplicates, 16);
    head.writeUInt32BE(key.length, 20);
    return Buffer.concat([head, key, this.#aggregate.encode(held.state)]);
  }
}

const inOrder = (a: Held<unknown>, b: Held<unknown>): number => a.time - b.time || a.seq - b.seq;

function recordKey(held: Held<unknown>): Buffer {
  const key = Buffer.allocUnsafe(9);
  key[0] = RECORD;
  key.writeDoubleBE(held.seq, 1);
  return key;
}

const frontKey = (key: readonly string[]): Buffer =>
  Buffer.concat([Buffer.of(FRONT), Buffer.from(joinKey(key))]);

function doubleOf(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(value, 0);
  return bytes;
}
