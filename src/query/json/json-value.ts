/**
 * JSON as KairosDB's parser (Gson 2.2.4) keeps it: numbers as the text they were written in, objects in order. The
 * functions read a scalar as the type that is wanted, with Gson's coercions and the messages of its exceptions.
 */
import { QueryFailed, QueryRefused } from '../errors.ts';
import { javaDoubleOf, javaLongOf, truncatedLongOf } from './java-number.ts';

export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type JsonObject = ReadonlyMap<string, JsonValue>;
export type JsonValue = string | boolean | null | JsonNumber | readonly JsonValue[] | JsonObject;

export const isArray = (json: JsonValue): json is readonly JsonValue[] => Array.isArray(json);
export const isObject = (json: JsonValue): json is JsonObject => json instanceof Map;

/** Gson's `getAsString`: scalars as text, an array of one as its member. Throws QueryFailed. */
export function stringOf(json: JsonValue): string {
  const scalar = scalarOf(json);
  return scalar instanceof JsonNumber ? scalar.text : String(scalar);
}

/** Gson's `getAsInt`: wraps to 32 bits. Throws QueryFailed, or SyntaxError as `Integer.parseInt`. */
export function intOf(json: JsonValue): number {
  const scalar = scalarOf(json);
  if (scalar instanceof JsonNumber) return Number(BigInt.asIntN(32, truncatedLongOf(scalar.text)));
  const long = javaLongOf(String(scalar));
  if (long !== BigInt.asIntN(32, long)) throw new SyntaxError(`For input string: "${scalar}"`);
  return Number(long);
}

/** Gson's `getAsLong`: wraps to 64 bits. */
export function longOf(json: JsonValue): bigint {
  const scalar = scalarOf(json);
  return scalar instanceof JsonNumber ? truncatedLongOf(scalar.text) : javaLongOf(String(scalar));
}

/** Gson's `getAsDouble`. */
export function doubleOf(json: JsonValue): number {
  const scalar = scalarOf(json);
  return scalar instanceof JsonNumber ? Number(scalar.text) : javaDoubleOf(String(scalar));
}

/** Gson's `getAsBoolean`: every text but "true" is false. */
export function booleanOf(json: JsonValue): boolean {
  const scalar = scalarOf(json);
  return typeof scalar === 'boolean' ? scalar : String(stringOf(scalar)).toLowerCase() === 'true';
}

function scalarOf(json: JsonValue): string | boolean | JsonNumber {
  if (json === null) throw new QueryFailed('JsonNull');
  if (isArray(json)) {
    if (json.length !== 1) throw new QueryFailed(null);
    return scalarOf(json[0] as JsonValue);
  }
  if (isObject(json)) throw new QueryFailed('JsonObject');
  return json;
}

/** Gson's word for what a value is, where its type adapters complain. */
export function tokenOf(json: JsonValue): string {
  if (json === null) return 'NULL';
  if (isArray(json)) return 'BEGIN_ARRAY';
  if (isObject(json)) return 'BEGIN_OBJECT';
  if (typeof json === 'boolean') return 'BOOLEAN';
  return json instanceof JsonNumber ? 'NUMBER' : 'STRING';
}

/** A whole number as a typed field takes it; other kinds are refused. Text is parsed strictly. */
export function typedInt(json: JsonValue): number {
  return refusingSyntax(() => intOf(numeric(json)));
}

/** The same, 64 bits. */
export function typedLong(json: JsonValue): bigint {
  return refusingSyntax(() => longOf(numeric(json)));
}

/** A double as a typed field takes it. SyntaxError passes: the caller says which field it was. */
export const typedDouble = (json: JsonValue): number => doubleOf(numeric(json));

export function typedBoolean(json: JsonValue): boolean {
  if (typeof json === 'boolean') return json;
  if (typeof json === 'string') return json.toLowerCase() === 'true';
  throw unexpected('BOOLEAN', json);
}

/** Text as a typed field takes it; numbers and truth values are text too. */
export function typedString(json: JsonValue): string {
  if (json !== null && (isArray(json) || isObject(json))) throw unexpected('STRING', json);
  return stringOf(json);
}

/** The members of an object. Gson's maps also come as an array of pairs, each an array of two. */
export function membersOf(json: JsonValue): JsonObject {
  if (json !== null && isObject(json)) return json;
  if (json === null || !isArray(json)) throw unexpected('BEGIN_OBJECT', json);
  const found = new Map<string, JsonValue>();
  for (const pair of json) {
    if (pair === null || !isArray(pair)) throw unexpected('BEGIN_ARRAY', pair);
    const [name, value] = pair;
    if (name === undefined || value === undefined || pair.length > 2) {
      throw new QueryRefused('java.lang.IllegalStateException: a pair has two members');
    }
    const text = typedString(name);
    if (found.has(text)) throw new QueryRefused(`duplicate key: ${text}`);
    found.set(text, value);
  }
  return found;
}

export const unexpected = (wanted: string, json: JsonValue): QueryRefused =>
  new QueryRefused(`java.lang.IllegalStateException: Expected ${wanted} but was ${tokenOf(json)}`);

function numeric(json: JsonValue): JsonValue {
  if (typeof json === 'string' || json instanceof JsonNumber) return json;
  throw unexpected('NUMBER', json);
}

function refusingSyntax<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new QueryRefused(`java.lang.NumberFormatException: ${error.message}`);
  }
}

/** As Gson prints a tree, compactly; for messages. */
export function jsonText(json: JsonValue): string {
  if (json instanceof JsonNumber) return json.text;
  if (json !== null && isArray(json)) return `[${json.map(jsonText).join(',')}]`;
  if (json !== null && isObject(json)) {
    return `{${[...json].map(([key, value]) => `${JSON.stringify(key)}:${jsonText(value)}`).join(',')}}`;
  }
  return JSON.stringify(json);
}
