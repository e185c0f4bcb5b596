/**
 * The usual body of POST /datapoints, from bytes to packed points without an object per point: plain JSON whose
 * metrics have a name, tags of text, times as whole numbers and values as numbers. Whatever else stands in a body, right
 * or wrong, is left to the reader in data-points-body.ts, which knows all of KairosDB's ways; this one then says so
 * and has changed nothing. Both give the same points for what both read (a test compares them on random bodies).
 */
import type { Draft, DraftSeries } from './ingest.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;

/** Thrown for what is left to the other reader. */
const UNUSUAL = Symbol('unusual');
/** Digits that a double holds exactly, and a long of the draft. */
const DIGITS_MAX = 15;
const TTL_MAX = 2_147_483_647;
/** Series remembered by the bytes of their name and tags. */
const SERIES_MAX = 20_000;
const SERIES_BYTES_MAX = 1_024;

export class FastBody {
  readonly #draft: Draft;
  readonly #series = new Map<string, DraftSeries>();
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Of the last number read: what it is, and whether it is a double. */
  #isDouble = false;

  constructor(draft: Draft) {
    this.#draft = draft;
  }

  /** Fills the draft, which must be empty; false when the body is not of the usual kind, and the draft empty again. */
  read(bytes: Buffer): boolean {
    this.#bytes = bytes;
    this.#at = 0;
    try {
      this.#document();
      return true;
    } catch (error) {
      if (error !== UNUSUAL) throw error;
      this.#draft.reset();
      return false;
    } finally {
      this.#bytes = Buffer.alloc(0);
    }
  }

