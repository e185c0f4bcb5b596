/**
 * What dedup remembers: for each identity (a text and a number) the event time of the first record that had
 * it. An open-addressing table in typed arrays, 16 bytes a slot; as a state store, a log of segments: each
 * epoch writes what it added, and a segment is removed when all in it is past remembering.
 *
 * State entries
 *   'n' id u32           → the text with that id
 *   's' segment u32      → count varint, then per identity: id varint · number f64 if odd, else delta zigzag varint · time delta zigzag varint
 */
import type { PutState, StateStore } from '../state/index.ts';

const EMPTY = -1;
/** Texts are swept when there are this many, or twice as many as the last sweep left. */
const TEXTS_BEFORE_SWEEP = 100_000;
const NAME = 0x6e;
const SEGMENT = 0x73;

export class Seen implements StateStore {
  readonly #withinMs: number;
  readonly #keepMs: number;
  #ids = new Int32Array(1024).fill(EMPTY);
  #numbers = new Float64Array(1024);
  #times = new Float64Array(1024);
  #used = 0;
  readonly #texts: (string | undefined)[] = [];
  #forgottenTexts: number[] = [];
  #sweepAt = TEXTS_BEFORE_SWEEP;
  /** Grows when ids were given up: whoever caches an id by text must ask again. */
  generation = 0;
  readonly #idByText = new Map<string, number>();
  #newTexts: number[] = [];
  /** Slots change when the table grows, so what is new is kept by value. */
  #addedIds: number[] = [];
  #addedNumbers: number[] = [];
  #addedTimes: number[] = [];
  #segments: { number: number; lastTime: number }[] = [];
  #nextSegment = 0;
  #watermark = Number.NEGATIVE_INFINITY;

  /** Remembers an identity until the watermark is `keepMs` past its first time; equal within `withinMs`. */
  constructor(withinMs: number, keepMs: number) {
    this.#withinMs = withinMs;
    this.#keepMs = keepMs;
  }

  get size(): number {
    return this.#used;
  }

  idOf(text: string): number {
    let id = this.#idByText.get(text);
    if (id === undefined) {
      id = this.#texts.length;
      this.#texts.push(text);
      this.#idByText.set(text, id);
      this.#newTexts.push(id);
    }
    return id;
  }

