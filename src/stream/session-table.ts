/**
 * The open sessions of one session step, per key in order of time. As a state store it writes each changed
 * session once per epoch.
 *
 * State entry
 *   key    seq f64
 *   value  first f64 · last f64 · firstOffset f64 · lastOffset f64 · duplicates u32 · key length u32 · key text (fields joined by 0x1f)
 *          · carried length u32 · carried JSON · aggregate
 * `seq` is the order of first sight.
 */
import type { PutState, StateStore } from '../state/index.ts';
import type { Aggregate } from './aggregate.ts';
import { Heap } from './heap.ts';
import { joinKey, splitKey } from './key-index.ts';

/** One session: records of a key, each less than the gap from the next. */
export interface Session<S> {
  readonly key: readonly string[];
  readonly keyNumber: number;
  readonly seq: number;
  readonly state: S;
  /** Event times of the first and the last record, ms. */
  first: number;
  last: number;
  firstOffset: number;
  lastOffset: number;
  duplicates: number;
  carried: Readonly<Record<string, string>>;
  dirty: boolean;
  /** Whether the last epoch holds this session. */
  stored: boolean;
  /** Given or merged into another. */
  gone: boolean;
}

const HEADER = 4 * 8 + 4;

export class SessionTable<S> implements StateStore {
  readonly #aggregate: Aggregate<S>;
  readonly #numberOf: (values: readonly string[]) => number;
  /** By key number; each list ascending in time, never empty. */
  readonly #byKey = new Map<number, Session<S>[]>();
  #dirty: Session<S>[] = [];
  #removed: Session<S>[] = [];
  #seq = 0;
  /** One entry per open session, by the time of its last record when it was put in: sessions grow meanwhile. */
  readonly #byLast = new Heap<{ readonly last: number; readonly session: Session<S> }>(
    (a, b) => a.last - b.last,
  );

  constructor(aggregate: Aggregate<S>, numberOf: (values: readonly string[]) => number) {
    this.#aggregate = aggregate;
    this.#numberOf = numberOf;
  }

  /** The open sessions of a key that a record at `time` would belong to: none, one, or the two it bridges. */
  near(keyNumber: number, time: number, gapMs: number): readonly Session<S>[] {
    const own = this.#byKey.get(keyNumber);
    if (own === undefined) return NONE;
    return own.filter(({ first, last }) => time > first - gapMs && time < last + gapMs);
  }

  /** Opens a session with one record at `time`. */
  create(keyNumber: number, key: readonly string[], time: number): Session<S> {
    const session: Session<S> = {
      key,
      keyNumber,
      seq: this.#seq++,
      state: this.#aggregate.create(),
      first: time,
      last: time,
      firstOffset: Number.POSITIVE_INFINITY,
      lastOffset: -1,
      duplicates: 0,
      carried: {},
      dirty: false,
      stored: false,
      gone: false,
    };
    this.#insert(session);
    return session;
  }

  /** Makes one session of those given, which one record bridges: the one seen first takes the others in. */
  merge(sessions: readonly Session<S>[]): Session<S> {
    const [into, ...others] = sessions.toSorted((a, b) => a.seq - b.seq) as [
      Session<S>,
      ...Session<S>[],
    ];
    for (const from of others) {
      this.#aggregate.merge(into.state, from.state);
      this.#remove(from);
      into.first = Math.min(into.first, from.first);
      into.last = Math.max(into.last, from.last);
      into.firstOffset = Math.min(into.firstOffset, from.firstOffset);
      into.lastOffset = Math.max(into.lastOffset, from.lastOffset);
      into.duplicates += from.duplicates;
    }
    return into;
  }

  touch(session: Session<S>): void {
    if (session.dirty) return;
    session.dirty = true;
    this.#dirty.push(session);
  }

  /** All open sessions: the one that ends first, first. */
  open(): readonly Session<S>[] {
    return [...this.#byKey.values()].flat().sort(inOrder);
  }

  /** Takes out the sessions whose last record is at or before `last`, in order of their ends. */
  takeClosed(last: number): readonly Session<S>[] {
    let first = this.#byLast.peek();
    if (first === undefined || first.last > last) return NONE;
    const closed: Session<S>[] = [];
    for (; first !== undefined && first.last <= last; first = this.#byLast.peek()) {
      this.#byLast.pop();
      const { session } = first;
      if (session.gone) continue;
      if (session.last > last) this.#byLast.push({ last: session.last, session });
      else {
        this.#remove(session);
        closed.push(session);
      }
    }
    return closed.sort(inOrder);
  }

  restore(key: Buffer, value: Buffer): void {
    const keyEnd = HEADER + 4 + value.readUInt32BE(HEADER);
    const carriedEnd = keyEnd + 4 + value.readUInt32BE(keyEnd);
    const values = splitKey(value.toString('utf8', HEADER + 4, keyEnd));
    const seq = key.readDoubleBE(0);
    this.#insert({
      key: values,
      keyNumber: this.#numberOf(values),
      seq,
      state: this.#aggregate.decode(value.subarray(carriedEnd)),
      first: value.readDoubleBE(0),
      last: value.readDoubleBE(8),
      firstOffset: value.readDoubleBE(16),
      lastOffset: value.readDoubleBE(24),
      duplicates: value.readUInt32BE(32),
      carried: JSON.parse(value.toString('utf8', keyEnd + 4, carriedEnd)),
      dirty: false,
      stored: true,
      gone: false,
    });
    this.#seq = Math.max(this.#seq, seq + 1);
  }

  drain(put: PutState): void {
    for (const session of this.#removed) put(keyOf(session), null);
    this.#removed = [];
    for (const session of this.#dirty) {
      session.dirty = false;
      if (session.gone) continue; // Removed above, or never stored.
      session.stored = true;
      put(keyOf(session), this.#valueOf(session));
    }
    this.#dirty = [];
  }

  #insert(session: Session<S>): void {
    const own = this.#byKey.get(session.keyNumber);
    if (own === undefined) this.#byKey.set(session.keyNumber, [session]);
    else {
      own.push(session);
      own.sort((a, b) => a.first - b.first);
    }
    this.#byLast.push({ last: session.last, session });
  }

  #remove(session: Session<S>): void {
    session.gone = true;
    if (session.stored) this.#removed.push(session);
    const rest = (this.#byKey.get(session.keyNumber) ?? []).filter((other) => other !== session);
    if (rest.length === 0) this.#byKey.delete(session.keyNumber);
    else this.#byKey.set(session.keyNumber, rest);
  }

  #valueOf(session: Session<S>): Buffer {
    const head = Buffer.allocUnsafe(HEADER);
    head.writeDoubleBE(session.first, 0);
    head.writeDoubleBE(session.last, 8);
    head.writeDoubleBE(session.firstOffset, 16);
    head.writeDoubleBE(session.lastOffset, 24);
    head.writeUInt32BE(session.duplicates, 32);
    return Buffer.concat([
      head,
      ...measured(joinKey(session.key)),
      ...measured(JSON.stringify(session.carried)),
      this.#aggregate.encode(session.state),
    ]);
  }
}

const NONE: readonly never[] = [];

const inOrder = (a: Session<unknown>, b: Session<unknown>): number =>
  a.last - b.last || a.first - b.first || a.seq - b.seq;

function keyOf(session: Session<unknown>): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeDoubleBE(session.seq, 0);
  return key;
}

/** A text's length in bytes, then the text. */
function measured(text: string): readonly [Buffer, Buffer] {
  const bytes = Buffer.from(text);
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(bytes.length, 0);
  return [length, bytes];
}
