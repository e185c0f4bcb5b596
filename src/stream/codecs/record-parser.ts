/**
 * Reads one JSON object from bytes straight into columns, guessing that it is written like the one before: the
 * bytes between two values (comma, spaces, the next key, colon, quote) are compared whole with those seen last in
 * that place. Keys in another order, spaces and unknown plain values are read too, only slower. It gives up (and
 * says so) on everything rarer: escapes, bytes beyond ASCII, exponents, nesting, and whatever is wrong.
 */
import { type ByteDictionary, type ByteView, plainEnd, viewOf, wordsOf } from '../dictionary.ts';
import { accepts, type Field } from './fields.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Up to here all digits together are a whole number that a double holds exactly. */
const DIGITS_MAX = 15;
const POWERS = Float64Array.from({ length: DIGITS_MAX + 1 }, (_, i) => 10 ** i);
/** 8-byte words of the bytes between two values that are remembered; longer ones are read anew each time. */
const GAP_WORDS = 12;

/** What `#readGap` finds instead of a field. */
const UNKNOWN_KEY = -1;
const END = -2;
const GAVE_UP = -3;

/** Where one field's values go: numbers, or codes of its dictionary. */
export interface FieldTarget {
  readonly name: string;
  readonly field: Field;
  readonly isText: boolean;
  readonly isWhole: boolean;
  readonly min: number;
  readonly max: number;
  numbers: Float64Array;
  codes: Int32Array;
  dictionary: ByteDictionary;
}

/** A field and the bytes between the value before (or the record's beginning) and its own value. */
export interface LayoutStep {
  readonly field: number;
  readonly gap: Uint8Array;
}

export class RecordParser {
  readonly #targets: readonly FieldTarget[];
  /** Bits of the fields that every record must have. */
  readonly #required: number;
  readonly #keys: readonly Uint8Array[];
  /** By state: the gap last seen behind it (words, length in bytes) and the field that it led to. */
  readonly #gapWords: Float64Array;
  readonly #gapLengths: Int32Array;
  readonly #gapFields: Int32Array;
  readonly #gaps: Uint8Array[] = [];
  #source: ByteView = viewOf(Buffer.alloc(0));
  /** Where the last step left off. */
  #at = 0;

