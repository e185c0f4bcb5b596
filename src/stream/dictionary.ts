/**
 * A dictionary whose texts are found straight from a record's bytes, without making a string: texts of printable
 * ASCII (without quote and backslash, so that JSON writes them as they are) stand in an arena beside their hash;
 * all others only in a map. Texts are numbered in order of first sight and never forgotten.
 *
 * The arena holds a text of 8 bytes or more as 8-byte words, the last one overlapping so that it ends with the
 * text; words compare as float64, which for such bytes is the same as comparing bits: they are never NaN or zero.
 */
import type { Dictionary } from './batch.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_SLOTS = 64;
/** What a text costs beside its bytes: string header, table slots, lengths. Estimated. */
const ENTRY_BYTES = 64;

/** Bytes with two ways to look at them, made once per batch. */
export interface ByteView {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export class ByteDictionary implements Dictionary {
  readonly #texts: string[] = [];
  /** Length of each text in bytes; -1 when it isn't in the arena. */
  #lengths = new Int32Array(FIRST_SLOTS);
  /** Where each text's words begin. */
  #starts = new Int32Array(FIRST_SLOTS);
  #words = new Float64Array(4 * FIRST_SLOTS);
  #wordCount = 0;
  /** Codes by the hash of the whole text, linear probing; -1 is free. */
  #slots = new Int32Array(4 * FIRST_SLOTS).fill(-1);
  /** The code last found for a hash of the first 8 bytes, whatever the text's length: a guess, to be verified. */
  #guesses = new Int32Array(4 * FIRST_SLOTS).fill(-1);
  readonly #others = new Map<string, number>();
  #byteLength = 0;

  get size(): number {
    return this.#texts.length;
  }

  /** Memory held, about. */
  get byteLength(): number {
    return this.#byteLength;
  }

  text(code: number): string {
    return this.#texts[code] as string;
  }

  codeOf(text: string): number {
    if (!isPlain(text)) return this.#others.get(text) ?? -1;
    const bytes = Buffer.from(text, 'latin1');
    return this.#find(viewOf(bytes), 0, bytes.length);
  }

  /** The text's number; it gets one when new. */
  intern(text: string): number {
    const known = this.codeOf(text);
    if (known >= 0) return known;
    const code = this.#texts.length;
    this.#texts.push(text);
    if (code === this.#lengths.length) this.#growEntries();
    if (isPlain(text)) {
      this.#store(code, Buffer.from(text, 'latin1'));
    } else {
      this.#lengths[code] = -1;
      this.#others.set(text, code);
      this.#byteLength += 2 * text.length;
    }
    this.#byteLength += text.length + ENTRY_BYTES;
    return code;
  }

  /** How many bytes a text found by `match` has. */
  lengthOf(code: number): number {
    return this.#lengths[code] as number;
  }

  /** The number of the text that stands at `at`, followed by a quote before `end`; -1 when none is known. */
  match(source: ByteView, at: number, end: number): number {
    if (at + 8 <= end) {
      const code = this.#guesses[this.#guessSlot(source.view, at)] as number;
      if (code >= 0) {
        const length = this.#lengths[code] as number;
        const close = at + length;
        if (close < end && source.bytes[close] === QUOTE && this.#equals(code, source, at)) {
          return code;
        }
      }
    }
    return this.#matchWhole(source, at, end);
  }

  #matchWhole(source: ByteView, at: number, end: number): number {
    const close = plainEnd(source.bytes, at, end);
    if (close < 0) return -1;
    const code = this.#find(source, at, close - at);
    if (code >= 0 && at + 8 <= end) this.#guesses[this.#guessSlot(source.view, at)] = code;
    return code;
  }

  #guessSlot(view: DataView, at: number): number {
    const mixed =
      Math.imul(view.getInt32(at, true), 0x9e3779b1) ^
      Math.imul(view.getInt32(at + 4, true), 0x85ebca6b);
    return (mixed ^ (mixed >>> 15)) & (this.#guesses.length - 1);
  }

  #find(source: ByteView, at: number, length: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash(source, at, length) & mask;
    for (;;) {
      const code = this.#slots[slot] as number;
      if (code < 0) return -1;
      if (this.#lengths[code] === length && this.#equals(code, source, at)) return code;
      slot = (slot + 1) & mask;
    }
  }

  /** Whether the text `code` stands at `at`; its length must fit before the source's end. */
  #equals(code: number, { bytes, view }: ByteView, at: number): boolean {
    const length = this.#lengths[code] as number;
    const words = this.#words;
    let word = this.#starts[code] as number;
    if (length < 8) {
      for (let i = 0; i < length; i++) if (words[word++] !== bytes[at + i]) return false;
      return true;
    }
    const last = at + length - 8;
    for (let i = at; i < last; i += 8) {
      if (view.getFloat64(i, true) !== words[word++]) return false;
    }
    return view.getFloat64(last, true) === words[word];
  }

  #store(code: number, bytes: Buffer): void {
    const source = viewOf(bytes);
    const { length } = bytes;
    const count = length < 8 ? length : Math.ceil(length / 8);
    if (this.#wordCount + count > this.#words.length) {
      const larger = new Float64Array(2 * (this.#wordCount + count));
      larger.set(this.#words);
      this.#words = larger;
    }
    this.#lengths[code] = length;
    this.#starts[code] = this.#wordCount;
    for (let i = 0; i < count; i++) {
      this.#words[this.#wordCount + i] =
        length < 8
          ? (bytes[i] as number)
          : source.view.getFloat64(Math.min(8 * i, length - 8), true);
    }
    this.#wordCount += count;
    this.#byteLength += 8 * count;
    this.#place(code, source, length);
  }

  #place(code: number, source: ByteView, length: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash(source, 0, length) & mask;
    while ((this.#slots[slot] as number) >= 0) slot = (slot + 1) & mask;
    this.#slots[slot] = code;
  }

  #growEntries(): void {
    const size = 2 * this.#lengths.length;
    const lengths = new Int32Array(size);
    lengths.set(this.#lengths);
    const starts = new Int32Array(size);
    starts.set(this.#starts);
    this.#lengths = lengths;
    this.#starts = starts;
    this.#slots = new Int32Array(4 * size).fill(-1);
    this.#guesses = new Int32Array(4 * size).fill(-1);
    for (let code = 0; code < this.#texts.length - 1; code++) {
      if ((lengths[code] as number) < 0) continue;
      const bytes = Buffer.from(this.#texts[code] as string, 'latin1');
      this.#place(code, viewOf(bytes), bytes.length);
    }
  }
}

export function viewOf(bytes: Buffer): ByteView {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/** Where the quote is that ends the text at `at`; -1 when the text isn't plain or has no end before `end`. */
export function plainEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) return i;
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return -1;
  }
  return -1;
}

const isPlain = (text: string): boolean => /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/.test(text);

function hash({ bytes, view }: ByteView, at: number, length: number): number {
  let mixed = length;
  const end = at + length;
  let i = at;
  for (; i + 4 <= end; i += 4) {
    mixed = Math.imul(mixed ^ view.getInt32(i, true), 0x9e3779b1);
    mixed ^= mixed >>> 15;
  }
  for (; i < end; i++) mixed = Math.imul(mixed ^ (bytes[i] as number), 0x9e3779b1);
  return mixed ^ (mixed >>> 13);
}
