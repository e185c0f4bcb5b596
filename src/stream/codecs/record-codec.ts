/**
 * A codec made from a schema: JSON objects of known fields, decoded into columns without an object or string per
 * record. What a record means is defined by `JSON.parse` and the fields' checks; the fast parser only ever agrees
 * with that or gives up.
 */
import type { RecordBatch } from '../../broker/index.ts';
import { FatalError, messageOf } from '../../model/index.ts';
import type { Column } from '../batch.ts';
import type { Codec, Decoded, Decoder, Reject } from '../codec.ts';
import { ByteDictionary, viewOf } from '../dictionary.ts';
import {
  accepts,
  excerpt,
  type Fields,
  type NumbersOf,
  type Problem,
  problemOf,
  type RowOf,
  type TimestampNames,
} from './fields.ts';
import { type LayoutReader, layoutReader, type ReadOn } from './layout-reader.ts';
import { type FieldTarget, RecordParser } from './record-parser.ts';

/** As many as there are bits in the parser's set of fields seen. */
const FIELDS_MAX = 31;
/** A layout is learned once so many records went without one. */
const LEARN_AFTER = 256;
/** Layouts that a decoder learns; a topic with more keeps the last. */
const LAYOUTS_MAX = 8;
const DICTIONARY_BYTES_MAX = 64 * 1_024 * 1_024;
const DICTIONARY_ENTRIES_MAX = 1_000_000;
const NO_NUMBERS = new Float64Array(0);
const NO_CODES = new Int32Array(0);

export interface RecordCodecOptions<F extends Fields> {
  readonly name: string;
  readonly fields: F;
  /** The field that is the event time, ms. */
  readonly timestamp: TimestampNames<F>;
  /**
   * A rule across fields, asked for each record whose fields are fine. It gets the record's numbers through an
   * object that is the same for all records: read it, don't keep it.
   */
  readonly check?: (numbers: NumbersOf<F>) => Problem | undefined;
  /** A field's dictionary past this is replaced by a new one with the next batch. Default 64 MiB. */
  readonly dictionaryBytesMax?: number;
  /** Likewise. Default 1,000,000. */
  readonly dictionaryEntriesMax?: number;
}

/**
 * A codec for records with these fields. Unknown fields are ignored, of a key given twice the last counts, and
 * null in an optional field is the same as leaving it out.
 */
export function recordCodec<const F extends Fields>(
  options: RecordCodecOptions<F>,
): Codec<RowOf<F>> {
  checkSchema(options.name, options.fields, options.timestamp);
  const names = Object.keys(options.fields);
  return {
    name: options.name,
    createDecoder: () => new RecordDecoder<F>(options),
    encode: (row) => Buffer.from(JSON.stringify(row, names)),
  };
}

