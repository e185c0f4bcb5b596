/**
 * Reads JSON as Gson 2.2.4 does, lenient where KairosDB is: comments, single quotes, bare words, `=` and `;`. The
 * messages of what it refuses carry line and column as Gson counts them. Numbers keep their text.
 */
import { QueryRefused } from '../errors.ts';
import { JsonNumber, type JsonValue } from './json-value.ts';

const EOF = 'java.io.EOFException';
const MALFORMED = 'com.google.gson.stream.MalformedJsonException';

/** Text that is no JSON; `eof` when it ended too early. The message is Gson's, without the exception's name. */
export class JsonFault extends Error {
  readonly eof: boolean;
  readonly #exception: string;

  constructor(message: string, exception: string) {
    super(message);
    this.eof = exception === EOF;
    this.#exception = exception;
  }

  /** As Gson's own exception around it says it. */
  get wrapped(): string {
    return `${this.#exception}: ${this.message}`;
  }
}

/** Gson's stack overflows somewhere beyond; ours must not. */
const DEPTH_MAX = 1_500;
const LENIENT = 'Use JsonReader.setLenient(true) to accept malformed JSON';
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Signs that end a bare word. */
const WORD_END = /[/\\;#={}[\]:, \t\f\r\n]/g;
/** Characters of a quoted text that need a look. */
const STOP = { '"': /["\\\n]/g, "'": /['\\\n]/g } as const;

export class JsonReader {
  lenient = true;
  /** Objects that name a member twice, with that name; the later value holds. */
  readonly duplicates = new Map<JsonValue, string>();
  readonly #text: string;
  #at = 0;
  #line = 0;
  #lineStart = 0;

  constructor(text: string) {
    this.#text = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }

  /** A whole document. Throws JsonFault; `eof` for nothing at all. */
  readDocument(): JsonValue {
    const value = this.readValue(0);
    this.lenient = false;
    if (this.#skip() !== undefined) {
      this.#at++;
      this.mustBeLenient();
    }
    return value;
  }

  /** The next sign that means something, not consumed. Throws JsonFault at the end of the text. */
  peek(): string {
    return this.#next();
  }

  /** Consumes the sign that `peek` gave. */
  take(): void {
    this.#at++;
  }

  readValue(depth: number, inArray = false): JsonValue {
    if (depth > DEPTH_MAX) {
      throw new QueryRefused(`the JSON is nested more than ${DEPTH_MAX} deep`);
    }
    const sign = this.#next();
    switch (sign) {
      case '{':
        this.#at++;
        return this.#readObject(depth);
      case '[':
        this.#at++;
        return this.#readArray(depth);
      case '"':
        this.#at++;
        if (depth === 0) this.mustBeLenient();
        return this.#readQuoted('"');
      case "'":
        this.#at++;
        this.mustBeLenient();
        return this.#readQuoted("'");
      case ',':
      case ';':
      case ']':
        if (!inArray) {
          this.#at++;
          throw this.fault('Unexpected value');
        }
        this.#at++;
        this.mustBeLenient();
        this.#at--;
        return null;
    }
    if (depth === 0) this.mustBeLenient();
    return this.#readBare();
  }

  fault(message: string): JsonFault {
    return new JsonFault(`${message}${this.#place()}`, MALFORMED);
  }

  #readObject(depth: number): JsonValue {
    const object = new Map<string, JsonValue>();
    for (let first = true; ; first = false) {
      let sign = this.#next();
      this.#at++;
      if (sign === '}' && first) return object;
      if (!first) {
        if (sign === '}') return object;
        if (sign === ';') this.mustBeLenient();
        else if (sign !== ',') throw this.fault('Unterminated object');
        sign = this.#next();
        this.#at++;
      }
      const name = this.#readName(sign);
      const colon = this.#next();
      this.#at++;
      if (colon === '=') {
        this.mustBeLenient();
        if (this.#text[this.#at] === '>') this.#at++;
      } else if (colon !== ':') throw this.fault("Expected ':'");
      const value = this.readValue(depth + 1);
      if (object.has(name)) this.duplicates.set(object, name);
      object.set(name, value);
    }
  }

  #readName(sign: string): string {
    if (sign === '"') return this.#readQuoted('"');
    if (sign === "'") {
      this.mustBeLenient();
      return this.#readQuoted("'");
    }
    if (sign === '}') throw this.fault('Expected name');
    this.mustBeLenient();
    this.#at--;
    const word = this.#readWord();
    if (word === '') throw this.fault('Expected name');
    return word;
  }

  #readArray(depth: number): JsonValue {
    const array: JsonValue[] = [];
    if (this.#next() === ']') {
      this.#at++;
      return array;
    }
    for (;;) {
      array.push(this.readValue(depth + 1, true));
      const sign = this.#next();
      this.#at++;
      if (sign === ']') return array;
      if (sign === ';') this.mustBeLenient();
      else if (sign !== ',') throw this.fault('Unterminated array');
    }
  }

  #readBare(): JsonValue {
    NUMBER.lastIndex = this.#at;
    const number = NUMBER.exec(this.#text)?.[0];
    if (number !== undefined && this.#isWordEnd(this.#at + number.length)) {
      this.#at += number.length;
      return new JsonNumber(number === '-0' ? '0' : number);
    }
    const word = this.#readWord();
    if (word === '') throw this.fault('Expected value');
    switch (word.toLowerCase()) {
      case 'true':
        return true;
      case 'false':
        return false;
      case 'null':
        return null;
    }
    this.mustBeLenient();
    return word;
  }

  #readWord(): string {
    WORD_END.lastIndex = this.#at;
    const end = WORD_END.exec(this.#text)?.index ?? this.#text.length;
    const word = this.#text.slice(this.#at, end);
    this.#at = end;
    return word;
  }

  #isWordEnd(at: number): boolean {
    WORD_END.lastIndex = at;
    return at >= this.#text.length || WORD_END.exec(this.#text)?.index === at;
  }

  /** Behind the opening quote; consumes the closing one. */
  #readQuoted(mark: '"' | "'"): string {
    const stop = STOP[mark];
    let text = '';
    for (;;) {
      stop.lastIndex = this.#at;
      const end = stop.exec(this.#text)?.index;
      if (end === undefined) {
        this.#at = this.#text.length;
        throw this.fault('Unterminated string');
      }
      text += this.#text.slice(this.#at, end);
      this.#at = end + 1;
      const sign = this.#text[end];
      if (sign === mark) return text;
      if (sign === '\n') {
        this.#newLine();
        text += '\n';
      } else text += this.#readEscape();
    }
  }

  #readEscape(): string {
    const sign = this.#text[this.#at++];
    switch (sign) {
      case undefined:
        throw this.fault('Unterminated escape sequence');
      case 'u': {
        const hex = this.#text.slice(this.#at, this.#at + 4);
        if (hex.length < 4) throw this.fault('Unterminated escape sequence');
        if (!/^[\da-fA-F]{4}$/.test(hex)) {
          throw new JsonFault(`\\u${hex}`, 'java.lang.NumberFormatException');
        }
        this.#at += 4;
        return String.fromCharCode(Number.parseInt(hex, 16));
      }
      case 't':
        return '\t';
      case 'b':
        return '\b';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 'f':
        return '\f';
      case '\n':
        this.#newLine();
        return '\n';
      default:
        return sign;
    }
  }

  /** The next sign behind white space and comments. */
  #next(): string {
    const sign = this.#skip();
    if (sign === undefined) throw new JsonFault(`End of input${this.#place()}`, EOF);
    return sign;
  }

  #skip(): string | undefined {
    const text = this.#text;
    for (;;) {
      const sign = text[this.#at];
      switch (sign) {
        case '\n':
          this.#at++;
          this.#newLine();
          continue;
        case ' ':
        case '\t':
        case '\r':
          this.#at++;
          continue;
        case '/': {
          const next = text[this.#at + 1];
          if (next !== '*' && next !== '/') return sign;
          this.#at++;
          this.mustBeLenient();
          if (next === '/') this.#skipLine();
          else this.#skipComment();
          continue;
        }
        case '#':
          this.#at++;
          this.mustBeLenient();
          this.#skipLine();
          continue;
        default:
          return sign;
      }
    }
  }

  #skipLine(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#text.length : end;
  }

  #skipComment(): void {
    const end = this.#text.indexOf('*/', this.#at + 1);
    if (end < 0) {
      this.#at = Math.max(this.#at, this.#text.length - 1);
      throw this.fault('Unterminated comment');
    }
    for (let at = this.#text.indexOf('\n', this.#at); at >= 0 && at < end; ) {
      this.#at = at + 1;
      this.#newLine();
      at = this.#text.indexOf('\n', this.#at);
    }
    this.#at = end + 2;
  }

  /** Throws JsonFault when strict. */
  mustBeLenient(): void {
    if (!this.lenient) throw this.fault(LENIENT);
  }

  #newLine(): void {
    this.#line++;
    this.#lineStart = this.#at;
  }

  #place(): string {
    return ` at line ${this.#line + 1} column ${this.#at - this.#lineStart + 1}`;
  }
}
