/**
 * KairosDB's configuration files, flattened: HOCON as real `kairosdb.conf` files use it (comments, nesting, dotted and
 * quoted keys, lists, `+=`, includes, substitutions), and Java properties. Every value keeps its file and line. Why it is
 * our own: decision 0019.
 */
import { FatalError } from '../../model/index.ts';

export type ConfigValue = string | readonly ConfigValue[] | { readonly [key: string]: ConfigValue };

export interface ConfigEntry {
  readonly value: ConfigValue;
  readonly file: string;
  readonly line: number;
}

export interface ReadOptions {
  readonly file: string;
  /** Another file's text, by its name as seen from this one; undefined when it is not there. */
  readonly include: (name: string) => string | undefined;
  /** What substitutions fall back to. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

type Part = { readonly text: string } | { readonly ref: string; readonly optional: boolean };
type Raw = readonly Part[] | { readonly list: Raw[] } | { readonly object: Map<string, Found> };
interface Found {
  readonly raw: Raw;
  readonly file: string;
  readonly line: number;
  /** What the key had before it was set again, for `${itself}`. */
  readonly before?: Found | undefined;
}

const INCLUDES_MAX = 20;
const DEPTH_MAX = 100;

/** By dotted key, in the order of the file. Throws FatalError CONFIG_UNREADABLE with file and line. */
export function readHocon(text: string, options: ReadOptions): Map<string, ConfigEntry> {
  const found = new Map<string, Found>();
  new Reader(text, options, found, 0).document();
  const resolved = new Map<string, ConfigEntry>();
  for (const [key, entry] of found) {
    const value = resolve(entry, key, found, options.environment, new Set());
    if (value !== undefined) resolved.set(key, { value, file: entry.file, line: entry.line });
  }
  return resolved;
}

class Reader {
  readonly #text: string;
  readonly #options: ReadOptions;
  readonly #into: Map<string, Found>;
  readonly #includes: number;
  #at = 0;

  constructor(text: string, options: ReadOptions, into: Map<string, Found>, includes: number) {
    this.#text = text.replace(/^\ufeff/, '');
    this.#options = options;
    this.#into = into;
    this.#includes = includes;
  }

  document(): void {
    this.#skip();
    const braced = this.#peek() === '{';
    if (braced) this.#at++;
    this.#members('', this.#into, braced, 0);
    this.#skip();
    if (this.#at < this.#text.length) throw this.#fault(`unexpected ${this.#peek()}`);
  }

  #members(prefix: string, into: Map<string, Found>, braced: boolean, depth: number): void {
    if (depth > DEPTH_MAX) throw this.#fault('nested too deeply');
    for (;;) {
      this.#skip(',');
      const sign = this.#peek();
      if (sign === undefined) {
        if (braced) throw this.#fault('a } is missing');
        return;
      }
      if (sign === '}') {
        if (!braced) throw this.#fault('a } too many');
        this.#at++;
        return;
      }
      if (this.#include(prefix, into)) continue;
      this.#member(prefix, into, depth);
    }
  }

  #member(prefix: string, into: Map<string, Found>, depth: number): void {
    const line = this.#line();
    const key = `${prefix}${this.#key()}`;
    this.#blanks();
    const sign = this.#peek();
    if (sign === '{') {
      this.#at++;
      this.#members(`${key}.`, into, true, depth + 1);
      return;
    }
    const adds = this.#text.startsWith('+=', this.#at);
    if (!adds && sign !== ':' && sign !== '=') throw this.#fault(`${key} has no value`);
    this.#at += adds ? 2 : 1;
    this.#skip();
    if (this.#peek() === '{') {
      this.#at++;
      this.#members(`${key}.`, into, true, depth + 1);
      return;
    }
    const raw = this.#value(depth);
    const before = into.get(key);
    const list = before === undefined ? [] : 'list' in before.raw ? before.raw.list : [before.raw];
    into.delete(key);
    into.set(key, {
      raw: adds ? { list: [...list, raw] } : raw,
      file: this.#options.file,
      line,
      before,
    });
  }