  constructor(targets: readonly FieldTarget[]) {
    this.#targets = targets;
    const states = targets.length + 2;
    this.#gapWords = new Float64Array(states * GAP_WORDS);
    this.#gapLengths = new Int32Array(states);
    this.#gapFields = new Int32Array(states);
    this.#keys = targets.map(({ name }) => Buffer.from(name));
    this.#required = targets.reduce(
      (bits, { field }, i) => (field.optional ? bits : bits | (1 << i)),
      0,
    );
  }

  /** The bytes that `parse` reads from next. */
  from(source: ByteView): void {
    this.#source = source;
  }

  /** The state before any field was read; a state is else the number of the field read last. */
  get begin(): number {
    return this.#targets.length;
  }

  /**
   * Reads the record that goes on at `from`, after `seen` (bits of fields) were read and `state` was the last, into
   * row `row`. False: it gave up; then the row's cells mean nothing and the record needs a complete parser. Absent
   * optional fields keep what their cells hold.
   */
  parse(row: number, from: number, end: number, state = this.begin, seen = 0): boolean {
    const { bytes } = this.#source;
    const targets = this.#targets;
    const { begin } = this;
    let last = state;
    let bits = seen;
    let at = from;
    do {
      let next: number;
      if (this.#gapMatches(last, at, end)) {
        at += this.#gapLengths[last] as number;
        next = this.#gapFields[last] as number;
      } else {
        next = this.#readGap(last === begin, at, end);
        if (next === END) break;
        if (next === GAVE_UP) return false;
        if (next >= 0) this.#learnGap(last, at, this.#at, next);
        at = this.#at;
      }
      if (next < 0) {
        at = this.#skipValue(at, end);
        if (at < 0) return false;
        last = begin + 1; // No field: an unknown one.
        continue;
      }
      const target = targets[next] as FieldTarget;
      if (target.isText) {
        const code = this.#readText(target, at, end);
        if (code < 0) return false;
        target.codes[row] = code;
        at += target.dictionary.lengthOf(code) + 1;
      } else {
        const { numbers } = target;
        at = readNumber(this.#source, at, end, numbers, row);
        if (at < 0) return false;
        const value = numbers[row] as number;
        if (!(value >= target.min && value <= target.max)) return false;
        if (target.isWhole && Math.floor(value) !== value) return false;
      }
      bits |= 1 << next;
      last = next;
    } while (at + 1 !== end || bytes[at] !== CLOSE);
    return (bits & this.#required) === this.#required;
  }

  /** The fields in the order in which they came last, each with the bytes before its value. */
  layout(): readonly LayoutStep[] {
    const steps: LayoutStep[] = [];
    let state = this.begin;
    for (;;) {
      const gap = this.#gaps[state];
      const field = this.#gapFields[state] as number;
      if (gap === undefined || steps.some((step) => step.field === field)) return steps;
      steps.push({ field, gap });
      state = field;
    }
  }

  #gapMatches(state: number, at: number, end: number): boolean {
    const length = this.#gapLengths[state] as number;
    if (length === 0 || at + length > end) return false;
    const { view } = this.#source;
    const words = this.#gapWords;
    let word = state * GAP_WORDS;
    const last = at + length - 8;
    for (let i = at; i < last; i += 8) {
      if (view.getFloat64(i, true) !== words[word++]) return false;
    }
    return view.getFloat64(last, true) === words[word];
  }

  /** A gap of 8 to 96 bytes is kept as words, as a dictionary keeps its texts. */
  #learnGap(state: number, from: number, to: number, field: number): void {
    const length = to - from;
    if (length < 8 || length > 8 * GAP_WORDS) return;
    const gap = Uint8Array.prototype.slice.call(this.#source.bytes, from, to);
    this.#gapWords.set(wordsOf(viewOf(Buffer.from(gap.buffer))), state * GAP_WORDS);
    this.#gapLengths[state] = length;
    this.#gapFields[state] = field;
    this.#gaps[state] = gap;
  }

  /** Brace or comma, key, colon, and the quote when the field is a text; `#at` is then where the value begins. */
  #readGap(isFirst: boolean, from: number, end: number): number {
    const { bytes } = this.#source;
    let at = this.#space(from, end);
    if (at >= end) return GAVE_UP;
    if (isFirst) {
      if (bytes[at] !== OPEN) return GAVE_UP;
    } else if (bytes[at] === CLOSE) {
      return this.#space(at + 1, end) === end ? END : GAVE_UP;
    } else if (bytes[at] !== COMMA) {
      return GAVE_UP;
    }
    at = this.#space(at + 1, end);
    if (at >= end || bytes[at] !== QUOTE) return GAVE_UP;
    const keyStart = at + 1;
    const keyEnd = plainEnd(bytes, keyStart, end);
    if (keyEnd < 0) return GAVE_UP;
    at = this.#space(keyEnd + 1, end);
    if (at >= end || bytes[at] !== COLON) return GAVE_UP;
    at = this.#space(at + 1, end);
    if (at >= end) return GAVE_UP;
    const field = this.#fieldOf(keyStart, keyEnd);
    if (field >= 0 && (this.#targets[field] as FieldTarget).isText) {
      if (bytes[at] !== QUOTE) return GAVE_UP;
      at++;
    }
    this.#at = at;
    return field;
  }

  #fieldOf(start: number, end: number): number {
    const { bytes } = this.#source;
    const keys = this.#keys;
    for (let k = 0; k < keys.length; k++) {
      const key = keys[k] as Uint8Array;
      if (key.length !== end - start) continue;
      let i = 0;
      while (i < key.length && key[i] === bytes[start + i]) i++;
      if (i === key.length) return k;
    }
    return UNKNOWN_KEY;
  }

  /** The code of the text at `at`; a new text is checked and numbered. -1: not plain, or not allowed. */
  #readText(target: FieldTarget, at: number, end: number): number {
    const { dictionary } = target;
    const code = dictionary.match(this.#source, at, end);
    if (code >= 0) return code;
    const { bytes } = this.#source;
    const close = plainEnd(bytes, at, end);
    if (close < 0) return -1;
    const text = bytes.toString('latin1', at, close);
    return accepts(target.field, text) ? dictionary.intern(text) : -1;
  }

  /** Where a plain value of an unknown field ends; -1 when it is none. */
  #skipValue(at: number, end: number): number {
    const { bytes } = this.#source;
    switch (bytes[at]) {
      case QUOTE: {
        const close = plainEnd(bytes, at + 1, end);
        return close < 0 ? -1 : close + 1;
      }
      case 0x74:
        return this.#skipWord(TRUE, at, end);
      case 0x66:
        return this.#skipWord(FALSE, at, end);
      case 0x6e:
        return this.#skipWord(NULL, at, end);
      default:
        return readNumber(this.#source, at, end, IGNORED, 0);
    }
  }

  #skipWord(word: Uint8Array, at: number, end: number): number {
    if (at + word.length > end) return -1;
    for (let i = 0; i < word.length; i++) if (word[i] !== this.#source.bytes[at + i]) return -1;
    return at + word.length;
  }

  #space(from: number, end: number): number {
    const { bytes } = this.#source;
    let at = from;
    while (at < end && isSpace(bytes[at] as number)) at++;
    return at;
  }
}

/**
 * Writes the number at `from` into a cell (returning it would cost an allocation) and gives where it ends.
 * -1: there is none, or not a plain one of at most 15 digits.
 */
export function readNumber(
  { bytes, view }: ByteView,
  from: number,
  end: number,
  into: Float64Array,
  cell: number,
): number {
  const negative = from < end && bytes[from] === MINUS;
  const start = negative ? from + 1 : from;
  let at = start;
  let value = 0;
  // Four digits at a time: each byte is 0x30 … 0x39, then pairs are joined, then both pairs.
  while (at + 4 <= end) {
    const digits = view.getInt32(at, true) - 0x30303030;
    if ((digits | (digits + 0x06060606)) & 0xf0f0f0f0) break;
    const pairs = digits * 10 + (digits >> 8);
    value = value * 10_000 + (pairs & 0xff) * 100 + ((pairs >> 16) & 0xff);
    at += 4;
  }
  while (at < end && isDigit(bytes[at] as number)) {
    value = value * 10 + (bytes[at] as number) - ZERO;
    at++;
  }
  let digits = at - start;
  if (digits === 0 || (bytes[start] === ZERO && digits > 1)) return -1;
  if (at < end && bytes[at] === POINT) {
    const point = at++;
    while (at < end && isDigit(bytes[at] as number)) {
      value = value * 10 + (bytes[at] as number) - ZERO;
      at++;
    }
    const decimals = at - point - 1;
    digits += decimals;
    if (decimals === 0 || digits > DIGITS_MAX) return -1;
    // Both are exact, so the quotient is the double nearest to the decimal (Clinger 1990).
    value /= POWERS[decimals] as number;
  }
  if (digits > DIGITS_MAX) return -1;
  if (at < end && (bytes[at] === 0x65 || bytes[at] === 0x45)) return -1; // An exponent.
  into[cell] = negative ? -value : value;
  return at;
}

const IGNORED = new Float64Array(1);
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

const isDigit = (byte: number) => byte >= ZERO && byte <= 0x39;
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
