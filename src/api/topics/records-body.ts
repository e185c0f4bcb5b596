/**
 * The body of a publish request → records. Lines are stored as the bytes they are; only where a topic has a
 * key field is a line read, to find its key. One bad record refuses the whole body.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ProducerRecord } from '../../broker/index.ts';
import { nearest } from '../../runtime/index.ts';
import { type ProblemItem, Refusal } from '../errors.ts';
import { parseTime } from '../time-range.ts';

/** Reasons listed in one answer; the detail counts them all. */
const ERRORS_LISTED_MAX = 100;
/** Records read before other requests get a turn: about half a millisecond of parsing. */
const RECORDS_PER_TURN = 250;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** NDJSON: one record per line that is not empty. */
export async function recordsOfLines(
  body: Buffer,
  keyField: string | undefined,
): Promise<ProducerRecord[]> {
  const records: ProducerRecord[] = [];
  const errors = new Errors();
  let line = 0;
  for (let start = 0; start < body.length; ) {
    const newline = body.indexOf(NEWLINE, start);
    const next = newline === -1 ? body.length : newline + 1;
    let end = newline === -1 ? body.length : newline;
    if (end > start && body[end - 1] === CARRIAGE_RETURN) end--;
    line++;
    if (end > start) {
      const value = body.subarray(start, end);
      if (keyField === undefined) {
        records.push({ key: null, value });
      } else {
        const found = keyOfText(value.toString('utf8'), keyField);
        if ('key' in found) records.push({ key: found.key, value });
        else errors.add({ line, ...found });
      }
      if (line % RECORDS_PER_TURN === 0) await nextTurn();
    }
    start = next;
  }
  errors.refuseIfAny();
  return records;
}

/**
 * `{"records":[{"key"?,"value","timestamp"?}]}`. A value is stored as its JSON text; null is a record without
 * value (a tombstone on compacted topics).
 */
export async function recordsOfJson(
  body: Buffer,
  keyField: string | undefined,
): Promise<ProducerRecord[]> {
  const envelope = parseKeepingDigits(body.toString('utf8'));
  if (!isObject(envelope) || !Array.isArray(envelope.records)) {
    const message =
      'expected {"records":[{"value":…}]}; for one record per line send application/x-ndjson';
    throw new Refusal('FIELD_INVALID', message, { errors: [{ field: 'records', message }] });
  }
  refuseUnknown(envelope, ['records']);
  const records: ProducerRecord[] = [];
  const errors = new Errors();
  for (const [record, given] of envelope.records.entries()) {
    const outcome = recordOf(given, keyField);
    if ('message' in outcome) errors.add({ record, ...outcome });
    else records.push(outcome);
    if (record % RECORDS_PER_TURN === RECORDS_PER_TURN - 1) await nextTurn();
  }
  errors.refuseIfAny();
  return records;
}

type Fault = Pick<ProblemItem, 'field' | 'message'> & { readonly code: string };

function recordOf(given: unknown, keyField: string | undefined): ProducerRecord | Fault {
  if (!isObject(given)) return invalid('record', 'expected an object with a value');
  for (const name of Object.keys(given)) {
    if (!RECORD_FIELDS.includes(name)) {
      return invalid(name, `no such field; did you mean ${nearest(name, RECORD_FIELDS)}?`);
    }
  }
  if (!('value' in given)) return invalid('value', 'is missing');
  const { key, value, timestamp } = given;
  const time = timestampOf(timestamp);
  if (time === null) return invalid('timestamp', 'expected ms or ISO 8601');
  const when = time === undefined ? {} : { timestamp: time };
  const bytes = value === null ? null : JSON.stringify(value);
  if (typeof key === 'string') return { key, value: bytes, ...when };
  if (key !== undefined && key !== null) return invalid('key', 'expected a text');
  if (keyField === undefined) return { key: null, value: bytes, ...when };
  const found = keyOfObject(value, keyField);
  return 'key' in found ? { key: found.key, value: bytes, ...when } : found;
}

const RECORD_FIELDS = ['key', 'value', 'timestamp'];

/** undefined when absent, null when it is no time. */
function timestampOf(given: unknown): number | null | undefined {
  if (given === undefined || given === null) return undefined;
  // A number whose digits were kept is an object; as a time its value is what counts.
  const plain = typeof given === 'object' ? Number(JSON.stringify(given)) : given;
  if (typeof plain !== 'string' && typeof plain !== 'number') return null;
  const time = parseTime(plain);
  return time === undefined || time < 0 ? null : time;
}

function keyOfText(text: string, keyField: string): { readonly key: string } | Fault {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { code: 'NOT_JSON', message: `not JSON, and the key is its field ${keyField}` };
  }
  return keyOfObject(value, keyField);
}

function keyOfObject(value: unknown, keyField: string): { readonly key: string } | Fault {
  const key = isObject(value) ? value[keyField] : undefined;
  if (typeof key === 'string' && key !== '') return { key };
  return invalid(keyField, 'expected a text: it is the record’s key');
}

const invalid = (field: string, message: string): Fault => ({
  code: 'FIELD_INVALID',
  field,
  message: `${field}: ${message}`,
});

/**
 * JSON.parse, but numbers that a double can't be trusted to write back as they came keep their text
 * (`JSON.rawJSON`), so that a stored value has the digits that were sent.
 */
function parseKeepingDigits(text: string): unknown {
  const risky = /[[,:\s-]\d(?:[\d.]{15}|[\d.]*[eE])/.test(text);
  try {
    return risky ? JSON.parse(text, keepDigits) : JSON.parse(text);
  } catch {
    throw new Refusal('NOT_JSON', 'the body is not JSON');
  }
}

/** Node 24 gives the reviver a primitive's text (JSON.parse source text access). */
function keepDigits(this: unknown, _key: string, value: unknown, context?: unknown): unknown {
  const { source } = (context ?? {}) as { source?: string };
  if (typeof value !== 'number' || source === undefined || String(value) === source) return value;
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(source);
}

function refuseUnknown(object: Record<string, unknown>, known: readonly string[]): void {
  for (const field of Object.keys(object)) {
    if (known.includes(field)) continue;
    const message = `${field}: no such field; did you mean ${nearest(field, known)}?`;
    throw new Refusal('FIELD_INVALID', message, { errors: [{ field, message }] });
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is wrong with a body's records; bounded, whatever comes in. */
class Errors {
  readonly #listed: ProblemItem[] = [];
  #count = 0;

  add(item: ProblemItem): void {
    this.#count++;
    if (this.#listed.length < ERRORS_LISTED_MAX) this.#listed.push(item);
  }

  refuseIfAny(): void {
    if (this.#count === 0) return;
    const more = this.#count - this.#listed.length;
    throw new Refusal(
      'RECORDS_INVALID',
      `${this.#count} of the records can't be stored, so none was${more > 0 ? ` (${more} more than listed)` : ''}`,
      { errors: this.#listed },
    );
  }
}