  #include(prefix: string, into: Map<string, Found>): boolean {
    const match =
      /include\s+(?:required\s*\(\s*)?(?:file\s*\(\s*|classpath\s*\(\s*)?"([^"\n]*)"[\s)]*/y;
    match.lastIndex = this.#at;
    const found = match.exec(this.#text);
    if (found === null) return false;
    const name = found[1] as string;
    if (this.#includes >= INCLUDES_MAX) throw this.#fault(`includes go in circles at ${name}`);
    const text = this.#options.include(name);
    if (text === undefined && /required/.test(found[0])) throw this.#fault(`${name} is not there`);
    this.#at = match.lastIndex;
    if (text === undefined) return true;
    const inner = new Map<string, Found>();
    new Reader(text, { ...this.#options, file: name }, inner, this.#includes + 1).document();
    for (const [key, value] of inner) into.set(`${prefix}${key}`, value);
    return true;
  }

  #key(): string {
    const parts: string[] = [];
    for (;;) {
      this.#blanks();
      if (this.#peek() === '"') parts.push(this.#quoted());
      else {
        const word = /[^\s.:={}[\],"#+$\\]+/y;
        word.lastIndex = this.#at;
        const found = word.exec(this.#text);
        if (found === null) throw this.#fault('a key is missing');
        this.#at = word.lastIndex;
        parts.push(found[0]);
      }
      if (this.#peek() !== '.') return parts.join('.');
      this.#at++;
    }
  }

  #value(depth: number): Raw {
    if (this.#peek() === '[') return this.#list(depth + 1);
    if (this.#peek() === '{') {
      const object = new Map<string, Found>();
      this.#at++;
      this.#members('', object, true, depth + 1);
      return { object };
    }
    const parts: Part[] = [];
    for (;;) {
      const sign = this.#peek();
      if (sign === undefined || /[\n,}\]]/.test(sign) || this.#isComment()) break;
      if (this.#text.startsWith('"""', this.#at)) parts.push({ text: this.#tripleQuoted() });
      else if (sign === '"') parts.push({ text: this.#quoted() });
      else if (sign === '$') parts.push(this.#substitution());
      else parts.push({ text: this.#unquoted() });
    }
    const last = parts.at(-1);
    // Blanks between parts count, those behind the last do not.
    if (last !== undefined && 'text' in last)
      parts[parts.length - 1] = { text: last.text.trimEnd() };
    if (parts.length === 0) throw this.#fault('a value is missing');
    return parts;
  }

  #list(depth: number): Raw {
    if (depth > DEPTH_MAX) throw this.#fault('nested too deeply');
    this.#at++;
    const list: Raw[] = [];
    for (;;) {
      this.#skip(',');
      if (this.#peek() === undefined) throw this.#fault('a ] is missing');
      if (this.#peek() === ']') {
        this.#at++;
        return { list };
      }
      list.push(this.#value(depth));
    }
  }

  #substitution(): Part {
    const pattern = /\$\{(\??)\s*([^}\n]+?)\s*\}/y;
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) throw this.#fault('a $ that is no substitution');
    this.#at = pattern.lastIndex;
    return { ref: (found[2] as string).replaceAll('"', ''), optional: found[1] === '?' };
  }

  #unquoted(): string {
    const start = this.#at;
    while (this.#at < this.#text.length) {
      const sign = this.#text[this.#at] as string;
      if (/[\n,}\]"$]/.test(sign) || this.#isComment()) break;
      this.#at++;
    }
    return this.#text.slice(start, this.#at).replace(/\r$/, '');
  }

  #quoted(): string {
    const pattern = /"(?:[^"\\\n]|\\.)*"/y;
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) throw this.#fault('a " is not closed');
    this.#at = pattern.lastIndex;
    try {
      return JSON.parse(found[0].replaceAll('\t', '\\t')) as string;
    } catch {
      throw this.#fault('a text with an escape that is none');
    }
  }

  #tripleQuoted(): string {
    const end = this.#text.indexOf('"""', this.#at + 3);
    if (end === -1) throw this.#fault('a """ is not closed');
    const text = this.#text.slice(this.#at + 3, end);
    this.#at = end + 3;
    return text;
  }

  #isComment(): boolean {
    return this.#peek() === '#' || this.#text.startsWith('//', this.#at);
  }

  /** White space, comments, and signs of `also`. */
  #skip(also = ''): void {
    for (;;) {
      const sign = this.#peek();
      if (sign !== undefined && (/\s/.test(sign) || also.includes(sign))) this.#at++;
      else if (this.#isComment()) this.#at = this.#lineEnd();
      else return;
    }
  }

  #blanks(): void {
    while (/[ \t\r]/.test(this.#peek() ?? '')) this.#at++;
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #lineEnd(): number {
    const end = this.#text.indexOf('\n', this.#at);
    return end === -1 ? this.#text.length : end;
  }

  #line(): number {
    return this.#text.slice(0, this.#at).split('\n').length;
  }

  #fault(message: string): FatalError {
    return unreadable(this.#options.file, this.#line(), message);
  }
}

function resolve(
  { raw, file, line, before }: Found,
  key: string,
  all: ReadonlyMap<string, Found>,
  environment: ReadOptions['environment'],
  seen: ReadonlySet<string>,
): ConfigValue | undefined {
  const inner = (each: Raw) =>
    resolve({ raw: each, file, line, before }, key, all, environment, seen);
  if ('list' in raw) return raw.list.flatMap((each) => inner(each) ?? []);
  if ('object' in raw) {
    const members = [...raw.object].flatMap(([name, found]) => {
      const value = resolve(found, name, all, environment, seen);
      return value === undefined ? [] : [[name, value] as const];
    });
    return Object.fromEntries(members);
  }
  const values = raw.map((part) => {
    if ('text' in part) return part.text;
    const { ref, optional } = part;
    const target = ref === key ? before : all.get(ref);
    if (target !== undefined) {
      if (seen.has(ref) && ref !== key) {
        throw unreadable(file, line, `\${${ref}} leads back to itself`);
      }
      return resolve(target, ref, all, environment, new Set([...seen, key, ref]));
    }
    const given = environment[ref];
    if (given !== undefined || optional) return given;
    throw unreadable(file, line, `\${${ref}} is set nowhere`);
  });
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return undefined;
  if (known.length === 1 && typeof known[0] !== 'string') return known[0];
  if (!known.every((value) => typeof value === 'string')) {
    if (known.every((value) => Array.isArray(value) || value === ' ')) {
      return known.flatMap((value) => (Array.isArray(value) ? value : []));
    }
    throw unreadable(file, line, `${key} joins a text with something else`);
  }
  const text = known.join('');
  return text === 'null' && raw.length === 1 ? undefined : text;
}

/** `key=value`, `key: value` or `key value`; `#` and `!` begin comments, a `\` at the end goes on. */
export function readProperties(text: string, file: string): Map<string, ConfigEntry> {
  const entries = new Map<string, ConfigEntry>();
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  for (let i = 0; i < lines.length; i++) {
    const line = i + 1;
    let logical = (lines[i] as string).trimStart();
    if (logical === '' || /^[#!]/.test(logical)) continue;
    while (/(?:^|[^\\])(?:\\\\)*\\$/.test(logical) && i + 1 < lines.length) {
      logical = logical.slice(0, -1) + (lines[++i] as string).trimStart();
    }
    const match = /^((?:[^\s:=\\]|\\.)+)(?:\s*[:=]\s*|\s+|$)([\s\S]*)$/.exec(logical);
    if (match === null) throw unreadable(file, line, 'a key is missing');
    const [, key = '', value = ''] = match;
    entries.set(unescaped(key), { value: unescaped(value).trimEnd(), file, line });
  }
  return entries;
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };
const unescaped = (text: string): string =>
  text.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (_all, hex?: string, sign?: string) =>
    hex === undefined
      ? (ESCAPES[sign as string] ?? (sign as string))
      : String.fromCharCode(Number.parseInt(hex, 16)),
  );

const unreadable = (file: string, line: number, message: string): FatalError =>
  new FatalError(`${file}, line ${line}: ${message}`, {
    code: 'CONFIG_UNREADABLE',
    context: { file, line },
  });
