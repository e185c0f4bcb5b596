/**
 * A dictionary whose texts are found straight from a record's bytes, without making a string: texts of printable
 * ASCII (without quote and backslash, so that JSON writes them as they are) stand in an arena beside their hash;
 * all others only in a map. Texts are numbered in order of first sight and never forgotten.
 *
 * The arena holds a text as 8-byte words, the last one overlapping so that it ends with the text; they compare as
 * float64, which for such bytes is the same as comparing bits: they are never NaN or zero. A text below 8 bytes is
 * held as two overlapping 4-byte words, below 4 as single bytes.
 */
import type { Dictionary } from './batch.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_SLOTS = 64;
/** Places where a guess may stand. */
const GUESSES = 4;
/** What a text costs beside its bytes: string header, table slots, lengths. Estimated. */
const ENTRY_BYTES = 64;

/** Bytes with two ways to look at them, made once per batch. */
export interface ByteView {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export class ByteDictionary implements Dictionary {
  readonly #texts: string[] = [];
  /** By code, in pairs: the text's length in bytes (-1 when it isn't in the arena), where its words begin. */
  #entries = new Int32Array(2 * FIRST_SLOTS);
  #words = new Float64Array(4 * FIRST_SLOTS);
  #wordCount = 0;
  /** Codes by the hash of the whole text, linear probing; -1 is free. */
  #slots = new Int32Array(4 * FIRST_SLOTS).fill(-1);
  /** Codes by a hash of the first 8 bytes, whatever the text's length: guesses, to be verified. -1 is free. */
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
    if (2 * code === this.#entries.length) this.#growEntries();
    if (isPlain(text)) {
      this.#store(code, Buffer.from(text, 'latin1'));
    } else {
      this.#entries[2 * code] = -1;
      this.#others.set(text, code);
      this.#byteLength += 2 * text.length;
    }
    this.#byteLength += text.length + ENTRY_BYTES;
    return code;
  }

  /** How many bytes a text found by `match` has. */
  lengthOf(code: number): number {
    return this.#entries[2 * code] as number;
  }

  /** The number of the text that stands at `at`, followed by a quote before `end`; -1 when none is known. */
  match(source: ByteView, at: number, end: number): number {
    if (at + 8 > end) return this.#matchWhole(source, at, end);
    const { bytes, view } = source;
    const guesses = this.#guesses;
    const mask = guesses.length - 1;
    const first = guessHash(view, at);
    for (let probe = first; probe < first + GUESSES; probe++) {
      const code = guesses[probe & mask] as number;
      if (code < 0) break;
      const close = at + (this.#entries[2 * code] as number);
      if (close < end && bytes[close] === QUOTE && this.#equals(code, view, at)) return code;
    }
    return this.#matchWhole(source, at, end);
  }

  #matchWhole(source: ByteView, at: number, end: number): number {
    const close = plainEnd(source.bytes, at, end);
    if (close < 0) return -1;
    const code = this.#find(source, at, close - at);
    if (code >= 0 && at + 8 <= end) this.#guess(guessHash(source.view, at), code);
    return code;
  }

  /** Puts a guess where it will be looked for: into a free place, or in place of the first. */
  #guess(first: number, code: number): void {
    const mask = this.#guesses.length - 1;
    let probe = first;
    while (probe < first + GUESSES && (this.#guesses[probe & mask] as number) >= 0) probe++;
    this.#guesses[(probe < first + GUESSES ? probe : first) & mask] = code;
  }

  #find(source: ByteView, at: number, length: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash(source, at, length) & mask;
    for (;;) {
      const code = this.#slots[slot] as number;
      if (code < 0) return -1;
      if (this.#entries[2 * code] === length && this.#equals(code, source.view, at)) return code;
      slot = (slot + 1) & mask;
    }
  }

  /** Whether the text `code` stands at `at`; its length must fit before the view's end. */
  #equals(code: number, view: DataView, at: number): boolean {
    const length = this.#entries[2 * code] as number;
    const words = this.#words;
    let word = this.#entries[2 * code + 1] as number;
    const last = at + length - 8;
    if (last < at) return this.#equalsShort(word, view, at, length);
    for (let i = at; i < last; i += 8) {
      if (view.getFloat64(i, true) !== words[word++]) return false;
    }
    return view.getFloat64(last, true) === words[word];
  }

  /** Below 8 bytes: two overlapping 4-byte words, or single bytes below 4. */
  #equalsShort(word: number, view: DataView, at: number, length: number): boolean {
    const words = this.#words;
    if (length >= 4) {
      return (
        view.getInt32(at, true) === words[word] &&
        view.getInt32(at + length - 4, true) === words[word + 1]
      );
    }
    for (let i = 0; i < length; i++) if (view.getUint8(at + i) !== words[word + i]) return false;
    return true;
  }

  #store(code: number, bytes: Buffer): void {
    const source = viewOf(bytes);
    const { length } = bytes;
    const words = wordsOf(source);
    if (this.#wordCount + words.length > this.#words.length) {
      const larger = new Float64Array(2 * (this.#wordCount + words.length));
      larger.set(this.#words);
      this.#words = larger;
    }
    this.#words.set(words, this.#wordCount);
    this.#entries[2 * code] = length;
    this.#entries[2 * code + 1] = this.#wordCount;
    this.#wordCount += words.length;
    this.#byteLength += 8 * words.length;
    this.#place(code, source, length);
  }

  #place(code: number, source: ByteView, length: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash(source, 0, length) & mask;
    while ((this.#slots[slot] as number) >= 0) slot = (slot + 1) & mask;
    this.#slots[slot] = code;
  }

  #growEntries(): void {
    const size = 2 * this.#entries.length;
    const entries = new Int32Array(size);
    entries.set(this.#entries);
    this.#entries = entries;
    this.#slots = new Int32Array(2 * size).fill(-1);
    this.#guesses = new Int32Array(2 * size).fill(-1);
    for (let code = 0; code < this.#texts.length - 1; code++) {
      if ((entries[2 * code] as number) < 0) continue;
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

/** Of the 8 bytes at `at`, which may be more than a text's own: a short one is guessed by what follows it, too. */
function guessHash(view: DataView, at: number): number {
  const mixed =
    Math.imul(view.getInt32(at, true), 0x9e3779b1) ^
    Math.imul(view.getInt32(at + 4, true), 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) >>> 1;
}

/** What bytes are compared with: see the head of this file. */
export function wordsOf({ bytes, view }: ByteView): number[] {
  const { length } = bytes;
  if (length < 4) return [...bytes];
  if (length < 8) return [view.getInt32(0, true), view.getInt32(length - 4, true)];
  return Array.from({ length: Math.ceil(length / 8) }, (_, i) =>
    view.getFloat64(Math.min(8 * i, length - 8), true),
  );
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