  #document(): void {
    const first = this.#next();
    if (first === OPEN_OBJECT) this.#metric();
    else if (first === OPEN_ARRAY) {
      if (this.#peek() === CLOSE_ARRAY) this.#at++;
      else {
        for (;;) {
          if (this.#next() !== OPEN_OBJECT) throw UNUSUAL;
          this.#metric();
          const sign = this.#next();
          if (sign === CLOSE_ARRAY) break;
          if (sign !== COMMA) throw UNUSUAL;
        }
      }
    } else throw UNUSUAL;
    this.#skip();
    if (this.#at < this.#bytes.length) throw UNUSUAL;
  }

  /** Behind its opening brace. */
  #metric(): void {
    let nameStart = -1;
    let nameEnd = 0;
    let tagsStart = -1;
    let tagsEnd = 0;
    let time = Number.NaN;
    let value = Number.NaN;
    let hasValue = false;
    let isDouble = false;
    let points = -1;
    let ttl = -1;
    let type = 0;
    if (this.#peek() === CLOSE_OBJECT) throw UNUSUAL;
    for (;;) {
      const key = this.#key();
      switch (key) {
        case 'name':
          if (nameStart >= 0) throw UNUSUAL;
          if (this.#next() !== QUOTE) throw UNUSUAL;
          nameStart = this.#at;
          nameEnd = this.#text();
          if (nameEnd === nameStart) throw UNUSUAL;
          break;
        case 'tags':
          if (tagsStart >= 0) throw UNUSUAL;
          if (this.#next() !== OPEN_OBJECT) throw UNUSUAL;
          tagsStart = this.#at;
          this.#skipTags();
          tagsEnd = this.#at;
          break;
        case 'timestamp':
          if (!Number.isNaN(time)) throw UNUSUAL;
          time = this.#whole();
          break;
        case 'value':
          if (hasValue) throw UNUSUAL;
          value = this.#number();
          isDouble = this.#isDouble;
          hasValue = true;
          break;
        case 'datapoints':
          if (points >= 0) throw UNUSUAL;
          if (this.#next() !== OPEN_ARRAY) throw UNUSUAL;
          points = this.#at;
          this.#skipPoints();
          break;
        case 'ttl':
          if (ttl >= 0) throw UNUSUAL;
          ttl = this.#whole();
          if (ttl < 0 || ttl > TTL_MAX) throw UNUSUAL;
          break;
        case 'type':
          if (type !== 0) throw UNUSUAL;
          type = this.#type();
          break;
        default:
          throw UNUSUAL;
      }
      const sign = this.#next();
      if (sign === CLOSE_OBJECT) break;
      if (sign !== COMMA) throw UNUSUAL;
    }
    if (nameStart < 0 || tagsStart < 0 || Number.isNaN(time) === hasValue) throw UNUSUAL;
    const series = this.#seriesOf(nameStart, nameEnd, tagsStart, tagsEnd);
    const life = Math.max(ttl, 0);
    if (hasValue) this.#add(series, life, time, value, isDouble, type);
    if (points < 0) return;
    const end = this.#at;
    this.#at = points;
    this.#points(series, life, type);
    this.#at = end;
  }

  /** Behind the opening bracket: pairs of time and value. */
  #points(series: DraftSeries, ttlSeconds: number, type: number): void {
    if (this.#peek() === CLOSE_ARRAY) return;
    for (;;) {
      if (this.#next() !== OPEN_ARRAY) throw UNUSUAL;
      const time = this.#whole();
      if (this.#next() !== COMMA) throw UNUSUAL;
      const value = this.#number();
      if (this.#next() !== CLOSE_ARRAY) throw UNUSUAL;
      this.#add(series, ttlSeconds, time, value, this.#isDouble, type);
      const sign = this.#next();
      if (sign === CLOSE_ARRAY) return;
      if (sign !== COMMA) throw UNUSUAL;
    }
  }

  #add(
    series: DraftSeries,
    ttlSeconds: number,
    timestampMs: number,
    value: number,
    isDouble: boolean,
    type: number,
  ): void {
    const ttl = this.#draft.ttl(timestampMs, ttlSeconds);
    if (typeof ttl === 'string') throw UNUSUAL;
    if (isDouble || type === DOUBLE_NAMED) {
      // A long that is named so cuts its fraction off: seldom, so elsewhere.
      if (type === LONG_NAMED) throw UNUSUAL;
      this.#draft.addDouble(series, ttl, timestampMs, value);
    } else this.#draft.addLong(series, ttl, timestampMs, value);
  }

  #seriesOf(nameStart: number, nameEnd: number, tagsStart: number, tagsEnd: number): DraftSeries {
    const bytes = this.#bytes;
    const name = bytes.toString('latin1', nameStart, nameEnd);
    const raw = `${name}"${bytes.toString('latin1', tagsStart, tagsEnd)}`;
    let series = this.#series.get(raw);
    if (series !== undefined) return series;
    const { metric, tags } = this.#readSeries(nameStart, nameEnd, tagsStart);
    const made = this.#draft.series(metric, tags);
    if (typeof made === 'string') throw UNUSUAL;
    series = made;
    if (raw.length <= SERIES_BYTES_MAX) {
      // All at once: sorting out which are old would cost more than making them again.
      if (this.#series.size >= SERIES_MAX) this.#series.clear();
      this.#series.set(raw, series);
    }
    return series;
  }

  /** The tags were walked over already, so they are well formed. */
  #readSeries(nameStart: number, nameEnd: number, tagsStart: number) {
    const metric = this.#utf8(nameStart, nameEnd);
    const tags = new Map<string, string>();
    const end = this.#at;
    this.#at = tagsStart;
    for (;;) {
      const tag = this.#key();
      this.#at = this.#bytes.indexOf(QUOTE, this.#at) + 1;
      const start = this.#at;
      const value = this.#utf8(start, this.#text());
      // What KairosDB has to say against these, the other reader says.
      if (tag === '' || value === '' || tags.has(tag)) throw UNUSUAL;
      tags.set(tag, value);
      if (this.#next() === CLOSE_OBJECT) break;
    }
    this.#at = end;
    return { metric, tags: Object.fromEntries(tags) };
  }

  /** Bytes that are no UTF-8 come out alike in both readers only when neither sees them. */
  #utf8(start: number, end: number): string {
    const text = this.#bytes.toString('utf8', start, end);
    if (text.includes('\ufffd')) throw UNUSUAL;
    return text;
  }

  #skipTags(): void {
    for (;;) {
      if (this.#next() !== QUOTE) throw UNUSUAL;
      this.#text();
      if (this.#next() !== COLON) throw UNUSUAL;
      if (this.#next() !== QUOTE) throw UNUSUAL;
      this.#text();
      const sign = this.#next();
      if (sign === CLOSE_OBJECT) return;
      if (sign !== COMMA) throw UNUSUAL;
    }
  }

  /** Name and tags may stand behind the points, so these are walked over first; they hold brackets and numbers only. */
  #skipPoints(): void {
    const bytes = this.#bytes;
    let depth = 1;
    for (let at = this.#at; at < bytes.length; at++) {
      const sign = bytes[at];
      if (sign === OPEN_ARRAY) depth++;
      else if (sign === CLOSE_ARRAY) {
        if (--depth === 0) {
          this.#at = at + 1;
          return;
        }
      } else if (sign === QUOTE) break;
    }
    throw UNUSUAL;
  }

  #key(): string {
    if (this.#next() !== QUOTE) throw UNUSUAL;
    const start = this.#at;
    const key = this.#utf8(start, this.#text());
    if (this.#next() !== COLON) throw UNUSUAL;
    return key;
  }

  #type(): number {
    if (this.#next() !== QUOTE) throw UNUSUAL;
    const start = this.#at;
    const type = this.#utf8(start, this.#text());
    if (type === 'long') return LONG_NAMED;
    if (type === 'double') return DOUBLE_NAMED;
    throw UNUSUAL;
  }

  /** Behind an opening quote; gives where the text ends, and stands behind the closing one. */
  #text(): number {
    const bytes = this.#bytes;
    for (let at = this.#at; at < bytes.length; at++) {
      const sign = bytes[at] as number;
      if (sign === QUOTE) {
        this.#at = at + 1;
        return at;
      }
      if (sign === BACKSLASH || sign < 0x20) break;
    }
    throw UNUSUAL;
  }

  #whole(): number {
    const value = this.#number();
    if (this.#isDouble) throw UNUSUAL;
    return value;
  }

  /** A number as JSON has them, without exponent unless it has a point. */
  #number(): number {
    const bytes = this.#bytes;
    this.#skip();
    const start = this.#at;
    let at = start;
    const isNegative = bytes[at] === MINUS;
    if (isNegative) at++;
    const first = at;
    let value = 0;
    let digit = (bytes[at] as number) - ZERO;
    while (digit >= 0 && digit <= 9) {
      value = value * 10 + digit;
      digit = (bytes[++at] as number) - ZERO;
    }
    const digits = at - first;
    if (digits === 0 || digits > DIGITS_MAX || (digits > 1 && bytes[first] === ZERO)) throw UNUSUAL;
    if (bytes[at] === DOT) return this.#double(start, at);
    if (isNegative && value === 0) throw UNUSUAL;
    this.#endNumber(at);
    this.#isDouble = false;
    return isNegative ? -value : value;
  }

  #double(start: number, dot: number): number {
    const bytes = this.#bytes;
    let at = dot + 1;
    const digits = () => {
      const from = at;
      for (let sign = bytes[at]; sign !== undefined && sign >= ZERO && sign <= 0x39; )
        sign = bytes[++at];
      if (at === from) throw UNUSUAL;
    };
    digits();
    // e or E
    if (((bytes[at] as number) | 0x20) === 0x65) {
      at++;
      if (bytes[at] === MINUS || bytes[at] === 0x2b) at++;
      digits();
    }
    this.#endNumber(at);
    this.#isDouble = true;
    return Number(bytes.toString('latin1', start, at));
  }

  /** A number ends where white space or a sign of JSON's stands. */
  #endNumber(at: number): void {
    const sign = this.#bytes[at];
    if (
      sign !== COMMA &&
      sign !== CLOSE_ARRAY &&
      sign !== CLOSE_OBJECT &&
      sign !== 0x20 &&
      sign !== 0x0a &&
      sign !== 0x0d &&
      sign !== 0x09
    )
      throw UNUSUAL;
    this.#at = at;
  }

  #skip(): void {
    const bytes = this.#bytes;
    for (let sign = bytes[this.#at]; ; sign = bytes[++this.#at]) {
      if (sign !== 0x20 && sign !== 0x0a && sign !== 0x0d && sign !== 0x09) return;
    }
  }

  /** The next sign behind white space, and steps over it. At the end something that nothing equals. */
  #next(): number {
    this.#skip();
    return this.#bytes[this.#at++] ?? -1;
  }

  #peek(): number {
    this.#skip();
    return this.#bytes[this.#at] ?? -1;
  }
}

const LONG_NAMED = 1;
const DOUBLE_NAMED = 2;
