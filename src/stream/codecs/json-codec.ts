/** A codec for any JSON: rows are what `JSON.parse` gives. Simple, for records without a schema and low rates. */
import type { RecordBatch } from '../../broker/index.ts';
import { messageOf } from '../../model/index.ts';
import type { Column } from '../batch.ts';
import type { Codec, Decoded, Decoder, Reject } from '../codec.ts';
import { ByteDictionary } from '../dictionary.ts';
import { excerpt, type Problem } from './fields.ts';

export interface JsonCodecOptions {
  /** Default `json`. */
  readonly name?: string;
  /** The top-level field that is the event time, ms. Absent: the log's time of the record. */
  readonly timestamp?: string;
}

/** A codec whose rows are parsed JSON; objects' top-level fields are columns, made when asked for. */
export function jsonCodec<T>(options: JsonCodecOptions = {}): Codec<T> {
  return {
    name: options.name ?? 'json',
    createDecoder: () => new JsonDecoder<T>(options.timestamp),
    encode: (row) => Buffer.from(JSON.stringify(row)),
  };
}

type Parsed = { readonly value: unknown; readonly timestamp: number };

class JsonDecoder<T> implements Decoder<T> {
  readonly #timestamp: string | undefined;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** Every top-level field seen so far: a batch without it still has its column, of absent cells. */
  readonly #fields = new Set<string>();

  constructor(timestamp: string | undefined) {
    this.#timestamp = timestamp;
  }

  decode(batch: RecordBatch): Decoded<T> {
    const { count } = batch;
    const rows = new Array<unknown>(count);
    const timestamps = new Float64Array(count).fill(Number.NaN);
    const rejects: Reject[] = [];
    const good: number[] = [];
    for (let row = 0; row < count; row++) {
      const parsed = this.#parse(batch, row);
      if ('code' in parsed) {
        rejects.push({ row, code: parsed.code, message: parsed.message });
      } else {
        rows[row] = parsed.value;
        timestamps[row] = parsed.timestamp;
        good.push(row);
      }
    }
    for (const row of good) {
      if (isRecord(rows[row])) for (const field of Object.keys(rows[row])) this.#fields.add(field);
    }
    return {
      columns: lazyColumns(this.#fields, rows),
      // Without a schema any field may come yet: one record without it must not stop the task that asks for it.
      absent: () => new Float64Array(count).fill(Number.NaN),
      timestamps,
      selected: rejects.length === 0 ? undefined : Int32Array.from(good),
      rejects,
      row: (i) => rows[i] as T,
    };
  }

  #parse(batch: RecordBatch, row: number): Parsed | Problem {
    const start = batch.valueStart[row] as number;
    if (start < 0) return { code: 'NOT_JSON', message: 'the record has no value: send JSON' };
    const bytes = batch.bytes.subarray(start, batch.valueEnd[row]);
    let value: unknown;
    try {
      value = JSON.parse(this.#utf8.decode(bytes));
    } catch (error) {
      const begin = excerpt(bytes.toString('utf8', 0, 400));
      const message = `the value is not JSON in UTF-8 (${excerpt(messageOf(error))}): send one JSON text per record; got ${begin}`;
      return { code: 'NOT_JSON', message };
    }
    const field = this.#timestamp;
    if (field === undefined) return { value, timestamp: batch.timestamps[row] as number };
    const timestamp = isRecord(value) && Object.hasOwn(value, field) ? value[field] : undefined;
    if (typeof timestamp !== 'number' || !Number.isFinite(timestamp)) {
      const message = `${field}: expected milliseconds since the epoch as a number, got ${excerpt(JSON.stringify(timestamp) ?? 'nothing')}`;
      return { code: 'FIELD_INVALID', message };
    }
    return { value, timestamp };
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Getters by field, each building its column once. */
function lazyColumns(
  fields: Iterable<string>,
  rows: readonly unknown[],
): Readonly<Record<string, Column>> {
  const columns: Record<string, Column> = Object.create(null);
  for (const field of fields) {
    let built: Column | undefined;
    Object.defineProperty(columns, field, {
      enumerable: true,
      get: () => {
        built ??= columnOf(rows, field);
        return built;
      },
    });
  }
  return columns;
}

/** Numbers when no row has anything else there; else text, of other values their JSON. */
function columnOf(rows: readonly unknown[], field: string): Column {
  const cells = rows.map((row) => {
    const value = isRecord(row) && Object.hasOwn(row, field) ? row[field] : undefined;
    return value ?? undefined;
  });
  if (cells.every((cell) => cell === undefined || typeof cell === 'number')) {
    return Float64Array.from(cells, (cell) => (cell as number | undefined) ?? Number.NaN);
  }
  const dictionary = new ByteDictionary();
  const codes = Int32Array.from(cells, (cell) => {
    if (cell === undefined) return -1;
    return dictionary.intern(typeof cell === 'string' ? cell : JSON.stringify(cell));
  });
  return { codes, dictionary };
}
