/**
 * Points as line protocol (spec/influxdb.md §1), one line each. Whatever the server would refuse, and the
 * batch with it, is caught here for that point alone; names it cannot hold are altered as told below.
 */
import { type FieldValue, type Point, PoisonError } from '../../model/index.ts';

/** Series key as the server counts it: measurement, tags, `#!~#` and one field key, escaped, in UTF-8. */
const SERIES_KEY_BYTES_MAX = 65_535;
const SERIES_FIELD_SEPARATOR_BYTES = 4;
const STRING_BYTES_MAX = 1_048_576;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
/** The server keeps the outermost timestamps for itself. */
const TIMESTAMP_NS_MIN = INT64_MIN + 2n;
const TIMESTAMP_NS_MAX = INT64_MAX - 1n;
const RESERVED_TAG_KEYS = new Set(['time', '_field', '_measurement']);

/**
 * One line without its line end. Tags without a value are left out. Names and tag values are altered where
 * the protocol has no escape: line breaks and tabs become the two characters `\n`, `\r`, `\t` (as the
 * official client writes them); backslashes at the end or before a comma, equals sign, space or quote become
 * slashes (2.7.12 reads lines, tags and field names by different rules there, so that one such name could
 * spoil its neighbours' lines); a `#` that leads a measurement becomes `_`.
 * @throws PoisonError POINT_INVALID for a point the server would refuse or store only in part.
 */
export function encodeLine(point: Point): string {
  let line = encodeSeries(point.measurement, point.tags);
  const seriesLength = line.length;

  let separator = ' ';
  let keyLengthMax = 0;
  let altered = false;
  for (const key in point.fields) {
    const name = escapeName(key);
    if (name !== key) altered = true;
    if (name === '') throw invalid('a field has no name');
    // Accepted by the server but never stored, with no word about it.
    if (key === 'time') throw invalid('"time" can\'t be a field\'s name');
    if (name.length > keyLengthMax) keyLengthMax = name.length;
    line += `${separator}${name}=${encodeValue(point.fields[key]!, key)}`;
    separator = ',';
  }
  if (separator === ' ') throw invalid('there is no field');
  if (altered) refuseEqualNames(Object.keys(point.fields));

  // So nearly all lines pass without being measured.
  if (!fitsSeriesKey(seriesLength, keyLengthMax)) {
    refuseLongKey(line.slice(0, seriesLength), point.fields);
  }
  const { timestampNs } = point;
  if (timestampNs < TIMESTAMP_NS_MIN || timestampNs > TIMESTAMP_NS_MAX) {
    throw invalid(`the timestamp ${timestampNs} ns is outside 1677-09-21 … 2262-04-11`);
  }
  return `${line} ${timestampNs}`;
}

/** Measurement and tags: a line up to its fields. @throws PoisonError POINT_INVALID. */
export function encodeSeries(measurement: string, tags: Point['tags']): string {
  let line = encodeMeasurement(measurement);
  let altered = false;
  for (const key in tags) {
    const value = tags[key]!;
    if (value === '') continue;
    const name = escapeName(key);
    if (name === '') throw invalid('a tag has no name');
    if (RESERVED_TAG_KEYS.has(key)) throw invalid(`"${key}" can't be a tag's name`);
    if (name !== key) altered = true;
    line += `,${name}=${escapeName(value)}`;
  }
  if (altered) refuseEqualNames(Object.keys(tags).filter((key) => tags[key]));
  return line;
}

/** Whether names of so many UTF-16 units surely fit: each takes at most 3 bytes. */
export const fitsSeriesKey = (seriesLength: number, keyLength: number): boolean =>
  (seriesLength + keyLength) * 3 <= SERIES_KEY_BYTES_MAX - SERIES_FIELD_SEPARATOR_BYTES;

/** The name under which a tag, a tag's value or a field is stored. */
export const storedName = (name: string): string =>
  NEEDS_CARE.test(name) ? withoutTrouble(name) : name;

/** The name under which a measurement is stored. */
export const storedMeasurement = (name: string): string =>
  storedName(name.charCodeAt(0) === 0x23 ? `_${name.slice(1)}` : name);

function encodeMeasurement(measurement: string): string {
  if (measurement === '') throw invalid('the measurement has no name');
  const name = measurement.charCodeAt(0) === 0x23 ? `_${measurement.slice(1)}` : measurement;
  // `=` is literal in a measurement: escaped, its backslash would be stored with it.
  return NEEDS_CARE.test(name) ? withoutTrouble(name).replace(/[, ]/g, '\\$&') : name;
}

const NEEDS_CARE = /[,= \n\r\t\\\0]/;

function escapeName(text: string): string {
  return NEEDS_CARE.test(text) ? withoutTrouble(text).replace(/[,= ]/g, '\\$&') : text;
}

function withoutTrouble(text: string): string {
  // The server marks names of its own with NUL and strips it from others, so that two fields become one.
  if (text.includes('\0')) throw invalid('a name or tag value holds a NUL character');
  return text
    .replace(/\\+(?=[,= "]|$)/g, (run) => '/'.repeat(run.length))
    .replace(/[\n\r\t]/g, (c) => (c === '\n' ? '\\n' : c === '\r' ? '\\r' : '\\t'));
}

function encodeValue(value: FieldValue, key: string): string {
  switch (typeof value) {
    case 'number':
      // NaN and the infinities; every other number is written so that the server reads the same 64 bits.
      if (value - value !== 0) throw invalid(`field "${key}" is ${value}`);
      return Object.is(value, -0) ? '-0' : `${value}`;
    case 'bigint':
      if (value < INT64_MIN || value > INT64_MAX) {
        throw invalid(`field "${key}" is ${value}, which does not fit in 64 bits`);
      }
      return `${value}i`;
    case 'boolean':
      return value ? 'true' : 'false';
    case 'string': {
      if (value.length * 3 > STRING_BYTES_MAX && Buffer.byteLength(value) > STRING_BYTES_MAX) {
        throw invalid(`field "${key}" is longer than ${STRING_BYTES_MAX} bytes`);
      }
      return /["\\]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : `"${value}"`;
    }
    default:
      throw invalid(`field "${key}" is ${value}`);
  }
}

/**
 * Two names may become one when altered. For tags the server refuses the batch, of fields it keeps the last
 * without a word.
 */
function refuseEqualNames(keys: readonly string[]): void {
  const names = new Set<string>();
  for (const key of keys) {
    const name = escapeName(key);
    if (names.has(name)) throw invalid(`two names become "${name}" in line protocol`);
    names.add(name);
  }
}

function refuseLongKey(series: string, fields: Point['fields']): void {
  const seriesBytes = Buffer.byteLength(series) + SERIES_FIELD_SEPARATOR_BYTES;
  for (const key in fields) {
    const bytes = seriesBytes + Buffer.byteLength(escapeName(key));
    if (bytes > SERIES_KEY_BYTES_MAX) {
      throw invalid(`measurement and tags take ${bytes} bytes, over ${SERIES_KEY_BYTES_MAX}`);
    }
  }
}

function invalid(why: string): PoisonError {
  return new PoisonError(`not a point for InfluxDB: ${why}`, { code: 'POINT_INVALID' });
}