class RecordDecoder<F extends Fields> implements Decoder<RowOf<F>> {
  readonly #options: RecordCodecOptions<F>;
  readonly #targets: readonly FieldTarget[];
  readonly #parser: RecordParser;
  readonly #cursor: Cursor;
  #reader: LayoutReader | undefined;
  /** Records since a layout was learned that came in batches most of which differed. */
  #differing = 0;
  #layouts = 0;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(options: RecordCodecOptions<F>) {
    this.#options = options;
    this.#targets = Object.entries(options.fields).map(([name, field]) => ({
      name,
      field,
      isText: field.kind === 'text',
      isWhole: field.kind === 'integer',
      min: field.kind === 'text' ? 0 : field.min,
      max: field.kind === 'text' ? 0 : field.max,
      numbers: NO_NUMBERS,
      codes: NO_CODES,
      dictionary: new ByteDictionary(),
    }));
    this.#parser = new RecordParser(this.#targets);
    this.#cursor = new Cursor(this.#targets);
  }

  decode(batch: RecordBatch): Decoded<RowOf<F>> {
    const { count, valueStart, valueEnd } = batch;
    const source = viewOf(batch.bytes);
    const parser = this.#parser;
    const rejects: Reject[] = [];
    let read = 0;
    const readOn: ReadOn = (row, at, end, state, seen) => {
      read++;
      if (at >= 0 && parser.parse(row, at, end, state, seen)) return;
      const problem = this.#parseSlowly(row, batch);
      if (problem !== undefined) rejects.push({ row, ...problem });
    };
    this.#begin(count);
    parser.from(source);
    if (this.#reader === undefined) {
      const { begin } = parser;
      for (let row = 0; row < count; row++) {
        readOn(row, valueStart[row] as number, valueEnd[row] as number, begin, 0);
      }
    } else {
      this.#reader(source, this.#targets, valueStart, valueEnd, count, readOn);
    }
    this.#learn(read, count);
    return this.#finish(count, this.#check(count, rejects));
  }

  /** A layout that most records of late did not have is given up for that of the last. */
  #learn(read: number, count: number): void {
    this.#differing += 2 * read > count ? read : 0;
    if (this.#differing < LEARN_AFTER || this.#layouts === LAYOUTS_MAX) return;
    this.#differing = 0;
    const reader = layoutReader(this.#parser.layout(), this.#targets);
    // Records with ever new texts differ too; they are no new layout.
    if (reader === this.#reader) return;
    this.#reader = reader;
    this.#layouts++;
  }

  /** The rejects, and those that the rule across fields adds, ascending by row. */
  #check(count: number, rejects: readonly Reject[]): readonly Reject[] {
    const check = this.#options.check as ((numbers: object) => Problem | undefined) | undefined;
    if (check === undefined) return rejects;
    const cursor = this.#cursor;
    const all: Reject[] = [];
    let next = 0;
    for (let row = 0; row < count; row++) {
      const reject = rejects[next];
      if (reject?.row === row) {
        all.push(reject);
        next++;
        continue;
      }
      cursor.row = row;
      const problem = check(cursor.numbers);
      if (problem !== undefined) all.push({ row, ...problem });
    }
    return all;
  }

  /** Fresh columns; fresh dictionaries where the old have grown past their bound. */
  #begin(count: number): void {
    const { dictionaryBytesMax = DICTIONARY_BYTES_MAX } = this.#options;
    const { dictionaryEntriesMax = DICTIONARY_ENTRIES_MAX } = this.#options;
    for (const target of this.#targets) {
      if (target.isText) {
        const { size, byteLength } = target.dictionary;
        if (size > dictionaryEntriesMax || byteLength > dictionaryBytesMax) {
          target.dictionary = new ByteDictionary();
        }
        target.codes = new Int32Array(count);
        if (target.field.optional) target.codes.fill(-1);
      } else {
        target.numbers = new Float64Array(count);
        if (target.field.optional) target.numbers.fill(Number.NaN);
      }
    }
  }

  /** The complete parser: whatever JSON.parse takes. Writes all cells of the row, or says what is wrong. */
  #parseSlowly(row: number, batch: RecordBatch): Problem | undefined {
    const start = batch.valueStart[row] as number;
    if (start < 0) {
      return {
        code: 'NOT_JSON',
        message: 'the record has no value: send a JSON object (a null value removes nothing here)',
      };
    }
    const bytes = batch.bytes.subarray(start, batch.valueEnd[row]);
    let value: unknown;
    try {
      value = JSON.parse(this.#utf8.decode(bytes));
    } catch (error) {
      const begin = excerpt(bytes.toString('utf8', 0, 400));
      const message = `the value is not JSON in UTF-8 (${excerpt(messageOf(error))}): send one JSON object per record; got ${begin}`;
      return { code: 'NOT_JSON', message };
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      const message = `expected a JSON object with ${Object.keys(this.#options.fields).join(', ')}; got ${excerpt(JSON.stringify(value))}`;
      return { code: 'FIELD_INVALID', message };
    }
    for (const target of this.#targets) {
      const problem = writeCell(target, row, value);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #finish(count: number, rejects: readonly Reject[]): Decoded<RowOf<F>> {
    const columns: Record<string, Column> = {};
    const cells = this.#targets.map(({ name, isText, numbers, codes, dictionary }) => {
      columns[name] = isText ? { codes, dictionary } : numbers;
      return { name, isText, numbers, codes, dictionary };
    });
    const timestamps = columns[this.#options.timestamp] as Float64Array;
    for (const { row } of rejects) timestamps[row] = Number.NaN;
    return {
      columns,
      timestamps,
      selected: rejects.length === 0 ? undefined : rowsWithout(count, rejects),
      rejects,
      row: (i) => {
        const row: Record<string, string | number> = {};
        for (const { name, isText, numbers, codes, dictionary } of cells) {
          if (isText) {
            const code = codes[i] as number;
            if (code >= 0) row[name] = dictionary.text(code);
          } else {
            const value = numbers[i] as number;
            if (!Number.isNaN(value)) row[name] = value;
          }
        }
        return row as RowOf<F>;
      },
    };
  }
}

/** One row's numbers, read from the columns when asked for. */
class Cursor {
  row = 0;
  readonly numbers: object;

  constructor(targets: readonly FieldTarget[]) {
    const numbers = {};
    for (const target of targets) {
      if (target.isText) continue;
      const get = target.field.optional
        ? () => {
            const value = target.numbers[this.row] as number;
            return Number.isNaN(value) ? undefined : value;
          }
        : () => target.numbers[this.row] as number;
      Object.defineProperty(numbers, target.name, { enumerable: true, get });
    }
    this.numbers = numbers;
  }
}

function writeCell(target: FieldTarget, row: number, record: object): Problem | undefined {
  const { name, field, isText } = target;
  const value = Object.hasOwn(record, name) ? (record as Record<string, unknown>)[name] : undefined;
  if (field.optional && (value === undefined || value === null)) {
    if (isText) target.codes[row] = -1;
    else target.numbers[row] = Number.NaN;
    return undefined;
  }
  if (!accepts(field, value)) return problemOf(name, field, value);
  if (isText) target.codes[row] = target.dictionary.intern(value as string);
  else target.numbers[row] = value as number;
  return undefined;
}

function rowsWithout(count: number, rejects: readonly Reject[]): Int32Array {
  const rows = new Int32Array(count - rejects.length);
  let next = 0;
  let to = 0;
  for (let row = 0; row < count; row++) {
    if (rejects[next]?.row === row) next++;
    else rows[to++] = row;
  }
  return rows;
}

function checkSchema(codec: string, fields: Fields, timestamp: string): void {
  const names = Object.keys(fields);
  const refuse = (what: string) => {
    throw new FatalError(`codec "${codec}": ${what}`, { code: 'CODEC_INVALID' });
  };
  if (names.length > FIELDS_MAX) {
    refuse(`${names.length} fields are too many; name at most ${FIELDS_MAX}, others are ignored`);
  }
  if (names.includes('__proto__')) refuse('a field can not be named __proto__');
  const time = fields[timestamp];
  if (time === undefined || time.kind === 'text' || time.optional) {
    refuse(`timestamp "${timestamp}" must be a field that is a number and not optional`);
  }
}
