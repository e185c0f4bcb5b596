/** One metric of a body, its fields read as their types with Gson's coercions. */
import {
  isArray,
  isObject,
  type JsonNumber,
  type JsonValue,
  javaDoubleOf,
  javaLongOf,
  membersOf,
  QueryFailed,
  QueryRefused,
  typedBoolean,
  typedString,
  unexpected,
} from '../../query/index.ts';

export interface MetricBody {
  readonly name: string | null;
  /** Milliseconds; null when neither `timestamp` nor `time` is given. */
  readonly timestamp: bigint | null;
  /** undefined when the field is missing. */
  readonly value: JsonValue | undefined;
  /** null is where KairosDB stumbles. */
  readonly datapoints: readonly (readonly JsonValue[] | null)[];
  readonly tags: ReadonlyMap<string, string | null>;
  readonly type: string | null;
  readonly ttlSeconds: number;
  readonly skipValidate: boolean;
}

/** Throws QueryRefused for a field of another type, QueryFailed where KairosDB itself stumbles. */
export function metricOf(json: JsonValue, duplicates: ReadonlyMap<JsonValue, string>): MetricBody {
  if (json === null) throw new QueryFailed(null);
  if (!isObject(json)) throw unexpected('BEGIN_OBJECT', json);
  const field = <T>(name: string, read: (value: JsonValue) => T): T | null => {
    const value = json.get(name) ?? null;
    return value === null ? null : read(value);
  };
  return {
    name: field('name', typedString),
    timestamp: field('time', longOf) ?? field('timestamp', longOf),
    value: json.get('value'),
    datapoints: field('datapoints', pointsOf) ?? [],
    tags: field('tags', (tags) => tagsOf(tags, duplicates)) ?? new Map(),
    type: field('type', typedString),
    ttlSeconds: Number(field('ttl', intOf) ?? 0n),
    skipValidate: field('skip_validate', typedBoolean) ?? false,
  };
}

const longOf = (json: JsonValue): bigint => wholeNumber(json, 'a long', 64);
const intOf = (json: JsonValue): bigint => wholeNumber(json, 'an int', 32);

/** A number or text without a fraction: 1001.0 is one, 1001.5 is not, nor is what has more bits. */
function wholeNumber(json: JsonValue, wanted: string, bits: number): bigint {
  const text = typeof json === 'string' ? json : numberText(json, wanted);
  const value = exactWholeOf(text);
  if (value !== undefined && value === BigInt.asIntN(bits, value)) return value;
  // Java's cast of this one double saturates to a long that becomes the same double again.
  if (value === 2n ** 63n && bits === 64) return value - 1n;
  throw new QueryRefused(`java.lang.NumberFormatException: Expected ${wanted} but was ${text}`);
}

function exactWholeOf(text: string): bigint | undefined {
  try {
    return javaLongOf(text);
  } catch {
    // No digits alone, or too many: as a double, then.
  }
  try {
    const value = javaDoubleOf(text);
    return Number.isInteger(value) ? BigInt(value) : undefined;
  } catch {
    return undefined;
  }
}

function numberText(json: JsonValue, wanted: string): string {
  if (json === null || typeof json !== 'object' || isArray(json) || isObject(json)) {
    throw unexpected(wanted, json);
  }
  return (json as JsonNumber).text;
}

function pointsOf(json: JsonValue): MetricBody['datapoints'] {
  if (json === null || !isArray(json)) throw unexpected('BEGIN_ARRAY', json);
  return json.map((point) => {
    if (point !== null && !isArray(point)) throw unexpected('BEGIN_ARRAY', point);
    return point;
  });
}

function tagsOf(
  json: JsonValue,
  duplicates: ReadonlyMap<JsonValue, string>,
): Map<string, string | null> {
  const members = membersOf(json);
  const twice = duplicates.get(json);
  if (twice !== undefined) throw new QueryRefused(`duplicate key: ${twice}`);
  return new Map(
    [...members].map(([name, value]) => [name, value === null ? null : typedString(value)]),
  );
}