  /**
   * The time of the first record with this identity when `time` is within reach of it; else NaN, and this
   * record is the first from now on. `watermark` is the partition's at this record.
   */
  firstTime(id: number, number: number, time: number, watermark: number): number {
    if (this.#used * 4 >= this.#ids.length * 3) this.#grow(watermark);
    const ids = this.#ids;
    const numbers = this.#numbers;
    const mask = ids.length - 1;
    let slot = hash(id, number) & mask;
    while (ids[slot] !== EMPTY) {
      if (ids[slot] === id && numbers[slot] === number) {
        const first = this.#times[slot] as number;
        const remembered = watermark - first <= this.#keepMs;
        if (remembered && Math.abs(time - first) <= this.#withinMs) return first;
        this.#times[slot] = time;
        this.#remember(id, number, time);
        return Number.NaN;
      }
      slot = (slot + 1) & mask;
    }
    ids[slot] = id;
    numbers[slot] = number;
    this.#times[slot] = time;
    this.#used++;
    this.#remember(id, number, time);
    return Number.NaN;
  }

  /** Called at the end of each batch, so that draining knows what is past remembering. */
  advance(watermark: number): void {
    if (watermark > this.#watermark) this.#watermark = watermark;
    if (this.#idByText.size >= this.#sweepAt) this.#sweepTexts();
  }

  /** Gives up the texts that no remembered identity uses, so that ever new texts don't fill the memory. */
  #sweepTexts(): void {
    this.#grow(this.#watermark);
    const live = new Set<number>(this.#addedIds);
    for (const id of this.#ids) if (id !== EMPTY) live.add(id);
    for (const [text, id] of this.#idByText) {
      if (live.has(id)) continue;
      this.#idByText.delete(text);
      this.#texts[id] = undefined;
      this.#forgottenTexts.push(id);
    }
    this.#sweepAt = Math.max(TEXTS_BEFORE_SWEEP, live.size * 2);
    this.generation++;
  }

  restore(key: Buffer, value: Buffer): void {
    const number = key.readUInt32BE(1);
    if (key[0] === NAME) {
      this.#texts[number] = value.toString();
      this.#idByText.set(value.toString(), number);
    } else {
      this.#restoring.push({ number, value: Buffer.from(value) });
    }
  }

  restored(): void {
    // Segments in the order they were written: a later first replaces an earlier one.
    for (const { number, value } of this.#restoring.sort((a, b) => a.number - b.number)) {
      this.#nextSegment = Math.max(this.#nextSegment, number + 1);
      let lastTime = Number.NEGATIVE_INFINITY;
      readSegment(value, (id, n, time) => {
        this.#place(id, n, time);
        if (time > lastTime) lastTime = time;
      });
      this.#segments.push({ number, lastTime });
    }
    this.#restoring = [];
  }
  #restoring: { number: number; value: Buffer }[] = [];

  drain(put: PutState): void {
    for (const id of this.#forgottenTexts) put(keyOf(NAME, id), null);
    this.#forgottenTexts = [];
    for (const id of this.#newTexts) {
      const text = this.#texts[id];
      if (text !== undefined) put(keyOf(NAME, id), Buffer.from(text));
    }
    this.#newTexts = [];
    if (this.#addedIds.length > 0) {
      const number = this.#nextSegment++;
      put(
        keyOf(SEGMENT, number),
        writeSegment(this.#addedIds, this.#addedNumbers, this.#addedTimes),
      );
      this.#segments.push({ number, lastTime: this.#addedTimes.reduce((a, b) => Math.max(a, b)) });
      this.#addedIds = [];
      this.#addedNumbers = [];
      this.#addedTimes = [];
    }
    this.#segments = this.#segments.filter(({ number, lastTime }) => {
      const live = this.#watermark - lastTime <= this.#keepMs;
      if (!live) put(keyOf(SEGMENT, number), null);
      return live;
    });
  }

  #remember(id: number, number: number, time: number): void {
    this.#addedIds.push(id);
    this.#addedNumbers.push(number);
    this.#addedTimes.push(time);
  }

  /** Drops what is past remembering, and doubles when that was not enough. */
  #grow(watermark: number): void {
    const ids = this.#ids;
    const numbers = this.#numbers;
    const times = this.#times;
    let live = 0;
    for (let slot = 0; slot < ids.length; slot++) {
      if (ids[slot] !== EMPTY && watermark - (times[slot] as number) <= this.#keepMs) live++;
    }
    const size = live * 2 >= ids.length ? ids.length * 2 : ids.length;
    this.#allocate(size);
    for (let slot = 0; slot < ids.length; slot++) {
      if (ids[slot] !== EMPTY && watermark - (times[slot] as number) <= this.#keepMs) {
        this.#insert(ids[slot] as number, numbers[slot] as number, times[slot] as number);
      }
    }
  }

  #allocate(size: number): void {
    this.#ids = new Int32Array(size).fill(EMPTY);
    this.#numbers = new Float64Array(size);
    this.#times = new Float64Array(size);
    this.#used = 0;
  }

  #insert(id: number, number: number, time: number): void {
    const mask = this.#ids.length - 1;
    let slot = hash(id, number) & mask;
    while (this.#ids[slot] !== EMPTY) {
      if (this.#ids[slot] === id && this.#numbers[slot] === number) {
        this.#times[slot] = time;
        return;
      }
      slot = (slot + 1) & mask;
    }
    this.#ids[slot] = id;
    this.#numbers[slot] = number;
    this.#times[slot] = time;
    this.#used++;
  }

  #place(id: number, number: number, time: number): void {
    if (this.#used * 4 >= this.#ids.length * 3) this.#grow(Number.NEGATIVE_INFINITY);
    this.#insert(id, number, time);
  }
}

/** Mixes an id and a number; numbers are slots or sequence numbers, so neighbours must spread. */
function hash(id: number, number: number): number {
  let h =
    Math.imul(id, 0x9e3779b1) ^
    Math.imul(number | 0, 0x85ebca6b) ^
    Math.imul((number / 4294967296) | 0, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return h ^ (h >>> 13);
}

function keyOf(kind: number, number: number): Buffer {
  const key = Buffer.allocUnsafe(5);
  key[0] = kind;
  key.writeUInt32BE(number, 1);
  return key;
}

/** Deltas from the record before: slots and times of neighbours are close. Non-integers are written whole. */
function writeSegment(
  ids: readonly number[],
  numbers: readonly number[],
  times: readonly number[],
): Buffer {
  const bytes = Buffer.allocUnsafe(5 + ids.length * (5 + 18 + 10));
  let at = writeVarint(bytes, 0, ids.length);
  let number = 0;
  let time = 0;
  for (let i = 0; i < ids.length; i++) {
    const n = numbers[i] as number;
    const t = times[i] as number;
    const plain = Number.isSafeInteger(n) && Math.abs(n - number) < 2 ** 50;
    at = writeVarint(bytes, at, (ids[i] as number) * 2 + (plain ? 0 : 1));
    if (plain) at = writeVarint(bytes, at, zigzag(n - number));
    else at = bytes.writeDoubleBE(n, at);
    at = writeVarint(bytes, at, zigzag(t - time));
    number = plain ? n : 0;
    time = t;
  }
  return Buffer.from(bytes.subarray(0, at));
}

function readSegment(
  bytes: Buffer,
  each: (id: number, number: number, time: number) => void,
): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  const count = varint();
  let number = 0;
  let time = 0;
  for (let i = 0; i < count; i++) {
    const head = varint();
    const whole = head % 2 === 1;
    let n: number;
    if (whole) {
      n = bytes.readDoubleBE(at);
      at += 8;
    } else n = number + unzigzag(varint());
    time += unzigzag(varint());
    each(Math.floor(head / 2), n, time);
    number = whole ? 0 : n;
  }
}

// Arithmetic, not bit operations: values exceed 32 bits.
const zigzag = (n: number): number => (n >= 0 ? n * 2 : -n * 2 - 1);
const unzigzag = (n: number): number => (n % 2 === 0 ? n / 2 : -(n + 1) / 2);

function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value;
  let end = at;
  while (rest >= 0x80) {
    bytes[end++] = (rest % 0x80) + 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[end++] = rest;
  return end;
}
